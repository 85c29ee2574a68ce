// Images in registries: what they consist of, brought into the store without their layers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "oci/image_config.h"
#include "oci/reference.h"
#include "oci/store.h"
#include "registry/registries.h"

namespace mkimg::builder {

struct RemoteImage {
    oci::Digest id;                    // of the config, which is in the store
    oci::Digest manifest;              // likewise
    std::optional<oci::Digest> index;  // by which the manifest was chosen for the platform
    std::vector<oci::Descriptor> layers;
};

// Asks the registry (or its mirrors) what the name stands for now; of an image that the store has under that name, only
// whether it is still the same. Manifest, index and config are verified and put
// into the store, where its layers lie is recorded, none is fetched. It is no image of the store yet: the caller
// names it, or adds it, when it has what it needs. Throws Error(not_found, denied, unavailable, corrupt, unsupported).
RemoteImage resolve_remote(oci::Store& store, registry::Registries& registries, const oci::Reference& name,
                           const oci::Platform& platform);

// The image that the digest stands for, where the store knows its manifest or index: no network is needed.
std::optional<oci::Digest> find_by_manifest(oci::Store& store, const oci::Digest& manifest,
                                            const oci::Platform& platform);

}  // namespace mkimg::builder
