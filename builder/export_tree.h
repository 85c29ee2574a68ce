// The merged tree of an image, as files or as a tar.
#pragma once

#include <cstdint>
#include <optional>

#include "layers/layer_store.h"

namespace mkimg::builder {

void write_tree_archive(layers::LayerStore& layers, const std::optional<oci::ChainId>& top, int file,
                        const std::optional<std::int64_t>& epoch);

// Into an existing directory: files of the image replace what has their name, directories are merged,
// everything else stays. Root keeps the image's owners; for everybody else all is their own.
void write_tree(layers::LayerStore& layers, const std::optional<oci::ChainId>& top, int directory,
                const std::optional<std::int64_t>& epoch);

}  // namespace mkimg::builder
