// The launcher: a small process without threads, forked while mkimg has none, that clones containers.
#pragma once

#include "base/fd.h"

namespace mkimg::sandbox {

// One packet to the launcher: which namespaces, and the container's end of its socket. The launcher
// answers through that socket with a record that holds a pidfd, or with an Error.
enum class LaunchKind : char { host_network = 'h', private_network = 'n' };

// Never returns; ends when the socket does or `parent` dies.
[[noreturn]] void run_launcher(UniqueFd control, pid_t parent) noexcept;

}  // namespace mkimg::sandbox
