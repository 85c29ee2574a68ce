// mkimg inspect IMAGE
#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "builder/export_manifest.h"
#include "cli/command.h"
#include "cli/session.h"
#include "oci/origins.h"

namespace mkimg::cli {
namespace {

using nlohmann::json;

// Where a layer that is not here is fetched from.
json describe_origins(oci::Store& store, const oci::ChainId& chain) {
    auto array = json::array();
    for (const auto& origin : oci::origins_of(store, chain)) {
        array.push_back({{"repository", origin.registry + "/" + origin.repository},
                         {"digest", origin.blob.digest.str()},
                         {"size", origin.blob.size},
                         {"media_type", origin.blob.media_type}});
    }
    return array;
}

json describe_layers(oci::Store& store, layers::LayerStore& layers, const oci::ImageConfig& config) {
    auto array = json::array();
    std::optional<oci::ChainId> chain;
    for (const auto& diff : config.diff_ids) {
        chain = oci::chain_id(chain, diff);
        json item{{"diff_id", diff.str()}, {"chain_id", chain->str()}};
        if (const auto layer = layers.find(*chain)) {
            item["size"] = layer->tar_size;
            item["entries"] = layer->entries;
        } else {
            item["origins"] = describe_origins(store, *chain);
        }
        for (const auto format : {layers::Compression::gzip, layers::Compression::zstd}) {
            if (const auto blob = layers.find_blob(diff, {format, -1})) {
                item[std::string(layers::name_of(format))] = {{"digest", blob->digest.str()}, {"size", blob->size}};
            }
        }
        array.push_back(std::move(item));
    }
    return array;
}

void inspect(const Globals& globals, const std::string& name) {
    Session session(globals);
    oci::Store& store = session.store;
    layers::LayerStore& layers = session.layers;
    const auto image = require_image(store, name);
    const std::string text = store.read_blob(image.id);
    const auto config = oci::ImageConfig::parse(text);

    json out{{"id", image.id.str()},
             {"names", image.names},
             {"stored", rfc3339(image.created)},
             {"platform", config.platform.str()},
             {"config", json::parse(text)},
             {"layers", describe_layers(store, layers, config)}};
    // Only what is there already: to look at an image compresses nothing.
    if (const auto manifest = builder::find_manifest(store, layers, image.id)) {
        out["manifest"] = json::parse(manifest->json);
        out["digest"] = manifest->descriptor.digest.str();
    }
    print(out.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

}  // namespace

void add_inspect(CLI::App& command, Globals& globals) {
    struct Options {
        std::string image;
        std::string format = "json";
    };
    auto options = std::make_shared<Options>();
    command.add_option("image", options->image, "Name or ID")->required()->type_name("");
    command.add_option("--format", options->format, "json")->type_name("json");
    command.callback([options, &globals] {
        if (options->format != "json")
            throw Error(ErrorCode::usage, "--format " + options->format + ": json is needed");
        inspect(globals, options->image);
    });
}

}  // namespace mkimg::cli
