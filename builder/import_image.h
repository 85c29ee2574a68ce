// The two kinds of image archives. Not for other folders: see builder/import.h.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "builder/import.h"
#include "builder/import_files.h"

namespace mkimg::builder {

inline constexpr std::uint64_t most_document_bytes = 8U << 20U;  // of a config, manifest or index

// Which image of an archive is meant; empty: the only one.
struct ImageChoice {
    std::string name;  // a tag or a whole name
    std::optional<oci::Digest> digest;
};

// One layer of an archive as its manifest describes it.
struct LayerFile {
    FileRange range;
    std::optional<oci::Digest> digest;  // of the file's bytes, where the manifest says it
};

// Puts the config and its layers, lowest first, into the store. A layer that is there is not read.
oci::Digest import_layers(oci::Store& store, layers::LayerStore& layers, const std::string& config,
                          const std::vector<LayerFile>& files);

// Throw Error(unsupported) for what is no image's config or layer, by its media type; foreign layers too.
void check_config_type(const oci::Descriptor& config);
void check_layer_type(const oci::Descriptor& layer);

Imported import_from_layout(ImageFiles& files, oci::Store& store, layers::LayerStore& layers, const ImageChoice& choice,
                            const oci::Platform& platform);
std::vector<Imported> import_all_from_layout(ImageFiles& files, oci::Store& store, layers::LayerStore& layers,
                                             const oci::Platform& platform);

Imported import_from_docker(ImageFiles& files, oci::Store& store, layers::LayerStore& layers,
                            const ImageChoice& choice);
std::vector<Imported> import_all_from_docker(ImageFiles& files, oci::Store& store, layers::LayerStore& layers);

}  // namespace mkimg::builder
