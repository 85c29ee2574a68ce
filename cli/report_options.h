// What a command that transfers images says of it, and how.
#pragma once

#include <memory>
#include <string>

#include "builder/progress.h"

namespace CLI {
class App;
}

namespace mkimg::cli {

struct ReportOptions {
    bool quiet = false;
    std::string format = "text";
    std::string progress = "auto";

    // `result` is what is printed in any case: "digest".
    void add_to(CLI::App& command, const std::string& result);
    // Whether the result is to be JSON. Throws Error(usage) for a format that is none.
    bool json() const;
    std::unique_ptr<builder::Progress> make_progress() const;
};

}  // namespace mkimg::cli
