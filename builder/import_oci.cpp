// OCI image layouts (image-spec, image-layout.md): index.json names manifests and indexes of manifests.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "builder/import_image.h"
#include "oci/platform_choice.h"

namespace mkimg::builder {

namespace {

constexpr int deepest_index = 4;

std::string annotation(const oci::Descriptor& descriptor, const std::string& key) {
    const auto found = descriptor.annotations.find(key);
    return found == descriptor.annotations.end() ? std::string() : found->second;
}

// The tag or name as image-spec has it, and the whole name as containerd writes it.
std::string ref_name(const oci::Descriptor& descriptor) {
    return annotation(descriptor, "org.opencontainers.image.ref.name");
}
std::string containerd_name(const oci::Descriptor& descriptor) {
    return annotation(descriptor, "io.containerd.image.name");
}

// The name for the store; nothing where the layout has a tag alone, or nothing.
std::optional<oci::Reference> name_of(const oci::Descriptor& descriptor) {
    std::string name = containerd_name(descriptor);
    if (name.empty()) name = ref_name(descriptor);
    if (name.find_first_of("/:") == std::string::npos) return std::nullopt;
    return oci::Reference::parse(name);
}

bool has_name(const oci::Descriptor& descriptor, const std::string& wanted) {
    if (ref_name(descriptor) == wanted || containerd_name(descriptor) == wanted) return true;
    try {
        const auto name = name_of(descriptor);
        return name && (name->tag == wanted || *name == oci::Reference::parse(wanted));
    } catch (const Error&) {
        return false;  // what it is called is no reference
    }
}

std::string read_document(ImageFiles& files, const oci::Descriptor& descriptor) {
    const std::string path = "blobs/sha256/" + descriptor.digest.hex();
    std::string text = files.read(path, most_document_bytes);
    if (text.size() != descriptor.size || oci::digest_of(text) != descriptor.digest) {
        throw Error(ErrorCode::corrupt, path + " does not match its descriptor's size and digest",
                    "make or download the archive again");
    }
    return text;
}

// The manifest that the descriptor means, through indexes.
std::string find_manifest_text(ImageFiles& files, oci::Descriptor descriptor, const oci::Platform& platform) {
    for (int depth = 0; depth < deepest_index; ++depth) {
        std::string text = read_document(files, descriptor);
        if (!oci::is_index(text)) return text;
        descriptor = oci::choose_platform(oci::Index::parse(text).manifests, platform, "the archive");
    }
    throw Error(ErrorCode::corrupt, "the archive has indexes in indexes without end");
}

oci::Digest import(ImageFiles& files, oci::Store& store, layers::LayerStore& layers, const oci::Descriptor& descriptor,
                   const oci::Platform& platform) {
    const auto manifest = oci::Manifest::parse(find_manifest_text(files, descriptor, platform));
    check_config_type(manifest.config);
    const std::string config = read_document(files, manifest.config);
    std::vector<LayerFile> layer_files;
    for (const auto& layer : manifest.layers) {
        check_layer_type(layer);
        const FileRange range = files.get("blobs/sha256/" + layer.digest.hex());
        if (range.size != layer.size) {
            throw Error(ErrorCode::corrupt, "layer " + layer.digest.str() + " has " + std::to_string(range.size) +
                                                " bytes, its descriptor says " + std::to_string(layer.size));
        }
        layer_files.push_back({range, layer.digest});
    }
    return import_layers(store, layers, config, layer_files);
}

oci::Index read_index(ImageFiles& files) {
    const auto layout = nlohmann::json::parse(files.read("oci-layout", most_document_bytes), nullptr, false);
    if (!layout.is_object() || layout.value("imageLayoutVersion", nlohmann::json()) != "1.0.0") {
        throw Error(ErrorCode::unsupported, "the file oci-layout does not say version 1.0.0");
    }
    auto index = oci::Index::parse(files.read("index.json", most_document_bytes));
    auto& manifests = index.manifests;
    manifests.erase(std::remove_if(manifests.begin(), manifests.end(), oci::is_attestation), manifests.end());
    if (manifests.empty()) throw Error(ErrorCode::not_found, "the archive holds no image");
    return index;
}

// Entries of the same name are one image, for several platforms.
std::vector<std::vector<oci::Descriptor>> by_name(const std::vector<oci::Descriptor>& manifests) {
    std::vector<std::vector<oci::Descriptor>> groups;
    for (const auto& descriptor : manifests) {
        const auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& other) {
            return ref_name(other[0]) == ref_name(descriptor) &&
                   containerd_name(other[0]) == containerd_name(descriptor);
        });
        if (group == groups.end()) {
            groups.push_back({descriptor});
        } else {
            group->push_back(descriptor);
        }
    }
    return groups;
}

