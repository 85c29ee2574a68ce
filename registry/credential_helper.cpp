#include "registry/credential_helper.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

namespace mkimg::registry {
namespace {

constexpr std::size_t output_limit = 1U << 20U;
constexpr std::string_view token_user = "<token>";  // the secret is an identity token
constexpr std::string_view not_found = "credentials not found in native keychain";

class Spawning {  // how a helper is started
  public:
    Spawning(int in, int out, int err) {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawn_file_actions_adddup2(&actions_, in, STDIN_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, out, STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, err, STDERR_FILENO);
        // mkimg ignores SIGPIPE, and a thread may block signals: the program expects neither.
        sigset_t signals;
        ::posix_spawnattr_init(&attributes_);
        ::sigemptyset(&signals);
        ::posix_spawnattr_setsigmask(&attributes_, &signals);
        ::sigaddset(&signals, SIGPIPE);
        ::posix_spawnattr_setsigdefault(&attributes_, &signals);
        ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    Spawning(const Spawning&) = delete;
    Spawning& operator=(const Spawning&) = delete;
    ~Spawning() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }

    pid_t start(const std::string& program, const char* argument) const {
        const std::array<char*, 3> argv{const_cast<char*>(program.c_str()), const_cast<char*>(argument), nullptr};
        pid_t pid = -1;
        const int err = ::posix_spawnp(&pid, program.c_str(), &actions_, &attributes_, argv.data(), environ);
        if (err == ENOENT) {
            throw Error(ErrorCode::host, "the credential helper " + program + " is not installed",
                        "install it somewhere in PATH, or take it out of credHelpers and credsStore");
        }
        if (err != 0) {
            throw Error(ErrorCode::host, "the credential helper " + program +
                                             " can't be started: " + errno_error(err, "start").message());
        }
        return pid;
    }

  private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

// Killed and waited for at the latest when this ends.
class Child {
  public:
    explicit Child(pid_t pid) : pid_(pid), pidfd_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            wait();
        }
    }

    int pidfd() const { return pidfd_.get(); }
    int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return status;
    }

  private:
    pid_t pid_;
    UniqueFd pidfd_;
};

// A file in memory that holds `text`, at its start. No pipe: a helper need not read what it is sent.
UniqueFd memory_file(const std::string& text) {
    UniqueFd file(::memfd_create("credential", MFD_CLOEXEC));
    if (!file) throw_errno("make a file in memory");
    write_full(file.get(), text);
    if (::lseek(file.get(), 0, SEEK_SET) != 0) throw_errno("rewind a file in memory");
    return file;
}

// Appends what can be read now; false at the end.
bool drain(int fd, std::string& output) {
    std::array<char, 4096> buffer;
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    output.append(buffer.data(), static_cast<std::size_t>(count));
    return count > 0;
}

std::string first_line(std::string_view text) {
    constexpr std::size_t longest = 200;
    text = trim(text);
    return printable(text.substr(0, std::min(text.find_first_of("\r\n"), longest)));
}

}  // namespace

struct CredentialHelper::Outcome {
    int status = 0;  // as waitpid() tells it
    std::string output;
    std::string errors;
    bool succeeded() const { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }
    // By the protocol on stdout; not every helper knows that.
    std::string_view said() const { return trim(trim(output).empty() ? errors : output); }
};

CredentialHelper::CredentialHelper(std::string_view name, std::chrono::milliseconds time_limit)
    : program_("docker-credential-" + std::string(name)), time_limit_(time_limit) {
    const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    });
    if (!plain) {
        throw Error(ErrorCode::usage, "\"" + printable(name) + "\" is no name of a credential helper",
                    "credHelpers and credsStore name the X of a program docker-credential-X, with A-Z a-z 0-9 . _ -");
    }
}

