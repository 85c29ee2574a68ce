// The process that becomes a container: PID 1 of new mount, pid, ipc, uts, cgroup and (asked for)
// network namespaces.
#pragma once

#include "base/fd.h"

namespace mkimg::sandbox {

// Never returns. Reads its Request from the socket, sets everything up, runs the command to its end
// and answers through the socket.
[[noreturn]] void run_container(UniqueFd socket, bool private_network) noexcept;

}  // namespace mkimg::sandbox
