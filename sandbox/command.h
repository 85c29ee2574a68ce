// The process of the command itself, from fork to exec.
#pragma once

#include "sandbox/request.h"

namespace mkimg::sandbox {

// Becomes the command's user and executes it. Where that can't be set up the Error goes to the
// socket; where the program can't be executed a line goes to stderr and the status is 127 or 126.
[[noreturn]] void run_command(int socket, const Request& request) noexcept;

}  // namespace mkimg::sandbox
