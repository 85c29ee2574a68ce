// Which image of an index a platform takes (image-spec, image-index.md).
#pragma once

#include <string>
#include <vector>

#include "oci/image_config.h"
#include "oci/platform.h"

namespace mkimg::oci {

// Of BuildKit: says something about another manifest of the index, and is no image.
bool is_attestation(const Descriptor& descriptor);

// The manifest that runs best where `wanted` is: its variant, then the newest one that it can run. Throws
// Error(not_found) that lists what there is; `what` names the index.
const Descriptor& choose_platform(const std::vector<Descriptor>& manifests, const Platform& wanted,
                                  const std::string& what);

}  // namespace mkimg::oci
