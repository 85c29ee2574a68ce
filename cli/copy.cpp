// mkimg copy SOURCE DESTINATION
#include "registry/copy.h"

#include <CLI/App.hpp>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/push_report.h"
#include "cli/registry_options.h"
#include "cli/report_options.h"
#include "cli/signals.h"
#include "oci/reference.h"
#include "registry/registries.h"

namespace mkimg::cli {
namespace {

struct CopyOptions {
    std::string source;
    std::string destination;
    std::string platform;
    ReportOptions report;
    RegistryOptions registry;
};

void copy(const CopyOptions& options) {
    const bool json = options.report.json();
    const auto source = oci::Reference::parse(options.source);
    const auto destination = oci::Reference::parse(options.destination);
    std::optional<oci::Platform> platform;
    if (!options.platform.empty()) platform = oci::Platform::parse(options.platform);
    const auto progress = options.report.make_progress();
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
    print(json ? push_report(destination.str(), copied.manifest, copied.blobs).dump(2) + "\n"
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
    options->report.add_to(command, "digest");
    options->registry.add_to(command);
    command.callback([options] { copy(*options); });
}

}  // namespace mkimg::cli
