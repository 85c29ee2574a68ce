#include "sandbox/prepare.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/mount.h"
#include "base/overlay.h"
#include "base/passwd.h"
#include "base/tree_path.h"

namespace mkimg::sandbox {
namespace {

UniqueFd duplicate(int fd) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) throw_errno("duplicate a file descriptor of the command");
    return copy;
}

// The file systems of the container itself. A link here would put them somewhere else and leave
// programs in the container to find what the image planted at the usual place.
void require_directories(int root, MountPoints& points) {
    for (const char* path : {"/proc", "/sys", "/dev"}) {
        const auto found = lstat_in_root(root, path);
        if (found && !S_ISDIR(found->st_mode)) {
            throw Error(
                ErrorCode::denied,
                std::string("the image's ") + path +
                    (S_ISLNK(found->st_mode) ? " is a symbolic link" : " is not a directory") +
                    ", so nothing can be run in it safely",
                std::string("the image is broken or hostile; make ") + path + " a directory, or use another base");
        }
        if (!found) points.ensure(path, true);
    }
}

std::string hosts_file(const Command& command) {
    std::string text = "127.0.0.1\tlocalhost " + command.hostname + "\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    for (const auto& [name, address] : command.extra_hosts) text += address + "\t" + name + "\n";
    return text;
}

std::string host_resolv_conf() {
    constexpr std::uint64_t limit = 1U << 20U;
    const UniqueFd file(::open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC));
    return file ? read_all(file.get(), limit, "/etc/resolv.conf") : std::string();
}

MountRequest bind_tree(const BindMount& bind, MountPoints& points) {
    const mode_t type = stat_fd(bind.source.get()).st_mode & S_IFMT;
    MountRequest mount;
    mount.target = clean_path(bind.target);
    mount.directory = type == S_IFDIR;
    if (mount.target == "/") {
        throw Error(ErrorCode::recipe, "a mount can't take the place of the container's root", "choose another target");
    }
    mount.tree = clone_mount(bind.source.get(), true, mount.target);
    std::uint64_t attributes = bind.read_only ? MOUNT_ATTR_RDONLY : 0U;
    if (type != S_IFCHR && type != S_IFBLK) attributes |= MOUNT_ATTR_NODEV;
    if (attributes != 0) set_mount_attributes(mount.tree.get(), attributes, true, mount.target);
    points.ensure(mount.target, mount.directory);
    return mount;
}

std::string working_directory(const std::string& path) {
    std::string clean = clean_path(path);
    // Processes and their descriptors are no place to work in (CVE-2024-21626).
    if (clean.starts_with("/proc/")) {
        throw Error(ErrorCode::recipe, clean + " can't be a working directory", "use a directory of the image");
    }
    return clean;
}

bool sets(const std::vector<std::string>& env, std::string_view assignment) {
    return std::any_of(env.begin(), env.end(), [&](const std::string& entry) { return entry.starts_with(assignment); });
}

}  // namespace

Prepared prepare(const Command& command) {
    if (command.argv.empty()) throw Error(ErrorCode::internal, "a container needs a command");
    UniqueFd root = mount_overlay({command.lower, command.upper, command.work});
    // There is no device cgroup: nodev on every mount that can hold a new node is what keeps a root
    // with CAP_MKNOD from the host's disks. The nodes of /dev are mounts of their own.
    set_mount_attributes(root.get(), MOUNT_ATTR_NODEV, false, "the container's root");
    Prepared prepared{{}, MountPoints(root.get(), command.upper)};
    Request& request = prepared.request;
    MountPoints& points = prepared.mount_points;

    // What can be refused is looked at before anything is made in upper.
    request.working_dir = working_directory(command.working_dir);
    const UserIds user = resolve_user(root.get(), command.user);
    require_directories(root.get(), points);
    for (const char* path : {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}) points.ensure(path, false);
    for (const BindMount& bind : command.mounts) request.mounts.push_back(bind_tree(bind, points));
    points.seal();

    request.uid = user.uid;
    request.gid = user.gid;
    request.groups = user.groups;
    // Without its primary group in the list too, a setgid program could shed it and pass by files that
    // deny that group (CVE-2022-36109).
    if (std::find(user.groups.begin(), user.groups.end(), user.gid) == user.groups.end()) {
        request.groups.insert(request.groups.begin(), user.gid);
    }
    request.argv = command.argv;
    request.env = command.env;
    if (!sets(command.env, "HOME=")) request.env.push_back("HOME=" + user.home);
    request.private_network = command.network == Network::none;
    request.hostname = command.hostname;
    request.hosts = hosts_file(command);
    request.resolv_conf = host_resolv_conf();
    request.shm_size = command.shm_size;
    if (command.stdin_fd >= 0) request.stdin_fd = duplicate(command.stdin_fd);
    request.stdout_fd = duplicate(command.stdout_fd);
    request.stderr_fd = duplicate(command.stderr_fd);
    request.root = std::move(root);
    return prepared;
}

}  // namespace mkimg::sandbox