// Ends with the program, whoever may still hold its output open.
CredentialHelper::Outcome CredentialHelper::run(const char* action, const std::string& input) const {
    using Clock = std::chrono::steady_clock;
    const auto deadline = Clock::now() + time_limit_;
    const UniqueFd in = memory_file(input);
    Pipe out = make_pipe();
    Pipe err = make_pipe();
    Child child(Spawning(in.get(), out.write.get(), err.write.get()).start(program_, action));
    if (child.pidfd() < 0) throw_errno("watch", program_);
    out.write.reset();
    err.write.reset();
    for (const int fd : {out.read.get(), err.read.get()}) ::fcntl(fd, F_SETFL, O_NONBLOCK);

    Outcome outcome;
    std::array<pollfd, 3> files{{{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}, {child.pidfd(), POLLIN, 0}}};
    bool running = true;
    while (running) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        const int ready = left <= 0 ? 0 : ::poll(files.data(), files.size(), static_cast<int>(left));
        if (ready < 0 && errno != EINTR) throw_errno("wait for", program_);
        if (ready == 0) {
            throw Error(ErrorCode::denied,
                        "the credential helper " + program_ + " did not answer within " +
                            human_duration(std::chrono::duration<double>(time_limit_).count()),
                        "it may wait for somebody to unlock its store: try it by hand");
        }
        if (ready < 0) continue;
        running = files[2].revents == 0;
        // What it wrote before it ended is there by now.
        for (bool more = true; more;) {
            const std::size_t before = outcome.output.size() + outcome.errors.size();
            if (files[0].fd >= 0 && !drain(files[0].fd, outcome.output)) files[0].fd = -1;
            if (files[1].fd >= 0 && !drain(files[1].fd, outcome.errors)) files[1].fd = -1;
            const std::size_t after = outcome.output.size() + outcome.errors.size();
            if (after > output_limit) {
                throw Error(ErrorCode::denied,
                            "the credential helper " + program_ + " wrote more than " + human_size(output_limit));
            }
            more = after > before;
        }
    }
    outcome.status = child.wait();
    return outcome;
}

// A credential in what it said, or the secret that it was given, is not shown.
void CredentialHelper::fail(const char* action, const Outcome& outcome, std::string_view secret) const {
    const std::string_view said = outcome.said();
    const bool tells =
        said.find('{') != std::string::npos || (!secret.empty() && said.find(secret) != std::string_view::npos);
    const std::string line = tells ? std::string() : first_line(said);
    const std::string status = WIFEXITED(outcome.status)
                                   ? "exit status " + std::to_string(WEXITSTATUS(outcome.status))
                                   : "killed by signal " + std::to_string(WTERMSIG(outcome.status));
    throw Error(ErrorCode::denied,
                "the credential helper " + program_ + " " + action + " failed: " + (line.empty() ? status : line),
                "try it by hand: echo REGISTRY | " + program_ + " get");
}

std::optional<Credential> CredentialHelper::get(const std::string& server) const {
    const Outcome outcome = run("get", server);
    if (!outcome.succeeded()) {
        if (outcome.said() == not_found) return std::nullopt;
        fail("get", outcome);
    }
    const auto document = nlohmann::json::parse(outcome.output, nullptr, false);
    const auto text = [&](const char* name) -> std::optional<std::string> {
        const auto found = document.find(name);
        return found == document.end() || !found->is_string() ? std::nullopt : std::optional(found->get<std::string>());
    };
    const auto username = document.is_object() ? text("Username") : std::nullopt;
    auto secret = document.is_object() ? text("Secret") : std::nullopt;
    if (!username || !secret) {
        throw Error(ErrorCode::denied, "the credential helper " + program_ + " did not answer with a credential",
                    "try it by hand: echo REGISTRY | " + program_ + " get");
    }
    if (username->empty() && secret->empty()) return std::nullopt;
    Credential credential;
    if (*username == token_user) {
        credential.identity_token = std::move(*secret);
    } else {
        credential.username = *username;
        credential.password = std::move(*secret);
    }
    return credential;
}

void CredentialHelper::store(const std::string& server, const Credential& credential) const {
    const bool token = !credential.identity_token.empty();
    const std::string& secret = token ? credential.identity_token : credential.password;
    const nlohmann::json document{
        {"ServerURL", server}, {"Username", token ? std::string(token_user) : credential.username}, {"Secret", secret}};
    std::string text;
    try {
        text = document.dump();
    } catch (const nlohmann::json::type_error&) {
        throw Error(ErrorCode::usage, "the user name or the password is not UTF-8, which " + program_ + " needs");
    }
    const Outcome outcome = run("store", text);
    if (!outcome.succeeded()) fail("store", outcome, secret);
}

void CredentialHelper::erase(const std::string& server) const {
    const Outcome outcome = run("erase", server);
    if (!outcome.succeeded() && outcome.said() != not_found) fail("erase", outcome);
}

}  // namespace mkimg::registry
