// Images into the store: OCI layouts, docker archives, root file systems.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "layers/layer_store.h"
#include "oci/image_config.h"
#include "oci/platform.h"
#include "oci/reference.h"
#include "oci/store.h"

namespace mkimg::builder {

struct Imported {
    oci::Digest id;                     // of the config, which is in the store with all its layers
    std::vector<oci::Reference> names;  // that the archive gives it; the store's names don't change
};

// True for oci-layout://DIR[:TAG][@DIGEST], oci-archive:FILE[:TAG] and docker-archive:FILE[:NAME].
bool is_archive_spec(std::string_view text);

// Reads the one image that the spec means; from an index the one for `platform`. An archive whose
// image the store has costs the reading of its manifest. Every size and digest is checked. Throws
// Error(not_found) that says what the archive holds, Error(corrupt) for one that is damaged or hostile.
Imported import_image(oci::Store& store, layers::LayerStore& layers, std::string_view spec,
                      const oci::Platform& platform = oci::Platform::host());

// All images of an OCI or docker archive, plain or compressed. `what` names it in errors.
std::vector<Imported> import_archive(oci::Store& store, layers::LayerStore& layers, UniqueFd file,
                                     const std::string& what, const oci::Platform& platform = oci::Platform::host());

// A root file system, a tar plain or compressed, becomes an image of one layer.
struct RootfsOptions {
    std::vector<std::string> changes;  // "CMD [\"sh\"]"
    std::string message;               // of the history
    oci::Platform platform = oci::Platform::host();
    std::int64_t created = 0;  // unix seconds
};
oci::Digest import_rootfs(oci::Store& store, layers::LayerStore& layers, Source& tar, const RootfsOptions& options);

}  // namespace mkimg::builder
