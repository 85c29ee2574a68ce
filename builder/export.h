// Images out of the store: archives, directories and trees.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "builder/export_spec.h"
#include "layers/layer_store.h"
#include "oci/image_config.h"
#include "oci/store.h"

namespace mkimg::builder {

struct ExportImage {
    oci::Digest id;  // of the config, which is in the store with all its layers
    std::vector<oci::Reference> names;
};

struct ExportOptions {
    // Files of a tree that are newer than this get this time.
    std::optional<std::int64_t> epoch;
};

struct Exported {
    oci::Digest config;
    std::optional<oci::Descriptor> manifest;  // nothing for a tree
    std::vector<oci::Reference> names;

    // What `build --metadata-file` holds: containerimage.digest, containerimage.config.digest,
    // containerimage.descriptor, image.name.
    std::string metadata_json() const;
};

// Writes the images as `output` says; a tree takes one image only. Layers are compressed on the
// pool that the LayerStore has, and kept in the store: exporting again compresses nothing. What was
// at the destination is replaced as a whole, or stays as it was when anything fails.
std::vector<Exported> export_images(oci::Store& store, layers::LayerStore& layers, std::span<const ExportImage> images,
                                    const OutputSpec& output, const ExportOptions& options = {});

}  // namespace mkimg::builder
