// What a build tells whoever watches it. Calls may come from any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"
#include "parser/instruction.h"
#include "registry/transfer.h"

namespace mkimg::builder {

struct StepInfo {
    unsigned id = 0;      // unique within the build, from 1
    std::string stage;    // "build", or the stage's number
    unsigned number = 0;  // within the stage, from 1
    unsigned total = 0;   // steps of the stage
    std::string text;     // the instruction, in one line
};

enum class Outcome { ran, cached, config_only };

class Progress {
  public:
    virtual ~Progress() = default;
    virtual void started(const StepInfo& step) = 0;
    virtual void output(const StepInfo& step, std::span<const std::byte> bytes) = 0;
    virtual void finished(const StepInfo& step, Outcome outcome, double seconds) = 0;
    virtual void failed(const StepInfo& step, double seconds) = 0;
    virtual void warning(const parser::Warning& warning) = 0;
    // A blob goes over the network; often, while it runs.
    virtual void transfer(const registry::Transfer& transfer) = 0;
    // Something worth a line: "writing app.tar".
    virtual void note(std::string_view text) = 0;
};

}  // namespace mkimg::builder
