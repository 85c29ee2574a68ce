// mkimg run [OPTIONS] REF [COMMAND…]
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <array>
#include <memory>

#include "base/error.h"
#include "builder/run_image.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/registry_options.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "sandbox/sandbox.h"

namespace mkimg::cli {
namespace {

struct RunOptions {
    std::string image;
    std::vector<std::string> command;
    std::vector<std::string> env;
    std::vector<std::string> volumes;
    std::string user;
    std::string workdir;
    std::optional<std::string> entrypoint;
    std::string network = "host";
    bool remove = false;
    bool interactive = false;
    bool quiet = false;
    std::string progress = "auto";
    RegistryOptions registry;
};

constexpr std::array forwarded = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};

// Signals that go on to the command arrive as reads of this descriptor. Blocked before any thread
// starts, so that every thread leaves them to it.
UniqueFd block_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : forwarded) ::sigaddset(&set, number);
    if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) throw_errno("block signals");
    const int fd = ::signalfd(-1, &set, SFD_CLOEXEC);
    if (fd < 0) throw_errno("make a signal descriptor");
    return UniqueFd(fd);
}

// With threads of its own, and with signals that cancel it: all of that is over before the command has the terminal and
// is sent the signals.
void fetch_layers(const Globals& globals, const RunOptions& options, const oci::Digest& image) {
    const auto progress = make_progress(options.progress, options.quiet);
    Cancellation cancel;
    const CancelOnSignal on_signal(cancel);
    Session session(globals, options.registry.config(), cancel);
    session.remote.set_listener([&](const registry::Transfer& transfer) { progress->transfer(transfer); });
    bring_layers(session, image);
    cancel.check();
}

bool has_layers(Session& session, const oci::Digest& image) {
    const auto top = oci::chain_id(oci::ImageConfig::parse(session.store.read_blob(image)).diff_ids);
    return !top || session.layers.find(*top);
}

sandbox::Exit wait_forwarding(sandbox::Container& container, int signals) {
    std::array<pollfd, 2> polled = {{{container.event_fd(), POLLIN, 0}, {signals, POLLIN, 0}}};
    for (;;) {
        if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) throw_errno("wait for the command");
        if (polled[1].revents != 0) {
            signalfd_siginfo info{};
            if (::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
                container.signal(static_cast<int>(info.ssi_signo));
            }
        }
        if (polled[0].revents != 0) return container.wait();
    }
}

void run(Globals& globals, const RunOptions& options) {
    if (options.network != "host" && options.network != "default" && options.network != "none") {
        throw Error(ErrorCode::usage, "--network " + options.network + ": unknown mode", "use default, none or host");
    }
    Session session(globals);
    sandbox::Launcher launcher;
    const oci::Digest image = require_image(session.store, options.image).id;
    if (!has_layers(session, image)) fetch_layers(globals, options, image);
    const UniqueFd signals = block_signals();

    builder::RunImage request;
    request.command = options.command;
    request.env = options.env;
    request.volumes = options.volumes;
    request.user = options.user;
    request.working_dir = options.workdir;
    request.entrypoint = options.entrypoint;
    request.own_network = options.network == "none";
    request.keep_stdin = options.interactive;
    builder::RunningImage running = builder::run_image(image, request, session.store, session.layers, launcher);
    globals.exit_status = wait_forwarding(running.container, signals.get()).status;
}

}  // namespace

void add_run(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<RunOptions>();
    // Whatever stands behind the image is the command's, flags too.
    command.positionals_at_end();
    command.add_option("image", options->image, "The image, by name or ID")->required()->type_name("");
    command.add_option("command", options->command, "The command, instead of the image's CMD")->type_name("");
    command.add_flag("--rm", options->remove, "Remove the container's files afterwards; they always are");
    command.add_flag("-i,--interactive", options->interactive, "Give the command mkimg's standard input");
    command.add_option("-e,--env", options->env, "Set a variable; NAME alone takes it from the environment")
        ->type_name("NAME[=VALUE]")
        ->allow_extra_args(false);
    command.add_option("-v,--volume", options->volumes, "Bind a host file or directory")
        ->type_name("SRC:DST[:ro]")
        ->allow_extra_args(false);
    command.add_option("-u,--user", options->user, "Run as this user instead of the image's")
        ->type_name("USER[:GROUP]");
    command.add_option("-w,--workdir", options->workdir, "Run in this directory")->type_name("DIR");
    command.add_option("--entrypoint", options->entrypoint, "Run this instead of the image's entry point")
        ->type_name("PROGRAM");
    command.add_option("--network", options->network, "default and host are the host's, none has only lo")
        ->type_name("MODE");
    command.add_flag("-q,--quiet", options->quiet, "Say nothing of layers that are fetched first");
    command.add_option("--progress", options->progress, "Of layers that are fetched: auto, tty, plain or quiet")
        ->type_name("KIND");
    options->registry.add_to(command);
    command.callback([options, &globals] { run(globals, *options); });
}

}  // namespace mkimg::cli
