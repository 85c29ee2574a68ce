#include "sandbox/user_namespace.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/overlay.h"
#include "base/text.h"
#include "sandbox/id_ranges.h"

namespace mkimg::sandbox {
namespace {

struct Maps {
    std::vector<std::string> uids;  // arguments of newuidmap after the process
    std::vector<std::string> gids;
};

// The content of a small file of the host's; empty where it can't be read.
std::string host_file(const char* path) {
    constexpr std::uint64_t limit = 10U << 20U;
    const UniqueFd file(::open(path, O_RDONLY | O_CLOEXEC));
    return file ? read_all(file.get(), limit, path) : std::string();
}

bool has_sys_admin() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> data{};
    if (::syscall(SYS_capget, &header, data.data()) != 0) throw_errno("read the capabilities");
    return (data[0].effective & (1U << CAP_SYS_ADMIN)) != 0;
}

std::string user_name(uid_t uid) {
    const passwd* entry = ::getpwuid(uid);
    return entry == nullptr ? std::to_string(uid) : entry->pw_name;
}

Maps read_maps() {
    const uid_t uid = ::geteuid();
    const std::string name = user_name(uid);
    const std::string subuid = host_file("/etc/subuid");
    const std::string subgid = host_file("/etc/subgid");
    const auto uids = parse_id_ranges(subuid, name, uid);
    const auto gids = parse_id_ranges(subgid, name, uid);
    if (uids.empty() || gids.empty()) {
        const std::string files = !gids.empty()   ? "/etc/subuid"
                                  : !uids.empty() ? "/etc/subgid"
                                                  : "/etc/subuid and /etc/subgid";
        const std::uint64_t start = first_free_id(subuid, subgid);
        const std::string range = std::to_string(start) + "-" + std::to_string(start + 65535);
        throw Error(ErrorCode::host, "user " + name + " has no range of ids in " + files,
                    "as root, run: usermod" + (uids.empty() ? " --add-subuids " + range : "") +
                        (gids.empty() ? " --add-subgids " + range : "") + " " + name);
    }
    return {map_arguments(uid, uids), map_arguments(::getegid(), gids)};
}

pid_t spawn(const char* program, pid_t target, const std::vector<std::string>& map, int output) {
    const std::string process = std::to_string(target);
    std::vector<char*> argv = {const_cast<char*>(program), const_cast<char*>(process.c_str())};
    for (const std::string& argument : map) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    pid_t pid = -1;
    const int err = ::posix_spawnp(&pid, program, &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (err != 0) {
        const std::string line = std::string(program) + ": " +
                                 (err == ENOENT ? "not installed" : errno_error(err, "start").message()) + "\n";
        write_full(output, line);
    }
    return pid;
}

// newuidmap and newgidmap are setuid programs: they must be started by a process that is still in the
// user namespace outside. This one waits until the parent has made its own.
[[noreturn]] void write_maps(const Maps& maps, pid_t parent, Pipe go, UniqueFd output) noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    go.write.reset();
    char byte = 0;
    if (::getppid() != parent || ::read(go.read.get(), &byte, 1) != 1) ::_exit(0);
    try {
        const std::array<pid_t, 2> children = {spawn("newuidmap", parent, maps.uids, output.get()),
                                               spawn("newgidmap", parent, maps.gids, output.get())};
        bool good = true;
        for (const pid_t child : children) {
            int status = 0;
            if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) good = false;
        }
        ::_exit(good ? 0 : 1);
    } catch (const Error&) {
        ::_exit(1);
    }
}

