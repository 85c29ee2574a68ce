// OCI layouts and docker archives.
#pragma once

#include <span>
#include <vector>

#include "builder/export.h"
#include "builder/export_layout.h"

namespace mkimg::builder {

// image-layout.md: oci-layout, blobs/, index.json; each name of an image is an entry of the index with
// the annotations that containerd and skopeo look for. Entries of `old_index` (an existing directory's)
// that have other names stay.
std::vector<Exported> write_oci_layout(oci::Store& store, layers::LayerStore& layers,
                                       std::span<const ExportImage> images, const OutputSpec& output,
                                       LayoutWriter& writer, const oci::Index& old_index = {});

// What `docker save` wrote until version 24, which everything that loads images reads: manifest.json, the
// config as ID.json and each layer as DIGEST/layer.tar.
std::vector<Exported> write_docker_archive(oci::Store& store, layers::LayerStore& layers,
                                           std::span<const ExportImage> images, const OutputSpec& output,
                                           LayoutWriter& writer);

}  // namespace mkimg::builder
