#include "base/overlay.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/error.h"

namespace mkimg {
namespace {

constexpr std::size_t max_lower = 500;  // OVL_MAX_STACK of the kernel

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

[[noreturn]] void refuse(int err, const std::string& operation, const std::string& log = {}) {
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
            throw Error(ErrorCode::host, std::move(message),
                        "the kernel has no overlay file system: as root, run `modprobe overlay`");
        case EINVAL:
            throw Error(
                ErrorCode::host, std::move(message),
                "overlay mounts by descriptor need Linux 6.5, in a user namespace too; the store must lie on a "
                "file system that can be an upper layer (ext4, xfs, btrfs, tmpfs; not NFS, not another overlay)");
        case ENOSPC:
        case ENOMEM: throw Error(error.code(), std::move(message), error.hint());
        default: throw Error(ErrorCode::host, std::move(message), "`mkimg doctor` says what this host offers");
    }
}

void set_flag(int context, const char* key) {
    if (::fsconfig(context, FSCONFIG_SET_FLAG, key, nullptr, 0) != 0) {
        refuse(errno, std::string("set overlay option ") + key, kernel_log(context));
    }
}

void set_option(int context, const char* key, const char* value) {
    if (::fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) != 0) {
        refuse(errno, std::string("set overlay option ") + key + "=" + value, kernel_log(context));
    }
}

void set_directory(int context, const char* key, int fd) {
    if (::fsconfig(context, FSCONFIG_SET_FD, key, nullptr, fd) == 0) return;
    // Linux 6.5 to 6.12 take layers one by one, but only as paths; this one leads to the same directory.
    if (errno == EINVAL) {
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        if (::fsconfig(context, FSCONFIG_SET_STRING, key, path.c_str(), 0) == 0) return;
    }
    refuse(errno, std::string("set overlay layer ") + key, kernel_log(context));
}

UniqueFd open_context(const char* type) {
    UniqueFd context(::fsopen(type, FSOPEN_CLOEXEC));
    if (!context) refuse(errno, std::string("open a mount of type ") + type);
    return context;
}

UniqueFd make_mount(int context, const char* type, unsigned attributes) {
    if (::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
        refuse(errno, std::string("make a mount of type ") + type, kernel_log(context));
    }
    UniqueFd mount(::fsmount(context, FSMOUNT_CLOEXEC, attributes));
    if (!mount) refuse(errno, std::string("make a mount of type ") + type, kernel_log(context));
    return mount;
}

}  // namespace

bool overlay_uses_user_xattrs() {
    // The first user namespace has a fixed inode (PROC_USER_INIT_INO). trusted.* needs CAP_SYS_ADMIN
    // there, whatever the id map says, so the map is not what to look at.
    constexpr ino_t first_user_namespace = 0xEFFFFFFDU;
    struct stat st {};
    if (::stat("/proc/self/ns/user", &st) != 0) return false;
    return st.st_ino != first_user_namespace;
}

UniqueFd mount_overlay(const OverlayLayers& layers) {
    const bool writable = layers.upper >= 0;
    if (layers.lower.empty() || writable != (layers.work >= 0)) {
        throw Error(ErrorCode::internal, "an overlay needs a lower layer, and upper and work together");
    }
    if (layers.lower.size() > max_lower) {
        throw Error(ErrorCode::unsupported,
                    "an overlay of " + std::to_string(layers.lower.size()) + " layers: the kernel stacks at most " +
                        std::to_string(max_lower),
                    "join RUN, COPY and ADD steps so that the image has fewer layers, or use --squash for its base");
    }
    const UniqueFd context = open_context("overlay");
    set_option(context.get(), "source", "mkimg");  // what mountinfo shows
    for (const int lower : layers.lower) set_directory(context.get(), "lowerdir+", lower);
    UniqueFd empty;
    if (writable) {
        set_directory(context.get(), "upperdir", layers.upper);
        set_directory(context.get(), "workdir", layers.work);
        set_flag(context.get(), "volatile");
    } else if (layers.lower.size() == 1) {
        const UniqueFd tmpfs = open_context("tmpfs");
        empty = make_mount(tmpfs.get(), "tmpfs", MOUNT_ATTR_RDONLY);
        set_directory(context.get(), "lowerdir+", empty.get());
    }
    if (overlay_uses_user_xattrs()) {
        set_flag(context.get(), "userxattr");  // implies redirect_dir=nofollow and metacopy=off
    } else {
        set_option(context.get(), "redirect_dir", "off");
        set_option(context.get(), "metacopy", "off");
    }
    set_option(context.get(), "index", "off");
    UniqueFd mount = make_mount(context.get(), "overlay", 0);
    if (writable) {
        struct statvfs fs {};
        if (::fstatvfs(mount.get(), &fs) != 0) throw_errno("look at an overlay mount");
        if ((fs.f_flag & ST_RDONLY) != 0) {
            throw Error(ErrorCode::host, "the kernel made the overlay read-only: its work directory can't be written",
                        "the store must belong to the user that runs mkimg; point --root at another directory");
        }
    }
    return mount;
}

}  // namespace mkimg
