// mkimg build [OPTIONS] PATH | -
#include <arpa/inet.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "base/cancel.h"
#include "base/error.h"
#include "base/text.h"
#include "builder/build.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/registry_options.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "sandbox/sandbox.h"

namespace mkimg::cli {
namespace {

// The options as they were typed.
struct BuildOptions {
    std::string context = ".";
    std::string file;
    std::vector<std::string> tags;
    std::vector<std::string> build_args;
    std::vector<std::string> labels;
    std::string target;
    std::string platform;
    bool no_cache = false;
    std::string network = "default";
    std::vector<std::string> hosts;
    std::vector<std::string> outputs;
    std::string epoch;
    unsigned jobs = 0;
    bool quiet = false;
    std::string progress = "auto";
    std::string iid_file;
    std::string metadata_file;
    std::string pull = "missing";
    bool push = false;
    bool load = false;
    RegistryOptions registry;
};

std::pair<std::string, std::optional<std::string>> name_and_value(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) return {text, std::nullopt};
    return {text.substr(0, equals), text.substr(equals + 1)};
}

std::int64_t parse_epoch(const std::string& text, const std::string& origin) {
    const auto value = parse_u64(text);
    // 8589934591 is what ustar can hold; the year 2242.
    if (!value || *value > 8589934591ULL) {
        throw Error(ErrorCode::usage, origin + "=" + text + ": seconds since 1970 are needed",
                    "for example: export SOURCE_DATE_EPOCH=$(git log -1 --pretty=%ct)");
    }
    return static_cast<std::int64_t>(*value);
}

// The flag, then --build-arg, then the environment.
std::optional<std::int64_t> source_date_epoch(const BuildOptions& options) {
    if (!options.epoch.empty()) return parse_epoch(options.epoch, "--source-date-epoch");
    for (const std::string& arg : options.build_args) {
        const auto [name, value] = name_and_value(arg);
        if (name == "SOURCE_DATE_EPOCH" && value && !value->empty()) {
            return parse_epoch(*value, "--build-arg SOURCE_DATE_EPOCH");
        }
    }
    const char* inherited = std::getenv("SOURCE_DATE_EPOCH");
    if (inherited != nullptr && *inherited != '\0') return parse_epoch(inherited, "SOURCE_DATE_EPOCH");
    return std::nullopt;
}

std::pair<std::string, std::string> parse_host(const std::string& text) {
    const std::size_t separator = text.find_first_of(":=");
    if (separator == std::string::npos || separator == 0 || separator + 1 == text.size()) {
        throw Error(ErrorCode::usage, "--add-host " + text + ": HOST:IP is needed");
    }
    const std::string name = text.substr(0, separator);
    const std::string address = text.substr(separator + 1);
    std::array<unsigned char, sizeof(in6_addr)> parsed{};
    const bool is_address = ::inet_pton(AF_INET, address.c_str(), parsed.data()) == 1 ||
                            ::inet_pton(AF_INET6, address.c_str(), parsed.data()) == 1;
    const bool is_name = std::all_of(name.begin(), name.end(), [](unsigned char c) { return c > ' ' && c != 0x7F; });
    if (!is_address || !is_name || address.find('\0') != std::string::npos) {
        throw Error(ErrorCode::usage, "--add-host " + text + ": not a host name and an IPv4 or IPv6 address",
                    "for example --add-host db:10.0.0.5");
    }
    return {name, address};
}

builder::BuildRequest make_request(const BuildOptions& options) {
    builder::BuildRequest request;
    request.context = options.context;
    request.file = options.file;
    request.tags = options.tags;
    for (const std::string& arg : options.build_args) {
        request.build_args.push_back(name_and_value(arg));
        if (request.build_args.back().first.empty()) {
            throw Error(ErrorCode::usage, "--build-arg " + arg + ": NAME or NAME=VALUE is needed");
        }
    }
    for (const std::string& label : options.labels) {
        auto [name, value] = name_and_value(label);
        if (name.empty()) throw Error(ErrorCode::usage, "--label " + label + ": NAME or NAME=VALUE is needed");
        if (!value) {
            const char* inherited = std::getenv(name.c_str());
            value = inherited != nullptr ? inherited : "";
        }
        request.labels[name] = *value;
    }
    request.target = options.target;
    request.platform = options.platform;
    request.no_cache = options.no_cache;
    if (options.network == "none") {
        request.network = builder::NetworkMode::none;
    } else if (options.network == "host") {
        request.network = builder::NetworkMode::host;
    } else if (options.network != "default") {
        throw Error(ErrorCode::usage, "--network " + options.network + ": unknown mode", "use default, none or host");
    }
    for (const std::string& host : options.hosts) request.extra_hosts.push_back(parse_host(host));
    for (const std::string& output : options.outputs) request.outputs.push_back(builder::parse_output(output));
    if (options.push) request.outputs.push_back(builder::parse_output("type=registry"));
    request.pull = builder::parse_pull_policy(options.pull.empty() ? "always" : options.pull);
    request.epoch = source_date_epoch(options);
    request.jobs = options.jobs;
    request.iid_file = options.iid_file;
    request.metadata_file = options.metadata_file;
    return request;
}

void build(const Globals& globals, const BuildOptions& options) {
    const builder::BuildRequest request = make_request(options);
    const auto progress = make_progress(options.progress, options.quiet);
    Cancellation cancel;
    const CancelOnSignal on_signal(cancel);
    Session session(globals, options.registry.config(), cancel);
    session.remote.set_listener([&](const registry::Transfer& transfer) { progress->transfer(transfer); });
    sandbox::Launcher launcher;
    const builder::BuildSummary summary = builder::build(
        request,
        {session.store, session.layers, session.registries, session.remote, session.pool, launcher, *progress, cancel});
    if (options.quiet) {
        // An archive on stdout must hold nothing else.
        const bool stdout_is_taken = std::any_of(request.outputs.begin(), request.outputs.end(),
                                                 [](const auto& output) { return output.destination == "-"; });
        const std::string id = summary.image.str() + "\n";
        stdout_is_taken ? write_full(STDERR_FILENO, id) : print(id);
        return;
    }
    std::string steps = std::to_string(summary.ran) + (summary.ran == 1 ? " step ran, " : " steps ran, ") +
                        std::to_string(summary.cached) + (summary.cached == 1 ? " was cached" : " were cached");
    if (summary.ran == 0) {
        steps = summary.cached == 1
                    ? "nothing to run: the one step that changes files was cached"
                    : "nothing to run: all " + std::to_string(summary.cached) + " steps that change files were cached";
        if (summary.cached == 0) steps = "no step changes files";
    }
    progress->note("image " + summary.image.str() + " (" + steps + ")");
    for (const std::string& tag : request.tags) progress->note("named " + oci::Reference::parse(tag).familiar());
}

}  // namespace

