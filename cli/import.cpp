// mkimg import FILE|- NAME
#include <fcntl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "builder/import.h"
#include "cli/command.h"
#include "cli/session.h"

namespace mkimg::cli {
namespace {

struct ImportOptions {
    std::string file;
    std::string name;
    std::vector<std::string> changes;
    std::string message;
    std::string platform;
};

std::int64_t created() {
    const char* epoch = std::getenv("SOURCE_DATE_EPOCH");
    if (epoch == nullptr || *epoch == '\0') return std::time(nullptr);
    const auto seconds = parse_u64(epoch);
    if (!seconds || *seconds >> 62U != 0) {
        throw Error(ErrorCode::usage, std::string("SOURCE_DATE_EPOCH=") + epoch + ": seconds since 1970 are needed");
    }
    return static_cast<std::int64_t>(*seconds);
}

void import(const Globals& globals, const ImportOptions& options) {
    if (options.file.starts_with("http://") || options.file.starts_with("https://")) {
        throw Error(ErrorCode::unsupported, "import from an URL is not supported yet",
                    "download it and pipe it in: curl URL | mkimg import - NAME");
    }
    const auto name = oci::Reference::parse(options.name);
    oci::Store::check_new_name(name);
    builder::RootfsOptions rootfs{.changes = options.changes,
                                  .message = options.message,
                                  .platform = oci::Platform::host(),
                                  .created = created()};
    if (!options.platform.empty()) rootfs.platform = oci::Platform::parse(options.platform);
    UniqueFd file;
    if (options.file != "-") {
        file = open_path(options.file, O_RDONLY | O_NOCTTY);
    } else if (::isatty(STDIN_FILENO) == 1) {
        throw Error(ErrorCode::usage, "a tar is not read from a terminal", "name a file, or send one to stdin");
    }
    Session session(globals);
    FdSource tar(file ? file.get() : STDIN_FILENO);
    std::optional<oci::Digest> id;
    try {
        id = builder::import_rootfs(session.store, session.layers, tar, rootfs);
    } catch (Error& error) {
        throw std::move(error.add_context("import " + options.file));
    }
    session.store.sync();
    session.store.tag(name, *id);
    print(id->str() + "\n");
}

}  // namespace

void add_import(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<ImportOptions>();
    command.add_option("file", options->file, "A tar of a root file system, plain or compressed; - is stdin")
        ->required()
        ->type_name("");
    command.add_option("name", options->name, "What the image is to be called: NAME[:TAG]")->required()->type_name("");
    command
        .add_option("-c,--change", options->changes,
                    "An instruction for the image's config: 'CMD [\"sh\"]'; repeatable")
        ->type_name("LINE")
        ->allow_extra_args(false);
    command.add_option("-m,--message", options->message, "A comment for the history")->type_name("TEXT");
    command.add_option("--platform", options->platform, "What it runs on (default: this host's)")->type_name("OS/ARCH");
    command.callback([options, &globals] { import(globals, *options); });
}

}  // namespace mkimg::cli
