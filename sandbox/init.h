// PID 1 of the container: starts the command, passes signals on to it and reaps what it leaves.
#pragma once

#include "sandbox/request.h"

namespace mkimg::sandbox {

// `stub` is the program of exec_stub. Returns when the command has ended and its status has been sent. When the caller
// then exits, the kernel kills whatever else runs in the pid namespace.
int run_init(int socket, int stub, const Request& request);

}  // namespace mkimg::sandbox