void add_build(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<BuildOptions>();
    command.add_option("context", options->context, "The directory to copy from, or - for a recipe or a tar on stdin")
        ->required()
        ->type_name("");
    command.add_option("-t,--tag", options->tags, "Name the image; repeatable")
        ->type_name("NAME[:TAG]")
        ->allow_extra_args(false);
    command.add_option("-f,--file", options->file, "The recipe (default: PATH/Dockerfile, then PATH/Containerfile)")
        ->type_name("FILE");
    command.add_option("--build-arg", options->build_args, "A value for ARG; NAME alone takes it from the environment")
        ->type_name("NAME[=VALUE]")
        ->allow_extra_args(false);
    command.add_option("--label", options->labels, "Add a label to the image")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    command.add_option("--target", options->target, "Build up to this stage, by name or number")->type_name("STAGE");
    command.add_option("--platform", options->platform, "The platform to build for; only the host's so far")
        ->type_name("OS/ARCH");
    command.add_flag("--no-cache", options->no_cache, "Run every step");
    command.add_option("--network", options->network, "For RUN: default and host are the host's, none has only lo")
        ->type_name("MODE");
    command.add_option("--add-host", options->hosts, "A line for /etc/hosts of RUN")
        ->type_name("HOST:IP")
        ->allow_extra_args(false);
    command
        .add_option("-o,--output", options->outputs,
                    "Write the image: type=oci|docker|local|tar|image|registry|cacheonly,dest=PATH; repeatable")
        ->type_name("SPEC")
        ->allow_extra_args(false);
    command.add_option("--pull", options->pull, "When to ask the registry for base images (default: missing)")
        ->type_name("always|missing|never|newer")
        ->expected(0, 1);
    command.add_flag("--push", options->push, "Push the image to the registries of its names: -o type=registry");
    command.add_flag("--load", options->load, "Keep the image in the store, as every build does");
    options->registry.add_to(command);
    command.add_option("--source-date-epoch", options->epoch, "Clamp all times to this (also $SOURCE_DATE_EPOCH)")
        ->type_name("SECONDS");
    command.add_option("--jobs", options->jobs, "Steps side by side (default: one per CPU)")
        ->type_name("N")
        ->check(CLI::Range(1, 1024));
    command.add_flag("-q,--quiet", options->quiet, "Print the image ID and nothing else");
    command.add_option("--progress", options->progress, "auto, tty, plain or quiet")->type_name("KIND");
    command.add_option("--iidfile", options->iid_file, "Write the image ID to a file")->type_name("FILE");
    command.add_option("--metadata-file", options->metadata_file, "Write digests and names as JSON to a file")
        ->type_name("FILE");
    command.callback([options, &globals] { build(globals, *options); });
}

}  // namespace mkimg::cli
