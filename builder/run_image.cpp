#include "builder/run_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "base/error.h"
#include "base/text.h"
#include "builder/stage_state.h"

namespace mkimg::builder {
namespace {

sandbox::BindMount parse_volume(const std::string& text) {
    const auto parts = split(text, ':');
    const bool has_mode = parts.size() == 3 && (parts[2] == "ro" || parts[2] == "rw");
    if ((parts.size() != 2 && !has_mode) || parts[0].empty() || !parts[1].starts_with('/')) {
        throw Error(ErrorCode::usage, "--volume " + text + ": SRC:DST[:ro] is needed, DST absolute");
    }
    sandbox::BindMount mount;
    mount.source = open_path(parts[0], O_PATH);
    mount.target = parts[1];
    mount.read_only = has_mode && parts[2] == "ro";
    return mount;
}

std::vector<std::string> command_line(const oci::ImageConfig& config, const RunImage& request) {
    std::vector<std::string> argv;
    if (request.entrypoint) {
        if (!request.entrypoint->empty()) argv.push_back(*request.entrypoint);
    } else if (config.entrypoint) {
        argv = *config.entrypoint;
    }
    if (!request.command.empty()) {
        argv.insert(argv.end(), request.command.begin(), request.command.end());
    } else if (config.cmd && !request.entrypoint) {
        argv.insert(argv.end(), config.cmd->begin(), config.cmd->end());
    }
    if (argv.empty()) {
        throw Error(ErrorCode::usage, "the image has neither ENTRYPOINT nor CMD",
                    "say what to run: mkimg run IMAGE COMMAND");
    }
    return argv;
}

}  // namespace

RunningImage run_image(const oci::Digest& image, const RunImage& request, oci::Store& store, layers::LayerStore& layers,
                       sandbox::Launcher& launcher) {
    oci::ImageConfig config = oci::ImageConfig::parse(store.read_blob(image));
    for (const std::string& entry : request.env) {
        const std::size_t equals = entry.find('=');
        if (equals != std::string::npos) {
            config.set_env(entry.substr(0, equals), entry.substr(equals + 1));
        } else if (const char* inherited = std::getenv(entry.c_str())) {
            config.set_env(entry, inherited);
        }
    }
    if (!config.env_value("PATH")) config.set_env("PATH", default_path);

    layers::Snapshot snapshot = layers.prepare(oci::chain_id(config.diff_ids));
    sandbox::Command command;
    for (const UniqueFd& fd : snapshot.lower) command.lower.push_back(fd.get());
    command.upper = snapshot.upper.get();
    command.work = snapshot.work.get();
    command.argv = command_line(config, request);
    command.env = config.env;
    command.user = request.user.empty() ? config.user : request.user;
    command.working_dir = !request.working_dir.empty() ? request.working_dir
                          : config.working_dir.empty() ? "/"
                                                       : config.working_dir;
    command.network = request.own_network ? sandbox::Network::none : sandbox::Network::host;
    for (const std::string& volume : request.volumes) command.mounts.push_back(parse_volume(volume));
    if (request.keep_stdin) command.stdin_fd = STDIN_FILENO;
    command.stdout_fd = STDOUT_FILENO;
    command.stderr_fd = STDERR_FILENO;
    sandbox::Container container = launcher.start(command);
    return {std::move(snapshot), std::move(container)};
}

}  // namespace mkimg::builder
