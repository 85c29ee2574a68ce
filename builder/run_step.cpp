#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <array>
#include <deque>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/config_step.h"
#include "builder/config_values.h"
#include "builder/step.h"

namespace mkimg::builder {
namespace {

constexpr std::size_t tail_lines = 20;
constexpr std::size_t tail_bytes = 16 * 1024;
constexpr std::string_view script_path = "/dev/mkimg-script";

// The last lines of a command's output, for the report of a failure.
class Tail {
  public:
    void add(std::span<const std::byte> bytes) {
        text_ += as_text(bytes);
        if (text_.size() > 2 * tail_bytes) text_.erase(0, text_.size() - tail_bytes);
    }

    std::string lines() const {
        std::string_view text = text_;
        while (text.ends_with('\n')) text.remove_suffix(1);
        if (text.empty()) return "";
        std::size_t start = text.size();
        for (std::size_t lines = 0; lines < tail_lines && start != std::string_view::npos && start != 0; ++lines) {
            start = text.rfind('\n', start - 1);
        }
        if (start == std::string_view::npos) {
            start = 0;
        } else if (start != 0) {
            ++start;
        }
        std::string out;
        for (const std::string& line : split(text.substr(start), '\n')) out += "    " + line + "\n";
        return out;
    }

  private:
    std::string text_;
};

// What RUN executes, in the words of the recipe.
struct Invocation {
    std::vector<std::string> argv;
    std::string script;  // of a heredoc with a #! line; argv names script_path
};

Invocation invocation(const parser::Instruction& line, const oci::ImageConfig& config) {
    if (line.form == parser::Form::exec) {
        if (line.arguments.empty()) throw Error(ErrorCode::recipe, "RUN has no command");
        return {line.arguments, ""};
    }
    std::string command = line.arguments.at(0);
    if (!line.heredocs.empty()) {
        const std::string_view marker = trim(command);
        const bool alone = line.heredocs.size() == 1 && marker.starts_with("<<") &&
                           marker.find_first_of(" \t;|&<>()", 2) == std::string_view::npos;
        if (alone && line.heredocs[0].content.starts_with("#!")) {
            return {{std::string(script_path)}, line.heredocs[0].content};
        }
        if (alone) {
            command = line.heredocs[0].content;
        } else {
            // The shell reads the documents itself, as they stand behind its command.
            for (const parser::Heredoc& heredoc : line.heredocs) command += "\n" + heredoc.content + heredoc.name;
            command += "\n";
        }
    }
    Invocation run{shell_of(config), ""};
    run.argv.push_back(std::move(command));
    return run;
}

sandbox::Network network_of(const parser::Instruction& line, const StepServices& services) {
    NetworkMode mode = services.request.network;
    if (const parser::Flag* flag = line.flag("network")) {
        if (flag->value == "none") mode = NetworkMode::none;
        if (flag->value == "host") mode = NetworkMode::host;
    }
    return mode == NetworkMode::none ? sandbox::Network::none : sandbox::Network::host;
}

// ENV, then the ARGs that ENV doesn't hide, then PATH where nobody set it.
std::vector<std::string> environment(const StageState& state) {
    std::vector<std::string> env = state.config.env;
    for (const Arg& arg : state.args.all()) {
        if (arg.value && !state.config.env_value(arg.name)) env.push_back(arg.name + "=" + *arg.value);
    }
    const bool has_path =
        std::any_of(env.begin(), env.end(), [](const std::string& e) { return e.starts_with("PATH="); });
    if (!has_path) env.push_back("PATH=" + std::string(default_path));
    return env;
}

// Streams the container's output until it has ended and both pipes are empty.
sandbox::Exit pump(sandbox::Container& container, Pipe& out, Pipe& err, const StepInfo& info,
                   const StepServices& services, Tail& tail) {
    std::array<std::byte, 32 * 1024> buffer;
    std::array<pollfd, 4> polled = {{{out.read.get(), POLLIN, 0},
                                     {err.read.get(), POLLIN, 0},
                                     {container.event_fd(), POLLIN, 0},
                                     {services.cancel.event_fd(), POLLIN, 0}}};
    while (polled[0].fd >= 0 || polled[1].fd >= 0 || polled[2].fd >= 0) {
        if (::poll(polled.data(), polled.size(), -1) < 0) {
            if (errno == EINTR) continue;
            throw_errno("wait for a command");
        }
        if (polled[3].revents != 0) services.cancel.check();  // the container's destructor kills it
        for (pollfd& stream : std::span(polled).first(2)) {
            if (stream.revents == 0) continue;
            const ssize_t n = ::read(stream.fd, buffer.data(), buffer.size());
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) {
                stream.fd = -1;
                continue;
            }
            const std::span<const std::byte> bytes(buffer.data(), static_cast<std::size_t>(n));
            tail.add(bytes);
            services.log.write(info, bytes);
            services.progress.output(info, bytes);
        }
        if (polled[2].revents != 0) polled[2].fd = -1;
    }
    return container.wait();
}

[[noreturn]] void report(const parser::Instruction& line, const Invocation& run, const sandbox::Exit& exit,
                         const Tail& tail, const StepServices& services) {
    std::string end = "exit status " + std::to_string(exit.status);
    if (exit.signal != 0) {
        const char* name = ::sigabbrev_np(exit.signal);
        end = "killed by signal " + std::to_string(exit.signal) +
              (name != nullptr ? " (SIG" + std::string(name) + ")" : "");
    }
    std::string hint;
    if (exit.status == 127) hint = "the command was not found in the image: is its package installed, is PATH right?";
    if (exit.status == 126)
        hint =
            "the command is there but can't be executed: is it executable, of this platform, and its interpreter "
            "there?";
    if (exit.signal == SIGKILL) hint = "SIGKILL often means that the host ran out of memory";
    std::string detail = tail.lines();
    if (detail.empty()) {
        detail = "  the command printed nothing\n";
    } else {
        detail = "  its last lines:\n" + detail + "  the whole output: " + services.log.path() + "\n";
    }
    const std::string command = run.script.empty() ? join(run.argv, " ") : "the heredoc's script";
    Error error(ErrorCode::build_failed, "RUN failed: " + end + ": " + command, hint);
    error.set_detail(detail).set_where(line.where);
    throw error;
}

}  // namespace

