// Rootless: the one user and mount namespace that mkimg lives in.
#pragma once

namespace mkimg::sandbox {

// For a process that is not root: enters a new user and mount namespace in which it is uid 0 and
// the ranges of /etc/subuid and /etc/subgid are 1, 2, …, by newuidmap and newgidmap. For root it only
// takes a private mount namespace where that is needed (it does nothing where not). Call before the
// first thread and before the store is opened. Throws Error(host) that says which package, file or
// sysctl is missing and the exact command that gets it. Calling it again does nothing.
void enter_user_namespace();

}  // namespace mkimg::sandbox
