// mkimg pull NAME…
#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "builder/images.h"
#include "builder/remote_image.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/registry_options.h"
#include "cli/report_options.h"
#include "cli/session.h"
#include "cli/signals.h"

namespace mkimg::cli {
namespace {

struct PullOptions {
    std::vector<std::string> names;
    std::string platform;
    ReportOptions report;
    RegistryOptions registry;
};

nlohmann::json pull_one(Session& session, const oci::Reference& name, const oci::Platform& platform,
                        builder::Progress& progress) {
    // What a digest stands for never changes: the store's copy is as good as the registry's.
    if (name.digest) {
        if (const auto known = builder::find_by_manifest(session.store, *name.digest, platform)) {
            bring_layers(session, *known);
            progress.note(name.str() + " is here already");
            return {{"name", name.str()},
                    {"image", known->str()},
                    {"digest", name.digest->str()},
                    {"index", nullptr},
                    {"layers", nlohmann::json::array()}};
        }
    }
    const auto image = builder::resolve_remote(session.store, session.registries, name, platform);
    auto layers = nlohmann::json::array();
    for (const auto& layer : image.layers) {
        layers.push_back(
            {{"digest", layer.digest.str()}, {"size", layer.size}, {"fetched", !session.store.has_blob(layer.digest)}});
    }
    // It becomes an image of the store when it is whole.
    bring_layers(session, image.id);
    session.store.sync();
    name.digest ? session.store.add_image(image.id) : session.store.tag(name, image.id);
    const oci::Digest& digest = image.index ? *image.index : image.manifest;
    progress.note("pulled " + name.str() + (name.digest ? "" : "@" + digest.str()));
    return {{"name", name.str()},
            {"image", image.id.str()},
            {"digest", image.manifest.str()},
            {"index", image.index ? nlohmann::json(image.index->str()) : nlohmann::json()},
            {"layers", std::move(layers)}};
}

void pull(const Globals& globals, const PullOptions& options) {
    const bool json = options.report.json();
    std::vector<oci::Reference> names;
    for (const std::string& name : options.names) names.push_back(oci::Reference::parse(name));
    const auto platform = options.platform.empty() ? oci::Platform::host() : oci::Platform::parse(options.platform);
    const auto progress = options.report.make_progress();
    Cancellation cancel;
    const CancelOnSignal on_signal(cancel);
    Session session(globals, options.registry.config(), cancel, Session::Network::always);
    session.remote.set_listener([&](const registry::Transfer& transfer) { progress->transfer(transfer); });
    auto pulled = nlohmann::json::array();
    std::optional<Error> failure;
    for (const oci::Reference& name : names) {
        try {
            pulled.push_back(pull_one(session, name, platform, *progress));
            if (!json) print(pulled.back()["image"].get<std::string>() + "\n");
        } catch (Error& error) {
            if (error.code() == ErrorCode::cancelled) throw;
            error.add_context("pull " + name.str());
            failure ? failure->add_further(error) : failure.emplace(error);
        }
    }
    if (json) print(pulled.dump(2) + "\n");
    if (failure) throw *failure;
}

}  // namespace

void add_pull(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<PullOptions>();
    command.add_option("name", options->names, "Names as FROM has them: debian, HOST/NAME:TAG, NAME@DIGEST")
        ->required()
        ->type_name("");
    command.add_option("--platform", options->platform, "Of an image for several platforms, this one")
        ->type_name("OS/ARCH[/VARIANT]");
    options->report.add_to(command, "image ID");
    options->registry.add_to(command);
    command.callback([options, &globals] { pull(globals, *options); });
}

}  // namespace mkimg::cli
