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
    std::uint64_t size = 0;   // of the uncompressed layers that are here
    std::size_t missing = 0;  // layers that lie in a registry still
};

void measure(layers::LayerStore& layers, Listed& item) {
    std::optional<oci::ChainId> chain;
    for (const auto& diff : item.config.diff_ids) {
        chain = oci::chain_id(chain, diff);
        const auto layer = layers.find(*chain);
        layer ? item.size += layer->tar_size : ++item.missing;
    }
}

std::string size_in_words(const Listed& item) {
    if (item.missing == 0) return human_size(item.size);
    const std::string missing = std::to_string(item.missing) + (item.missing == 1 ? " layer" : " layers");
    return (item.size == 0 ? "" : human_size(item.size) + ", ") + missing + " not fetched";
}

std::vector<Listed> list(const Globals& globals, const std::string& name) {
    Session session(globals);
    auto& store = session.store;
    std::vector<Listed> listed;
    for (auto& image : name.empty() ? store.images() : std::vector{require_image(store, name)}) {
        Listed item{std::move(image), {}};
        item.config = oci::ImageConfig::parse(store.read_blob(item.image.id));
        measure(session.layers, item);
        listed.push_back(std::move(item));
    }
    return listed;
}

std::string as_json(const std::vector<Listed>& listed) {
    auto array = nlohmann::json::array();
    for (const auto& [image, config, size, missing] : listed) {
        nlohmann::json item{{"id", image.id.str()}, {"names", image.names},      {"platform", config.platform.str()},
                            {"size", size},         {"layers_missing", missing}, {"stored", rfc3339(image.created)}};
        if (config.created) item["created"] = rfc3339(*config.created);
        array.push_back(std::move(item));
    }
    return array.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string as_table(const std::vector<Listed>& listed, bool no_trunc) {
    Table table({"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"});
    for (const auto& item : listed) {
        const auto& image = item.image;
        const std::string id = no_trunc ? image.id.str() : short_id(image.id);
        const std::string created = ago(item.config.created.value_or(image.created));
        const std::string size = size_in_words(item);
        for (const auto& name : image.names) {
            const std::size_t colon = name.rfind(':');
            table.add({name.substr(0, colon), name.substr(colon + 1), id, created, size});
        }
        if (image.names.empty()) table.add({"<none>", "<none>", id, created, size});
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
