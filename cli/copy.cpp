// mkimg copy SOURCE DESTINATION
#include "registry/copy.h"

#include <CLI/App.hpp>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/push_report.h"
#include "cli/registry_options.h"
#include "cli/signals.h"
#include "oci/reference.h"
#include "registry/registries.h"

namespace mkimg::cli {
namespace {

struct CopyOptions {
    std::string source;
    std::string destination;
    std::string platform;
    bool quiet = false;
    std::string format = "text";
    std::string progress = "auto";
    RegistryOptions registry;
};

void copy(const CopyOptions& options) {
    if (options.format != "text" && options.format != "json") {
        throw Error(ErrorCode::usage, "--format " + options.format + ": text or json is needed");
    }
    const auto source = oci::Reference::parse(options.source);
    const auto destination = oci::Reference::parse(options.destination);
    std::optional<oci::Platform> platform;
    if (!options.platform.empty()) platform = oci::Platform::parse(options.platform);
    const auto progress = make_progress(options.progress, options.quiet);
    Cancellation cancel;
    const CancelOnSignal on_signal(cancel);
    registry::Registries registries(options.registry.config(), cancel);
    const registry::CopyServices services{registries.transfers(), registries.config(),
                                          [&](const registry::Transfer& transfer) { progress->transfer(transfer); },
                                          cancel};
    const auto copied =
        registry::copy_image(registries.sources(source), source.digest ? source.digest->str() : source.tag,
                             registries.repository(destination), destination, platform, services);
    oci::Reference name = destination;
    name.digest = copied.manifest.digest;
    progress->note((copied.blobs.empty() ? "nothing to copy: the registry has " : "copied to ") + name.str());
    print(options.format == "json" ? push_report(destination.str(), copied).dump(2) + "\n"
                                   : copied.manifest.digest.str() + "\n");
}

}  // namespace

void add_copy(CLI::App& command, Globals&) {
    auto options = std::make_shared<CopyOptions>();
    command.add_option("source", options->source, "An image of a registry: NAME[:TAG][@DIGEST]")
        ->required()
        ->type_name("");
    command.add_option("destination", options->destination, "Where to: HOST/NAME:TAG")->required()->type_name("");
    command.add_option("--platform", options->platform, "Of an image for several platforms, this one alone")
        ->type_name("OS/ARCH[/VARIANT]");
    command.add_flag("-q,--quiet", options->quiet, "Print the digest and nothing else");
    command.add_option("--format", options->format, "text or json")->type_name("FORMAT");
    command.add_option("--progress", options->progress, "auto, tty, plain or quiet")->type_name("KIND");
    options->registry.add_to(command);
    command.callback([options] { copy(*options); });
}

}  // namespace mkimg::cli
