// mkimg load
#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <memory>

#include "base/error.h"
#include "builder/import.h"
#include "cli/command.h"
#include "cli/session.h"

namespace mkimg::cli {
namespace {

struct LoadOptions {
    std::string file = "-";
    std::string platform;
};

UniqueFd open_archive(const std::string& file) {
    if (file != "-") return open_path(file, O_RDONLY | O_NOCTTY);
    if (::isatty(STDIN_FILENO) == 1) {
        throw Error(ErrorCode::usage, "an archive is not read from a terminal", "use -i FILE, or send one to stdin");
    }
    UniqueFd copy(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!copy) throw_errno("read stdin");
    return copy;
}

void load(const Globals& globals, const LoadOptions& options) {
    const auto platform = options.platform.empty() ? oci::Platform::host() : oci::Platform::parse(options.platform);
    UniqueFd archive = open_archive(options.file);
    Session session(globals);
    const auto images = builder::import_archive(session.store, session.layers, std::move(archive),
                                                options.file == "-" ? "stdin" : options.file, platform);
    session.store.sync();
    for (const auto& image : images) {
        if (image.names.empty()) {
            session.store.add_image(image.id);
            print("Loaded image ID: " + image.id.str() + "\n");
        }
        for (const auto& name : image.names) {
            session.store.tag(name, image.id);
            print("Loaded image: " + name.familiar() + "\n");
        }
    }
}

}  // namespace

void add_load(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<LoadOptions>();
    command.add_option("-i,--input", options->file, "An OCI or docker archive, plain or compressed (default: stdin)")
        ->type_name("FILE");
    command.add_option("--platform", options->platform, "Which image of several (default: this host's)")
        ->type_name("OS/ARCH");
    command.callback([options, &globals] { load(globals, *options); });
}

}  // namespace mkimg::cli
