#include "sandbox/launcher_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/channel.h"
#include "sandbox/container.h"
#include "sandbox/request.h"

namespace mkimg::sandbox {
namespace {

struct Process {
    pid_t pid = -1;  // 0 in the new process
    UniqueFd pidfd;
};

// CLONE_PARENT makes the container a child of mkimg itself: mkimg waits for it without a message, and
// the kernel kills it when mkimg dies. clone(2) and not clone3: seccomp filters around mkimg answer
// ENOSYS to the latter, and it has nothing that is needed here.
Process clone_container(bool private_network) {
    unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_PARENT |
                          CLONE_PIDFD | SIGCHLD;
    if (private_network) flags |= CLONE_NEWNET;
    int pidfd = -1;
    const long pid = ::syscall(SYS_clone, flags, nullptr, &pidfd, nullptr, nullptr);
    if (pid < 0) {
        const Error error = errno_error(errno, "make the container's namespaces");
        switch (errno) {
            case EPERM:
                throw Error(
                    ErrorCode::host, error.message(),
                    "namespaces need CAP_SYS_ADMIN: run mkimg as an ordinary user, or start the container around it "
                    "with --privileged or with CAP_SYS_ADMIN and no seccomp profile");
            case ENOSPC:
                throw Error(ErrorCode::host, error.message(),
                            "a limit on namespaces is reached: see /proc/sys/user/max_*_namespaces");
            case EINVAL:
                throw Error(ErrorCode::host, error.message(), "mkimg needs Linux 5.4 or later with all namespaces");
            default: throw error;
        }
    }
    return {static_cast<pid_t>(pid), UniqueFd(pid == 0 ? -1 : pidfd)};
}

void launch(UniqueFd& control, LaunchKind kind, UniqueFd socket) {
    const bool private_network = kind == LaunchKind::private_network;
    try {
        const Process process = clone_container(private_network);
        if (process.pid == 0) {
            control.reset();
            run_container(std::move(socket), private_network);
        }
        send_started(socket.get(), process.pidfd.get());
    } catch (const Error& error) {
        send_error(socket.get(), error);
    }
}

// /proc/1/cmdline of a container is open to its processes, and mkimg's command line may hold what is
// none of their business. The addresses are the fields arg_start to env_end of proc_pid_stat(5).
void wipe_arguments() {
    const std::string stat = read_all(open_path("/proc/self/stat", O_RDONLY).get(), 1U << 16U, "/proc/self/stat");
    const auto fields = split(stat.substr(stat.rfind(')') + 2), ' ');  // from the third on
    constexpr std::size_t arg_start = 48 - 3;
    for (const std::size_t field : {arg_start, arg_start + 2}) {
        const auto from = parse_u64(fields.at(field));
        const auto to = parse_u64(fields.at(field + 1));
        if (!from || !to || *from >= *to) continue;
        std::memset(reinterpret_cast<void*>(*from), 0, *to - *from);  // NOLINT(performance-no-int-to-ptr): the kernel's
    }
}

void close_above(int last) {
    if (::syscall(SYS_close_range, last + 1U, ~0U, 0U) == 0) return;
    // A seccomp filter around mkimg that doesn't know the call.
    const UniqueFd directory = open_path("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    for (const DirEntry& entry : list_directory(directory.get())) {
        const auto number = parse_u64(entry.name);
        const int fd = number ? static_cast<int>(*number) : -1;
        if (fd > last && fd != directory.get()) ::close(fd);
    }
}

// The launcher inherits everything of mkimg's; containers must inherit nothing.
void shed_inheritance(UniqueFd& control) {
    ::setsid();  // Ctrl-C in the terminal is for mkimg, which ends containers in its own way
    ::prctl(PR_SET_NAME, "mkimg-launcher");
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);  // ignored ones would survive exec
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    wipe_arguments();
    if (::chdir("/") != 0) throw_errno("leave the working directory");
    UniqueFd null = open_path("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2; ++fd) ::dup2(null.get(), fd);
    null.reset();  // it may hold the number that is taken next
    constexpr int place = 3;
    if (control.get() != place) {
        if (::dup3(control.get(), place, O_CLOEXEC) < 0) throw_errno("place the launcher's socket");
        control.reset(place);
    }
    close_above(place);
}

}  // namespace

void run_launcher(UniqueFd control, pid_t parent) noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(0);  // it died before the line above
    try {
        shed_inheritance(control);
        for (;;) {
            auto [kind, socket] = receive_packet(control.get());
            if (!socket) ::_exit(0);
            try {
                launch(control, static_cast<LaunchKind>(kind), std::move(socket));
            } catch (const Error&) {
                // the caller has gone away; the next one may not have
            }
        }
    } catch (const std::exception&) {
        ::_exit(1);
    }
}

}  // namespace mkimg::sandbox