[[noreturn]] void refuse_unshare(int err) {
    const std::string message = errno_error(err, "make a user namespace").message();
    const auto is = [](const char* path, std::string_view value) { return trim(host_file(path)) == value; };
    if (err == ENOSPC) {
        if (is("/proc/sys/user/max_user_namespaces", "0")) {
            throw Error(ErrorCode::host, message + " (user namespaces are switched off: user.max_user_namespaces is 0)",
                        "as root, run: sysctl -w user.max_user_namespaces=15000, and put that line in /etc/sysctl.d/");
        }
        throw Error(ErrorCode::host, message + " (the limit on user namespaces is reached)",
                    "end some containers, or as root raise user.max_user_namespaces");
    }
    if (err == EPERM && is("/proc/sys/kernel/unprivileged_userns_clone", "0")) {
        throw Error(ErrorCode::host, message + " (kernel.unprivileged_userns_clone is 0)",
                    "as root, run: sysctl -w kernel.unprivileged_userns_clone=1, and put that line in /etc/sysctl.d/");
    }
    if (err == EPERM || err == EACCES) {
        throw Error(
            ErrorCode::host, message + " (a seccomp filter or a security module refuses it)",
            "inside a container, start that container with --privileged or without its seccomp profile; with AppArmor, "
            "as root run: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0");
    }
    if (err == EINVAL) {
        throw Error(ErrorCode::host, message + " (the kernel has none)",
                    "use a kernel with CONFIG_USER_NS, or run mkimg as root");
    }
    throw Error(ErrorCode::host, message, "run mkimg as root, or make this host give user namespaces to users");
}

void make_mounts_private() {
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) return;
    const std::string message = errno_error(errno, "take over the mounts of the new namespace").message();
    if (errno == EPERM || errno == EACCES) {
        throw Error(ErrorCode::host,
                    message + " (a security module takes the capabilities away inside user namespaces)",
                    "with AppArmor, as root run: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or install "
                    "a profile "
                    "for mkimg that has `userns,`");
    }
    throw Error(ErrorCode::host, message);
}

[[noreturn]] void refuse_maps(const std::string& said) {
    const std::string reason = join(split(trim(said), '\n'), "; ");
    if (said.find("not installed") != std::string::npos) {
        throw Error(ErrorCode::host, "can't map user and group ids: " + reason,
                    "install the package that has newuidmap and newgidmap: uidmap on Debian and Ubuntu, shadow-utils "
                    "on Fedora");
    }
    throw Error(ErrorCode::host, "can't map user and group ids: " + reason,
                "newuidmap and newgidmap must be setuid root (or have the file capabilities cap_setuid and cap_setgid) "
                "on a file "
                "system without nosuid, and /etc/subuid and /etc/subgid must name this user; no_new_privs must be off");
}

void enter_as_user() {
    const Maps maps = read_maps();
    Pipe go = make_pipe();
    Pipe output = make_pipe();
    const pid_t self = ::getpid();
    const pid_t helper = ::fork();
    if (helper < 0) throw_errno("start a process");
    if (helper == 0) {
        output.read.reset();
        write_maps(maps, self, std::move(go), std::move(output.write));
    }
    output.write.reset();
    const int refused = ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : errno;
    if (refused == 0) write_full(go.write.get(), "x");
    go.write.reset();
    const std::string said = read_all(output.read.get(), 1U << 16U, "newuidmap's output");
    int status = 0;
    while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
    }
    if (refused != 0) refuse_unshare(refused);
    if (status != 0) refuse_maps(said);
    // This process is uid and gid 0 from here on: its own numbers map to those. It keeps its
    // supplementary groups, for a build context may be readable through them; the command in a
    // container gets its own.
    make_mounts_private();
}

void enter_as_root() {
    if (!has_sys_admin()) {
        throw Error(ErrorCode::host, "mkimg runs as root without CAP_SYS_ADMIN, so it can't make namespaces and mounts",
                    "run it as an ordinary user, or start the container around it with --privileged or with "
                    "--cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined");
    }
    // Root of a user namespace that somebody else made may hold no power over its mount namespace.
    if (overlay_uses_user_xattrs()) {
        if (::unshare(CLONE_NEWNS) != 0) throw_errno("make a mount namespace");
        make_mounts_private();
    }
}

}  // namespace

void enter_user_namespace() {
    static bool entered = false;
    if (entered) return;
    if (::geteuid() == 0) {
        enter_as_root();
    } else {
        enter_as_user();
    }
    entered = true;
}

}  // namespace mkimg::sandbox
