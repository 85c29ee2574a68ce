// How a build's progress reaches a person: plain lines, or nothing.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "builder/progress.h"
#include "cli/transfer_meter.h"

namespace mkimg::cli {

// One line an event, on stderr, as BuildKit's plain progress: "#3 [build 2/5] RUN make", output lines
// with the step's number and seconds before them, then DONE or CACHED.
class PlainProgress final : public builder::Progress {
  public:
    void started(const builder::StepInfo& step) override;
    void output(const builder::StepInfo& step, std::span<const std::byte> bytes) override;
    void finished(const builder::StepInfo& step, builder::Outcome outcome, double seconds) override;
    void failed(const builder::StepInfo& step, double seconds) override;
    void warning(const parser::Warning& warning) override;
    void transfer(const registry::Transfer& transfer) override;
    void note(std::string_view text) override;

  private:
    struct Running {
        std::chrono::steady_clock::time_point start;
        std::string partial;  // output without its line end yet
    };
    void print_lines(const builder::StepInfo& step, Running& running, bool all);
    void flush(const builder::StepInfo& step);

    std::mutex mutex_;
    std::map<unsigned, Running> running_;
    TransferMeters transfers_;
    std::map<oci::Digest, TransferMeter::Clock::time_point> told_;  // when a line of a transfer was last written
};

// The kind that the user asked for: "auto" (tty on a terminal, else plain), "tty", "plain" or "quiet". Throws
// Error(usage).
std::unique_ptr<builder::Progress> make_progress(const std::string& kind, bool quiet);

// Warnings only.
class QuietProgress final : public builder::Progress {
  public:
    void started(const builder::StepInfo&) override {}
    void output(const builder::StepInfo&, std::span<const std::byte>) override {}
    void finished(const builder::StepInfo&, builder::Outcome, double) override {}
    void failed(const builder::StepInfo&, double) override {}
    void warning(const parser::Warning&) override {}
    void transfer(const registry::Transfer&) override {}
    void note(std::string_view) override {}
};

}  // namespace mkimg::cli
