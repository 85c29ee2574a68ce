// The manifest of an image in the store: made from its config and the compressed forms of its layers.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layers/layer_store.h"
#include "oci/image_config.h"
#include "oci/store.h"

namespace mkimg::builder {

struct ManifestOptions {
    layers::CompressionSpec compression;
    bool oci_media_types = true;
    std::map<std::string, std::string> annotations;
};

struct AssembledManifest {
    std::string json;
    oci::Descriptor descriptor;  // with the platform
    oci::Manifest manifest;
};

// The image's layers, lowest first. Throws Error(not_found) where the store lacks one.
std::vector<layers::Layer> layers_of(layers::LayerStore& layers, const oci::ImageConfig& config);

// The same with layers of any form, as their descriptors say.
AssembledManifest assemble_manifest(const oci::Digest& id, std::string_view config, std::vector<oci::Descriptor> layers,
                                    const ManifestOptions& options);

// The type of a layer in a manifest.
std::string_view layer_media_type(layers::Compression format, bool oci_types);

// `blobs` are the layers' forms in that compression, lowest first.
AssembledManifest assemble_manifest(const oci::Digest& id, std::string_view config,
                                    std::span<const layers::LayerStore::Blob> blobs, const ManifestOptions& options);

// The manifest as an export with these options would make it; nothing where a layer has not been
// compressed yet.
std::optional<AssembledManifest> find_manifest(oci::Store& store, layers::LayerStore& layers, const oci::Digest& id,
                                               const ManifestOptions& options = {});

}  // namespace mkimg::builder
