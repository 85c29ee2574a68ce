#include "base/mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"

namespace mkimg {
namespace {

// The kernel's own explanation, which fsopen's descriptor hands out line by line ("e overlay: …").
std::string kernel_log(int context) {
    std::string text;
    char line[512];
    for (;;) {
        const ssize_t n = ::read(context, line, sizeof line);
        if (n <= 0) return text;
        const std::string_view message(line, static_cast<std::size_t>(n));
        if (!text.empty()) text += "; ";
        text += message.substr(message.starts_with("e ") || message.starts_with("w ") ? 2 : 0);
        while (text.ends_with('\n')) text.pop_back();
    }
}

// The reason is errno; `context` has the kernel's words for it, where there is one.
[[noreturn]] void refuse(const std::string& operation, int context = -1) {
    const int err = errno;  // before the log is read
    const std::string log = context < 0 ? std::string() : kernel_log(context);
    Error error = errno_error(err, operation);
    std::string message = error.message() + (log.empty() ? "" : " (kernel: " + log + ")");
    switch (err) {
        case EPERM:
            throw Error(
                ErrorCode::host, std::move(message),
                "mounting needs CAP_SYS_ADMIN: run mkimg as an ordinary user (it then uses a user namespace), or, "
                "inside a container, start that container with --privileged or with CAP_SYS_ADMIN and no seccomp "
                "and AppArmor profile");
        case ENOSYS:
            throw Error(
                ErrorCode::host, std::move(message),
                "the kernel, or a seccomp filter around mkimg, lacks the mount API of Linux 5.2 (fsopen); use a "
                "newer kernel or loosen the filter");
        case ENODEV:
            throw Error(
                ErrorCode::host, std::move(message),
                "the kernel lacks this file system: as root, run `modprobe` with its name (`modprobe overlay`)");
        case EINVAL:
            throw Error(ErrorCode::host, std::move(message),
                        "layers by descriptor need Linux 6.5; a work directory is good for one mount; the store must "
                        "lie on a file system that can be an upper "
                        "layer (ext4, xfs, btrfs, tmpfs; not NFS, not another overlay)");
        case ENOSPC:
        case ENOMEM:
        case EMFILE:
        case ENFILE: throw Error(error.code(), std::move(message), error.hint());
        default: throw Error(ErrorCode::host, std::move(message));
    }
}

}  // namespace

MountContext::MountContext(const char* type, const char* source)
    : context_(::fsopen(type, FSOPEN_CLOEXEC)), type_(type) {
    if (!context_) refuse(std::string("make a mount of type ") + type);
    option("source", source == nullptr ? type : source);
}

void MountContext::flag(const char* key) {
    if (::fsconfig(context_.get(), FSCONFIG_SET_FLAG, key, nullptr, 0) != 0) {
        refuse(std::string("set option ") + key + " of a mount of type " + type_, context_.get());
    }
}

void MountContext::option(const char* key, const std::string& value) {
    if (::fsconfig(context_.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) != 0) {
        refuse(std::string("set option ") + key + "=" + value + " of a mount of type " + type_, context_.get());
    }
}

void MountContext::directory(const char* key, int fd) {
    if (::fsconfig(context_.get(), FSCONFIG_SET_FD, key, nullptr, fd) == 0) return;
    if (errno == EINVAL) {
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        if (::fsconfig(context_.get(), FSCONFIG_SET_STRING, key, path.c_str(), 0) == 0) return;
    }
    refuse(std::string("set ") + key + " of a mount of type " + type_, context_.get());
}

UniqueFd MountContext::mount(unsigned attributes) {
    if (::fsconfig(context_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) {
        UniqueFd made(::fsmount(context_.get(), FSMOUNT_CLOEXEC, attributes));
        if (made) return made;
    }
    refuse(std::string("make a mount of type ") + type_, context_.get());
}

UniqueFd clone_mount(int fd, bool recursive, const std::string& what) {
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
    UniqueFd clone(::open_tree(fd, "", flags));
    if (!clone) refuse("bind " + what);
    return clone;
}

void set_mount_attributes(int mount, std::uint64_t attributes, bool recursive, const std::string& what) {
    mount_attr change{};
    change.attr_set = attributes;
    const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
    if (::mount_setattr(mount, "", flags, &change, sizeof change) != 0) refuse("restrict the mount of " + what);
}

void attach_mount(int mount, int target, const std::string& what) {
    if (::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
        refuse("mount " + what);
    }
}

}  // namespace mkimg
