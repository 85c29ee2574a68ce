// mkimg images
#include <CLI/App.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/session.h"
#include "cli/table.h"

namespace mkimg::cli {
namespace {

struct ImagesOptions {
    std::string name;
    std::string format = "table";
    bool quiet = false;
    bool no_trunc = false;
};

struct Listed {
    oci::Store::Image image;
    oci::ImageConfig config;
    std::uint64_t size = 0;  // of the uncompressed layers
};

std::uint64_t size_of_layers(layers::LayerStore& layers, const oci::ImageConfig& config) {
    std::uint64_t size = 0;
    std::optional<oci::ChainId> chain;
    for (const auto& diff : config.diff_ids) {
        chain = oci::chain_id(chain, diff);
        if (const auto layer = layers.find(*chain)) size += layer->tar_size;
    }
    return size;
}

std::vector<Listed> list(const Globals& globals, const std::string& name) {
    Session session(globals);
    auto& store = session.store;
    std::vector<Listed> listed;
    for (auto& image : name.empty() ? store.images() : std::vector{require_image(store, name)}) {
        Listed item{std::move(image), {}, 0};
        item.config = oci::ImageConfig::parse(store.read_blob(item.image.id));
        item.size = size_of_layers(session.layers, item.config);
        listed.push_back(std::move(item));
    }
    return listed;
}

std::string as_json(const std::vector<Listed>& listed) {
    auto array = nlohmann::json::array();
    for (const auto& [image, config, size] : listed) {
        nlohmann::json item{{"id", image.id.str()},
                            {"names", image.names},
                            {"platform", config.platform.str()},
                            {"size", size},
                            {"stored", rfc3339(image.created)}};
        if (config.created) item["created"] = rfc3339(*config.created);
        array.push_back(std::move(item));
    }
    return array.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string as_table(const std::vector<Listed>& listed, bool no_trunc) {
    Table table({"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"});
    for (const auto& [image, config, size] : listed) {
        const std::string id = no_trunc ? image.id.str() : short_id(image.id);
        const std::string created = ago(config.created.value_or(image.created));
        for (const auto& name : image.names) {
            const std::size_t colon = name.rfind(':');
            table.add({name.substr(0, colon), name.substr(colon + 1), id, created, human_size(size)});
        }
        if (image.names.empty()) table.add({"<none>", "<none>", id, created, human_size(size)});
    }
    return table.str();
}

void images(const Globals& globals, const ImagesOptions& options) {
    if (options.format != "table" && options.format != "json") {
        throw Error(ErrorCode::usage, "--format " + options.format + ": table or json is needed");
    }
    if (options.quiet) {
        oci::Store store(globals.root);
        store.lock(oci::Store::Use::shared);
        for (const auto& image :
             options.name.empty() ? store.images() : std::vector{require_image(store, options.name)}) {
            print((options.no_trunc ? image.id.str() : short_id(image.id)) + "\n");
        }
        return;
    }
    const auto listed = list(globals, options.name);
    print(options.format == "json" ? as_json(listed) : as_table(listed, options.no_trunc));
}

}  // namespace

void add_images(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<ImagesOptions>();
    command.add_option("image", options->name, "Only this one, by name or ID")->type_name("");
    command.add_option("--format", options->format, "table or json")->type_name("table|json");
    command.add_flag("-q,--quiet", options->quiet, "Print IDs only");
    command.add_flag("--no-trunc", options->no_trunc, "Print whole IDs");
    command.callback([options, &globals] { images(globals, *options); });
}

}  // namespace mkimg::cli
