#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <exception>

#include "base/error.h"
#include "sandbox/launcher_process.h"
#include "sandbox/prepare.h"
#include "sandbox/sandbox.h"

namespace mkimg::sandbox {
namespace {

siginfo_t wait_for(int pidfd) {
    siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) != 0) {
        if (errno != EINTR) throw_errno("wait for a container");
    }
    return info;
}

void send_signal(int pidfd, int number) {
    if (::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0U) != 0 && errno != ESRCH) {
        throw_errno("send a signal to a container");
    }
}

}  // namespace

struct Container::State {
    UniqueFd socket;
    UniqueFd pidfd;
    UniqueFd upper;
    MountPoints mount_points{-1, -1};

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        if (!pidfd) return;
        try {
            send_signal(pidfd.get(), SIGKILL);
            wait_for(pidfd.get());
        } catch (const Error&) {
            // a destructor has nobody to tell; the kernel kills the container with mkimg at the latest
        }
    }
};

Container::Container(std::unique_ptr<State> state) : state_(std::move(state)) {}
Container::Container(Container&&) noexcept = default;
Container& Container::operator=(Container&&) noexcept = default;
Container::~Container() = default;

int Container::event_fd() const noexcept {
    return state_->pidfd.get();
}

void Container::signal(int number) {
    send_signal(state_->pidfd.get(), number);
}

Exit Container::wait() {
    const siginfo_t info = wait_for(state_->pidfd.get());
    state_->pidfd.reset();
    state_->mount_points.clear();
    const Answer answer = receive_answer(state_->socket.get());
    if (answer.kind != Answer::Kind::status) {
        // Killed as a whole: by signal(), by the kernel for want of memory, or by its parent's death.
        const int number = info.si_code == CLD_EXITED ? 0 : info.si_status;
        if (number == 0) throw Error(ErrorCode::internal, "a container ended without an answer");
        return {128 + number, number};
    }
    if (WIFSIGNALED(answer.wait_status)) {
        const int number = WTERMSIG(answer.wait_status);
        return {128 + number, number};
    }
    return {WEXITSTATUS(answer.wait_status), 0};
}

struct Launcher::State {
    UniqueFd control;
    pid_t pid = -1;

    ~State() {
        control.reset();
        while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
};

Launcher::Launcher() {
    // Ignored (as some parents leave it), the kernel would reap containers by itself and lose their ends.
    struct sigaction child {};
    if (::sigaction(SIGCHLD, nullptr, &child) == 0 && child.sa_handler == SIG_IGN) ::signal(SIGCHLD, SIG_DFL);

    auto [ours, theirs] = make_socket_pair(SOCK_SEQPACKET);
    const pid_t self = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw_errno("start the launcher process");
    if (pid == 0) {
        ours.reset();
        run_launcher(std::move(theirs), self);
    }
    state_ = std::make_unique<State>();
    state_->control = std::move(ours);
    state_->pid = pid;
}

Launcher::~Launcher() = default;

Container Launcher::start(const Command& command) {
    auto state = std::make_unique<Container::State>();
    {
        auto [ours, theirs] = make_socket_pair(SOCK_STREAM);
        state->socket = std::move(ours);
        const auto kind = command.network == Network::none ? LaunchKind::private_network : LaunchKind::host_network;
        send_packet(state_->control.get(), static_cast<char>(kind), theirs.get());
    }
    // The container's process is cloned and makes its own file systems beside this. Whatever goes
    // wrong here, that process has to be collected.
    std::exception_ptr failure;
    Prepared prepared{{}, MountPoints(-1, -1)};
    try {
        prepared = prepare(command);
    } catch (const Error&) {
        failure = std::current_exception();
    }
    state->pidfd = receive_answer(state->socket.get()).pidfd;
    if (!state->pidfd) throw Error(ErrorCode::internal, "the launcher process has died");
    if (failure) std::rethrow_exception(failure);
    if (!prepared.mount_points.empty()) {
        state->upper = UniqueFd(::fcntl(command.upper, F_DUPFD_CLOEXEC, 0));
        prepared.mount_points.set_upper(state->upper.get());
        state->mount_points = std::move(prepared.mount_points);
    }
    send_request(state->socket.get(), prepared.request);
    return Container(std::move(state));
}

}  // namespace mkimg::sandbox
