// What the store knows of registries: by which manifests an image came, and where its layers' blobs can be had.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "oci/digest.h"
#include "oci/image_config.h"
#include "oci/store.h"

namespace mkimg::oci {

// One layer of an image as a manifest in `repository` names it. That the blob holds the layer is what the
// manifest says: it is sure only once the blob has been unpacked.
struct LayerOrigin {
    ChainId chain;
    DiffId diff;
    std::optional<ChainId> parent;
    Descriptor blob;
    std::string registry;
    std::string repository;
};

void record_origin(Store& store, const LayerOrigin& origin);
void forget_origin(Store& store, const LayerOrigin& origin);
std::vector<LayerOrigin> origins_of(Store& store, const ChainId& chain);  // the last seen first
// Repositories of the registry that have the blob, the last seen first: it can be mounted from there.
std::vector<std::string> repositories_with(Store& store, const Digest& blob, const std::string& registry);

// The manifest or index, a blob of the store, belongs to the image and stays as long as it does.
void record_manifest(Store& store, const Digest& image, const Digest& manifest);
std::vector<Digest> manifests_of(Store& store, const Digest& image);  // the last recorded first
// The images that came by this manifest or index: one for each platform.
std::vector<Digest> images_of_manifest(Store& store, const Digest& manifest);

}  // namespace mkimg::oci
