// mkimg push IMAGE [NAME]
#include "builder/push.h"

#include <CLI/App.hpp>
#include <memory>

#include "base/error.h"
#include "builder/export_spec.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/push_report.h"
#include "cli/registry_options.h"
#include "cli/report_options.h"
#include "cli/session.h"
#include "cli/signals.h"

namespace mkimg::cli {
namespace {

struct PushArguments {
    std::string image;
    std::string destination;
    std::string compression;
    std::string level;
    bool force = false;
    std::string oci_media_types;
    ReportOptions report;
    RegistryOptions registry;
};

// The same rules as an output of the build has.
builder::PushOptions push_options(const PushArguments& arguments) {
    std::string spec = "type=registry";
    if (!arguments.oci_media_types.empty()) spec += ",oci-mediatypes=" + arguments.oci_media_types;
    if (!arguments.compression.empty()) spec += ",compression=" + arguments.compression;
    if (!arguments.level.empty()) spec += ",compression-level=" + arguments.level;
    if (arguments.force) spec += ",force-compression=true";
    const builder::OutputSpec output = builder::parse_output(spec);
    builder::PushOptions options;
    if (output.compression_given) options.compression = output.compression;
    if (output.oci_media_types_given) options.oci_media_types = output.oci_media_types;
    return options;
}

void push(const Globals& globals, const PushArguments& arguments) {
    const bool json = arguments.report.json();
    const builder::PushOptions options = push_options(arguments);
    const auto progress = arguments.report.make_progress();
    Cancellation cancel;
    const CancelOnSignal on_signal(cancel);
    Session session(globals, arguments.registry.config(), cancel, Session::Network::always);
    const auto listener = [&](const registry::Transfer& transfer) { progress->transfer(transfer); };
    session.remote.set_listener(listener);
    const auto image = require_image(session.store, arguments.image);
    const std::string text = arguments.destination.empty() ? name_used(arguments.image, image) : arguments.destination;
    if (text.empty()) {
        throw Error(ErrorCode::usage, "a push needs to know where to: " + arguments.image + " is no name",
                    "give one: mkimg push " + arguments.image + " HOST/NAME:TAG");
    }
    const auto name = oci::Reference::parse(text);
    oci::Store::check_new_name(name);
    const auto pushed =
        builder::push_image({session.store, session.layers, session.remote, session.registries, listener}, image.id,
                            {&name, 1}, options)
            .front();
    progress->note((pushed.blobs.empty() ? "nothing to push: the registry has " : "pushed ") + name.str() + "@" +
                   pushed.manifest.digest.str());
    print(json ? push_report(name.str(), pushed.manifest, pushed.blobs).dump(2) + "\n"
               : pushed.manifest.digest.str() + "\n");
}

}  // namespace

void add_push(CLI::App& command, Globals& globals) {
    auto arguments = std::make_shared<PushArguments>();
    command.add_option("image", arguments->image, "Name or ID of an image of the store")->required()->type_name("");
    command.add_option("name", arguments->destination, "Where to, HOST/NAME:TAG (default: what the image is called)")
        ->type_name("");
    command
        .add_option("--compression", arguments->compression,
                    "All layers as gzip, zstd or uncompressed (default: as they came, new ones gzip)")
        ->type_name("KIND");
    command.add_option("--compression-level", arguments->level, "How hard to try")->type_name("N");
    command.add_flag("--force-compression", arguments->force, "Also layers that came in that form already");
    command
        .add_option("--oci-mediatypes", arguments->oci_media_types,
                    "false: a manifest of Docker's schema 2 (default: as it came, else OCI)")
        ->type_name("true|false");
    arguments->report.add_to(command, "digest");
    arguments->registry.add_to(command);
    command.callback([arguments, &globals] { push(globals, *arguments); });
}

}  // namespace mkimg::cli
