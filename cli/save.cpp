// mkimg save IMAGE…
#include <CLI/App.hpp>
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "builder/export.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "cli/registry_options.h"
#include "cli/session.h"
#include "cli/signals.h"

namespace mkimg::cli {
namespace {

struct SaveOptions {
    std::vector<std::string> images;
    std::string format = "oci";
    std::string file = "-";
    bool quiet = false;
    std::string progress = "auto";
    RegistryOptions registry;
};

// The images as they were named: one told by its ID goes without a name, one told by two names has both.
std::vector<builder::ExportImage> images_to_save(oci::Store& store, const std::vector<std::string>& texts) {
    std::vector<builder::ExportImage> images;
    for (const auto& text : texts) {
        const auto image = require_image(store, text);
        auto known =
            std::find_if(images.begin(), images.end(), [&](const auto& other) { return other.id == image.id; });
        if (known == images.end()) known = images.insert(images.end(), {image.id, {}});
        const std::string name = name_used(text, image);
        if (!name.empty()) known->names.push_back(oci::Reference::parse(name));
    }
    return images;
}

void save(const Globals& globals, const SaveOptions& options) {
    if (options.format != "oci" && options.format != "docker") {
        throw Error(ErrorCode::usage, "--format " + options.format + ": oci or docker is needed");
    }
    auto output = builder::parse_output("type=" + options.format + ",dest=-");
    output.destination = options.file;
    const auto progress = make_progress(options.progress, options.quiet);
    Cancellation cancel;
    Session session(globals, options.registry.config(), cancel);
    session.remote.set_listener([&](const registry::Transfer& transfer) { progress->transfer(transfer); });
    const auto images = images_to_save(session.store, options.images);
    {
        // To write an archive is ended by a signal as such; to fetch is cancelled, so that what came is kept.
        const CancelOnSignal on_signal(cancel);
        for (const auto& image : images) bring_layers(session, image.id);
        cancel.check();
    }
    builder::export_images(session.store, session.layers, images, output);
}

}  // namespace

void add_save(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<SaveOptions>();
    command.add_option("image", options->images, "Names or IDs")->required()->type_name("");
    command.add_option("--format", options->format, "oci (layers compressed) or docker (what docker load reads)")
        ->type_name("oci|docker");
    command.add_option("-o,--output", options->file, "The file to write (default: stdout)")->type_name("FILE");
    command.add_flag("-q,--quiet", options->quiet, "Say nothing of layers that are fetched first");
    command.add_option("--progress", options->progress, "Of layers that are fetched: auto, tty, plain or quiet")
        ->type_name("KIND");
    options->registry.add_to(command);
    command.callback([options, &globals] { save(globals, *options); });
}

}  // namespace mkimg::cli
