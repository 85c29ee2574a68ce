// Docker archives: manifest.json names each image's config and layers, wherever they lie.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "builder/import_image.h"

namespace mkimg::builder {

namespace {

struct DockerImage {
    std::string config;
    std::vector<std::string> tags;
    std::vector<std::string> layers;
};

[[noreturn]] void fail(const std::string& what) {
    throw Error(ErrorCode::corrupt, "manifest.json " + what);
}

std::vector<std::string> texts(const nlohmann::json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return {};
    if (!found->is_array()) fail(std::string("has a ") + key + " that is no list");
    std::vector<std::string> values;
    for (const auto& value : *found) {
        if (!value.is_string()) fail(std::string("has a ") + key + " that are no texts");
        values.push_back(value.get<std::string>());
    }
    return values;
}

std::vector<DockerImage> read_manifest(ImageFiles& files) {
    const auto json = nlohmann::json::parse(files.read("manifest.json", most_document_bytes), nullptr, false);
    if (!json.is_array()) fail("is no JSON list");
    std::vector<DockerImage> images;
    for (const auto& item : json) {
        if (!item.is_object() || !item.contains("Config") || !item["Config"].is_string())
            fail("has an image without Config");
        images.push_back({item["Config"].get<std::string>(), texts(item, "RepoTags"), texts(item, "Layers")});
    }
    if (images.empty()) fail("lists no image");
    return images;
}

// A config's name is its digest, "HEX.json" or "blobs/sha256/HEX"; a wrong one is a damaged archive.
void check_config_name(const std::string& path, const std::string& config) {
    std::string name = path.substr(path.rfind('/') + 1);
    if (name.ends_with(".json")) name.resize(name.size() - 5);
    const auto stated = oci::Digest::parse("sha256:" + name);
    if (stated && *stated != oci::digest_of(config)) {
        throw Error(ErrorCode::corrupt, printable(path) + " does not match the digest in its name");
    }
}

Imported import(ImageFiles& files, oci::Store& store, layers::LayerStore& layers, const DockerImage& image) {
    const std::string config = files.read(image.config, most_document_bytes);
    check_config_name(image.config, config);
    std::vector<LayerFile> layer_files;
    for (const auto& path : image.layers) layer_files.push_back({files.get(path), std::nullopt});
    Imported imported{import_layers(store, layers, config, layer_files), {}};
    for (const auto& tag : image.tags) imported.names.push_back(oci::Reference::parse(tag));
    return imported;
}

}  // namespace

Imported import_from_docker(ImageFiles& files, oci::Store& store, layers::LayerStore& layers,
                            const ImageChoice& choice) {
    const auto images = read_manifest(files);
    std::vector<std::string> tags;
    for (const auto& image : images) tags.insert(tags.end(), image.tags.begin(), image.tags.end());
    const std::string hint = "it has " + (tags.empty() ? "no names" : join(tags, ", "));
    if (choice.name.empty()) {
        if (images.size() == 1) return import(files, store, layers, images.front());
        throw Error(ErrorCode::not_found,
                    "the archive has " + std::to_string(images.size()) + " images, and none was chosen",
                    hint + "; add :NAME to say which");
    }
    const auto wanted = oci::Reference::parse(choice.name);
    for (const auto& image : images) {
        for (const auto& tag : image.tags) {
            if (oci::Reference::parse(tag) == wanted) return import(files, store, layers, image);
        }
    }
    throw Error(ErrorCode::not_found, "the archive has no image " + choice.name, hint);
}

std::vector<Imported> import_all_from_docker(ImageFiles& files, oci::Store& store, layers::LayerStore& layers) {
    std::vector<Imported> imported;
    for (const auto& image : read_manifest(files)) imported.push_back(import(files, store, layers, image));
    return imported;
}

}  // namespace mkimg::builder
