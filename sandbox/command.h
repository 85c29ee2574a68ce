// The process of the command itself, from fork to exec.
#pragma once

#include <optional>
#include <string>

#include "sandbox/request.h"

namespace mkimg::sandbox {

// Becomes the command's user and executes it, through the program at `stub`. Where that can't be set
// up the Error goes to the socket; where there is no such program a line goes to stderr and the
// status is 127 or 126. `report` is a pipe that read_failure() reads.
[[noreturn]] void run_command(int socket, int stub, int report, const Request& request) noexcept;

// After the command's end: why it was never executed, as a line for stderr and the status.
struct ExecFailure {
    int status = 0;
    std::string line;
};
std::optional<ExecFailure> read_failure(int report);

}  // namespace mkimg::sandbox
