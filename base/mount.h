// The mount API of Linux 5.2 by descriptors. A mount made or cloned here is attached nowhere: it
// lives as long as its descriptor, until attach_mount puts it somewhere.
#pragma once

#include <string>

#include "base/fd.h"

namespace mkimg {

// A file system being configured. Each call throws Error(host) with the kernel's own explanation
// and what to do about it.
class MountContext {
  public:
    // `source` is what mountinfo and df call it; nullptr means as the type.
    explicit MountContext(const char* type, const char* source = nullptr);
    void flag(const char* key);
    void option(const char* key, const std::string& value);
    // A directory as the value of `key`. Linux before 6.13 gets it as a path below /proc/self/fd.
    void directory(const char* key, int fd);
    // `attributes` are MOUNT_ATTR_*.
    UniqueFd mount(unsigned attributes);

  private:
    UniqueFd context_;
    const char* type_;
};

// A copy of the mount at `fd` (with `recursive`, of all mounts below it too), as mount --bind makes.
UniqueFd clone_mount(int fd, bool recursive, const std::string& what);
// Sets MOUNT_ATTR_* on a detached mount, before it becomes visible to anybody.
void set_mount_attributes(int mount, std::uint64_t attributes, bool recursive, const std::string& what);
// Attaches a detached mount at an opened directory or file; `what` names it in an error.
void attach_mount(int mount, int target, const std::string& what);

}  // namespace mkimg
