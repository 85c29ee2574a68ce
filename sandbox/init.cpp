#include "sandbox/init.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>

#include "base/error.h"
#include "base/fd.h"
#include "sandbox/command.h"

namespace mkimg::sandbox {
namespace {

// The command's wait status once it has ended; orphans are reaped in passing.
std::optional<int> reap(pid_t command) {
    for (;;) {
        int status = 0;
        const pid_t ended = ::waitpid(-1, &status, WNOHANG);
        if (ended <= 0) return std::nullopt;
        if (ended == command) return status;
    }
}

void finish(int socket, int report, int status) {
    if (const auto failure = read_failure(report)) {
        write_full(STDERR_FILENO, failure->line);
        status = W_EXITCODE(failure->status, 0);
    }
    send_status(socket, status);
}

}  // namespace

int run_init(int socket, int stub, const Request& request) {
    // Blocked, a signal waits for sigwaitinfo; unblocked, the kernel would drop it: it protects PID 1.
    sigset_t all;
    sigset_t none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    if (::sigprocmask(SIG_SETMASK, &all, nullptr) != 0) throw_errno("block signals");
    Pipe report = make_pipe();
    const pid_t command = ::fork();
    if (command < 0) throw_errno("start a process in the container");
    if (command == 0) {
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        run_command(socket, stub, report.write.get(), request);
    }
    report.write.reset();
    for (;;) {
        siginfo_t info{};
        if (::sigwaitinfo(&all, &info) < 0) {
            if (errno == EINTR) continue;
            throw_errno("wait for the command");
        }
        if (info.si_signo == SIGCHLD) {
            if (const auto status = reap(command)) {
                finish(socket, report.read.get(), *status);
                return 0;
            }
        } else if (info.si_pid == 0) {  // from outside the container; what is inside knows its own processes
            ::kill(command, info.si_signo);
        }
    }
}

}  // namespace mkimg::sandbox