const oci::Descriptor& one_of(const std::vector<oci::Descriptor>& group, const oci::Platform& platform) {
    return group.size() == 1 ? group.front() : oci::choose_platform(group, platform, "the archive");
}

std::string names_in(const oci::Index& index) {
    std::vector<std::string> names;
    for (const auto& descriptor : index.manifests) {
        const std::string name =
            containerd_name(descriptor).empty() ? ref_name(descriptor) : containerd_name(descriptor);
        names.push_back(name.empty() ? "@" + descriptor.digest.str() : name);
    }
    return "it has " + join(names, ", ");
}

oci::Descriptor choose(const oci::Index& index, const ImageChoice& choice, const oci::Platform& platform) {
    std::vector<oci::Descriptor> matching;
    for (const auto& descriptor : index.manifests) {
        if (choice.digest && descriptor.digest != *choice.digest) continue;
        if (!choice.digest && !choice.name.empty() && !has_name(descriptor, choice.name)) continue;
        matching.push_back(descriptor);
    }
    if (matching.empty()) {
        throw Error(ErrorCode::not_found,
                    "the archive has no image " + (choice.digest ? "@" + choice.digest->str() : choice.name),
                    names_in(index));
    }
    // One image may have several names.
    const bool same = std::all_of(matching.begin(), matching.end(),
                                  [&](const auto& other) { return other.digest == matching[0].digest; });
    if (same) return matching[0];
    const auto groups = by_name(matching);
    if (groups.size() == 1) return one_of(groups[0], platform);
    throw Error(ErrorCode::not_found, "the archive has several images, and none was chosen",
                names_in(index) + "; add :TAG or @DIGEST to say which");
}

}  // namespace

void check_config_type(const oci::Descriptor& config) {
    if (config.media_type == oci::media_type::oci_config || config.media_type == oci::media_type::docker_config) return;
    throw Error(ErrorCode::unsupported, "it is no image: its config is " + printable(config.media_type));
}

void check_layer_type(const oci::Descriptor& layer) {
    const auto& type = layer.media_type;
    for (const auto known :
         {oci::media_type::oci_layer, oci::media_type::oci_layer_gzip, oci::media_type::oci_layer_zstd,
          oci::media_type::docker_layer, oci::media_type::docker_layer_gzip}) {
        if (type == known) return;
    }
    const bool foreign =
        type.find("foreign") != std::string::npos || type.find("nondistributable") != std::string::npos;
    throw Error(ErrorCode::unsupported,
                foreign ? "the image has a foreign layer, whose content lies elsewhere (" + printable(type) + ")"
                        : "the image has a layer of unknown type " + printable(type),
                foreign ? "" : "is it an image at all, or another kind of artifact?");
}

Imported import_from_layout(ImageFiles& files, oci::Store& store, layers::LayerStore& layers, const ImageChoice& choice,
                            const oci::Platform& platform) {
    const oci::Index index = read_index(files);
    const auto descriptor = choose(index, choice, platform);
    Imported imported{import(files, store, layers, descriptor, platform), {}};
    if (const auto name = name_of(descriptor)) imported.names.push_back(*name);
    return imported;
}

std::vector<Imported> import_all_from_layout(ImageFiles& files, oci::Store& store, layers::LayerStore& layers,
                                             const oci::Platform& platform) {
    const oci::Index index = read_index(files);
    std::vector<Imported> images;
    for (const auto& group : by_name(index.manifests)) {
        const auto& descriptor = one_of(group, platform);
        const oci::Digest id = import(files, store, layers, descriptor, platform);
        auto image = std::find_if(images.begin(), images.end(), [&](const auto& other) { return other.id == id; });
        if (image == images.end()) image = images.insert(images.end(), Imported{id, {}});
        if (const auto name = name_of(descriptor)) image->names.push_back(*name);
    }
    return images;
}

}  // namespace mkimg::builder
