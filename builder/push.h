// An image of the store to registries.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "builder/remote_layers.h"
#include "layers/layer_store.h"
#include "oci/store.h"
#include "registry/registries.h"
#include "registry/transfer.h"

namespace mkimg::builder {

struct PushOptions {
    // All layers in this form. Nothing: layers that came from a registry or archive stay as they came, those
    // that mkimg made are compressed with gzip.
    std::optional<layers::CompressionSpec> compression;
    // OCI's or Docker's. Nothing: an image that was pulled keeps its manifest, for others OCI's.
    std::optional<bool> oci_media_types;
    std::map<std::string, std::string> annotations;  // of the manifest
};

struct Pushed {
    std::vector<oci::Reference> names;  // of one repository
    oci::Descriptor manifest;
    std::vector<registry::SentBlob> blobs;  // none where the registry had the manifest already
};

// All borrowed.
struct PushServices {
    oci::Store& store;
    layers::LayerStore& layers;
    RemoteLayers& remote;
    registry::Registries& registries;
    registry::TransferListener listener;
};

// Pushes the image under the names: blobs side by side, the manifest after them, then the tags, which come when each
// repository has all that they need. A layer that lies in the same registry is mounted, and not downloaded for it. An
// image that was pulled and is pushed as it came keeps its manifest, byte for byte. One result for each repository.
std::vector<Pushed> push_image(const PushServices& services, const oci::Digest& image,
                               std::span<const oci::Reference> names, const PushOptions& options);

}  // namespace mkimg::builder
