#include "sandbox/file_systems.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>

#include "base/error.h"
#include "base/mount.h"
#include "base/tree_path.h"
#include "sandbox/exec_stub.h"

namespace mkimg::sandbox {
namespace {

constexpr unsigned restricted = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// What would tell about, or change, the host: as runc's defaults.
struct Masked {
    const char* path;
    bool directory;
};
constexpr std::array masked_in_proc = {
    Masked{"acpi", true},        Masked{"asound", true},       Masked{"interrupts", false},
    Masked{"kcore", false},      Masked{"keys", false},        Masked{"latency_stats", false},
    Masked{"timer_list", false}, Masked{"timer_stats", false}, Masked{"sched_debug", false},
    Masked{"scsi", true},
};
constexpr std::array masked_in_sys = {Masked{"firmware", true}, Masked{"devices/virtual/powercap", true}};
constexpr std::array read_only_in_proc = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
constexpr std::array devices = {"null", "zero", "full", "random", "urandom", "tty"};

// A path of the host's, or of a file system that only the kernel writes.
std::optional<UniqueFd> find(int at, const char* path) {
    UniqueFd fd(::openat(at, path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (fd) return fd;
    if (errno == ENOENT || errno == EACCES) return std::nullopt;
    throw_errno("look up", path);
}

UniqueFd clone_path(const std::string& path, bool recursive) {
    return clone_mount(open_path(path, O_PATH).get(), recursive, path);
}

// A new sysfs shows the devices of the network namespace, so the kernel wants power over that one.
// On the host's network a user namespace has none: there it is the host's /sys, read-only.
UniqueFd make_sys() {
    try {
        return MountContext("sysfs").mount(restricted | MOUNT_ATTR_RDONLY);
    } catch (const Error&) {
        UniqueFd bound = clone_path("/sys", true);
        set_mount_attributes(bound.get(), restricted | MOUNT_ATTR_RDONLY, true, "/sys");
        return bound;
    }
}

UniqueFd make_cgroup() {
    try {
        return MountContext("cgroup2").mount(restricted | MOUNT_ATTR_RDONLY);
    } catch (const Error&) {
        return {};  // programs do without; it only tells them their limits
    }
}

UniqueFd make_pts() {
    const auto make = [](bool with_group) {
        MountContext pts("devpts");
        pts.option("ptmxmode", "0666");
        pts.option("mode", "0620");
        if (with_group) pts.option("gid", "5");  // tty, by convention
        return pts.mount(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    };
    try {
        return make(true);
    } catch (const Error&) {
        return make(false);  // the user namespace has no group 5
    }
}

UniqueFd make_tmpfs(const char* mode, const std::string& size, unsigned attributes) {
    MountContext tmpfs("tmpfs");
    tmpfs.option("mode", mode);
    tmpfs.option("size", size);
    return tmpfs.mount(attributes);
}

void write_file(int directory, const char* name, const std::string& content) {
    const UniqueFd file = open_at(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
    write_full(file.get(), content);
}

// A file of this container's own, which it may well overwrite.
UniqueFd make_stub(int scratch) {
    const char* name = "exec";
    write_full(open_at(scratch, name, O_WRONLY | O_CREAT | O_EXCL, 0755).get(), std::as_bytes(std::span(exec_stub)));
    return open_at(scratch, name, O_PATH);
}

void make_node(int directory, const std::string& name) {
    const UniqueFd mount_point = open_at(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0666);
    attach_mount(clone_path("/dev/" + name, false).get(), mount_point.get(), "/dev/" + name);
}

void make_link(int directory, const char* name, const char* target) {
    if (::symlinkat(target, directory, name) != 0) throw_errno("make the link", std::string("/dev/") + name);
}

void attach_new_directory(int mount, int directory, const char* name) {
    make_directory(directory, name, 0755);
    attach_mount(mount, open_at(directory, name, O_PATH | O_DIRECTORY).get(), std::string("/dev/") + name);
}

// /dev is a directory of scratch, mounted over scratch itself: a file system that is attached can be
// bound from by every kernel, and there it is out of sight.
void mount_dev(const Request& request, FileSystems& systems) {
    const UniqueFd place = open_in_root(request.root.get(), "/dev", O_PATH | O_DIRECTORY | O_NOFOLLOW);
    attach_mount(systems.scratch.get(), place.get(), "/dev");
    const int scratch = systems.scratch.get();
    systems.dev = clone_mount(open_at(scratch, "dev", O_PATH).get(), false, "/dev");
    attach_mount(systems.dev.get(), scratch, "/dev");
    const int dev = systems.dev.get();
    for (const char* name : devices) make_node(dev, name);
    attach_new_directory(systems.pts.get(), dev, "pts");
    attach_new_directory(systems.mqueue.get(), dev, "mqueue");
    attach_new_directory(make_tmpfs("1777", std::to_string(request.shm_size), restricted).get(), dev, "shm");
    make_link(dev, "ptmx", "pts/ptmx");
    make_link(dev, "fd", "/proc/self/fd");
    make_link(dev, "stdin", "/proc/self/fd/0");
    make_link(dev, "stdout", "/proc/self/fd/1");
    make_link(dev, "stderr", "/proc/self/fd/2");
}

// Where to mount, resolved in what the mounts so far have left. It exists in the image unless it lies in
// one of those; then what is missing is made there.
UniqueFd target_of(int root, const std::string& target, bool directory) {
    auto place = try_open_in_root(root, target, O_PATH);
    if (!place) {
        const auto [parent, name] = split_path(target);
        const UniqueFd above = make_directories_in_root(root, directory ? target : parent, {});
        if (!directory) open_at(above.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
        place = open_in_root(root, target, O_PATH);
    }
    struct statfs fs {};
    if (::fstatfs(place->get(), &fs) != 0) throw_errno("look at", target);
    if (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC) {
        throw Error(ErrorCode::recipe, "can't mount at " + target + ": it lies in /proc or /sys",
                    "choose another target");
    }
    if (S_ISDIR(stat_fd(place->get()).st_mode) != directory) {
        throw Error(ErrorCode::recipe,
                    "can't mount at " + target + ": " +
                        (directory ? "the source is a directory and the target is not"
                                   : "the target is a directory and the source is not"),
                    "name a target of the same kind as the source");
    }
    return std::move(*place);
}

// Files of this container alone: what the command writes to them is in no layer.
void mount_etc(const Request& request, const FileSystems& systems) {
    const UniqueFd etc = open_at(systems.scratch.get(), "etc", O_RDONLY | O_DIRECTORY);
    const auto place = [&](const char* name, const std::string& content) {
        write_file(etc.get(), name, content);
        const std::string path = std::string("/etc/") + name;
        attach_mount(clone_mount(open_at(etc.get(), name, O_PATH).get(), false, path).get(),
                     target_of(request.root.get(), path, false).get(), path);
    };
    place("hosts", request.hosts);
    place("resolv.conf", request.resolv_conf);
    place("hostname", request.hostname + "\n");
}

void mask(int file_system, std::span<const Masked> paths, const FileSystems& systems) {
    for (const Masked& hidden : paths) {
        const auto place = find(file_system, hidden.path);
        if (!place) continue;
        UniqueFd cover;
        if (hidden.directory) {
            cover = clone_mount(open_at(systems.scratch.get(), "empty", O_PATH).get(), false, hidden.path);
            set_mount_attributes(cover.get(), MOUNT_ATTR_RDONLY, false, hidden.path);
        } else {
            cover = clone_mount(open_at(systems.dev.get(), "null", O_PATH).get(), false, hidden.path);
        }
        attach_mount(cover.get(), place->get(), hidden.path);
    }
}

void make_read_only(int proc) {
    for (const char* path : read_only_in_proc) {
        const auto place = find(proc, path);
        if (!place) continue;
        const UniqueFd bound = clone_mount(place->get(), false, path);
        set_mount_attributes(bound.get(), MOUNT_ATTR_RDONLY, false, path);
        attach_mount(bound.get(), place->get(), path);
    }
}

// In the order given: a target may lie in another mount.
void mount_requested(const Request& request) {
    for (const MountRequest& mount : request.mounts) {
        attach_mount(mount.tree.get(), target_of(request.root.get(), mount.target, mount.directory).get(),
                     mount.target);
    }
}

// The new root lies on top of the host's; after the exchange the host's lies on top and is let go.
void pivot() {
    if (::syscall(SYS_pivot_root, ".", ".") != 0) throw_errno("pivot_root");
    if (::umount2(".", MNT_DETACH) != 0) throw_errno("let go of the host's file system");
    if (::chdir("/") != 0) throw_errno("enter the container's root");
}

}  // namespace

FileSystems make_file_systems() {
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) throw_errno("make the mounts private");
    FileSystems systems;
    systems.proc = MountContext("proc").mount(restricted);
    systems.sys = make_sys();
    systems.cgroup = make_cgroup();
    systems.pts = make_pts();
    systems.mqueue = MountContext("mqueue").mount(restricted);
    systems.scratch = make_tmpfs("0755", "64m", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    for (const char* name : {"dev", "etc", "empty"}) make_directory(systems.scratch.get(), name, 0755);
    systems.stub = make_stub(systems.scratch.get());
    return systems;
}

void enter_root(const Request& request, FileSystems& systems) {
    const int root = request.root.get();
    attach_mount(root, open_path("/", O_PATH).get(), "the image's root");
    if (::fchdir(root) != 0) throw_errno("enter the image's root");

    const auto place = [root](const char* path) { return open_in_root(root, path, O_PATH | O_DIRECTORY | O_NOFOLLOW); };
    attach_mount(systems.proc.get(), place("/proc").get(), "/proc");
    attach_mount(systems.sys.get(), place("/sys").get(), "/sys");
    if (systems.cgroup) {
        if (const auto at = find(systems.sys.get(), "fs/cgroup"))
            attach_mount(systems.cgroup.get(), at->get(), "cgroup");
    }
    mount_dev(request, systems);
    mask(systems.proc.get(), masked_in_proc, systems);
    mask(systems.sys.get(), masked_in_sys, systems);
    make_read_only(systems.proc.get());
    mount_etc(request, systems);
    mount_requested(request);
    pivot();
}

}  // namespace mkimg::sandbox
