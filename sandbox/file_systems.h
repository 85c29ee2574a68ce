// The container's view of the file system: the mounts around and over the image's tree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "sandbox/request.h"

namespace mkimg::sandbox {

// What doesn't depend on the request is made (detached) while the caller still prepares the image.
struct FileSystems {
    UniqueFd proc;
    UniqueFd sys;
    UniqueFd cgroup;  // none where the host has no cgroup v2
    UniqueFd pts;
    UniqueFd mqueue;
    UniqueFd scratch;  // a tmpfs with dev/, etc/ and empty/
    UniqueFd dev;      // scratch's dev/, once it is mounted
    UniqueFd stub;     // the program of exec_stub, in scratch
};

// Cuts the mount namespace off from the host's and makes the file systems. Call inside the new
// mount, pid, ipc and network namespaces.
FileSystems make_file_systems();

// Makes request.root the root of the mount namespace with everything in its place, and lets go of
// the host's tree. Targets are resolved inside the new root and mounted by descriptor.
void enter_root(const Request& request, FileSystems& systems);

}  // namespace mkimg::sandbox
