// What the command may do: capabilities, system calls, identity, limits.
#pragma once

#include "sandbox/request.h"

namespace mkimg::sandbox {

// Docker's default capabilities in the bounding, permitted and effective sets, none in the
// inheritable and ambient ones, and Docker's default seccomp profile. no_new_privs stays off:
// setuid programs of the image must work. For the calling process and what it forks.
void restrict_privileges();

// Limits that don't depend on the shell that mkimg was started from.
void set_limits();

// The last step before exec: from root to the command's user.
void become_user(const Request& request);

}  // namespace mkimg::sandbox