StepOutcome run_step(const parser::Instruction& line, const StepInfo& info, const StageState& state,
                     const StepServices& services) {
    const Invocation run = invocation(line, state.config);
    const sandbox::Network network = network_of(line, services);
    const std::vector<std::string> env = environment(state);
    const std::string directory = state.config.working_dir.empty() ? "/" : state.config.working_dir;

    CacheKey key("RUN", state.chain);
    key.field("arguments", run.argv)
        .field("script", run.script)
        .field("environment", env)
        .field("user", state.config.user)
        .field("directory", directory)
        .field("platform", state.config.platform.str())
        .field("network", network == sandbox::Network::none ? "none" : "host")
        .field("epoch", services.request.epoch ? std::to_string(*services.request.epoch) : "");
    std::vector<std::string> hosts;
    for (const auto& [name, address] : services.request.extra_hosts) hosts.push_back(name + "=" + address);
    key.field("hosts", hosts);

    return cached_or_made(key, state, services, [&](layers::Snapshot& snapshot) {
        sandbox::Command command;
        for (const UniqueFd& fd : snapshot.lower) command.lower.push_back(fd.get());
        command.upper = snapshot.upper.get();
        command.work = snapshot.work.get();
        command.argv = run.argv;
        command.env = env;
        for (const auto& [name, value] : services.args.proxies()) command.env.push_back(name + "=" + value);
        command.user = state.config.user;
        command.working_dir = directory;
        command.network = network;
        command.extra_hosts = services.request.extra_hosts;
        if (!run.script.empty()) {
            AtomicFile script(snapshot.dir.fd(), "script", 0755);
            script.write(run.script);
            script.commit();
            sandbox::BindMount mount;
            mount.source = open_at(snapshot.dir.fd(), "script", O_PATH);
            mount.target = script_path;
            mount.read_only = true;
            command.mounts.push_back(std::move(mount));
        }
        Pipe out = make_pipe();
        Pipe err = make_pipe();
        command.stdout_fd = out.write.get();
        command.stderr_fd = err.write.get();
        sandbox::Container container = services.launcher.start(command);
        out.write.reset();
        err.write.reset();
        Tail tail;
        const sandbox::Exit exit = pump(container, out, err, info, services, tail);
        if (exit.status != 0 || exit.signal != 0) report(line, run, exit, tail, services);
    });
}

}  // namespace mkimg::builder
