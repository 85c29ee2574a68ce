// An image from one repository to another as it is: the same manifests, the same digests.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "oci/platform.h"
#include "oci/reference.h"
#include "registry/repository.h"
#include "registry/transfer.h"

namespace mkimg::registry {

struct CopyServices {
    ThreadPool& transfers;
    const RegistryConfig& config;
    TransferListener listener;
    const Cancellation& cancel;
};

struct Copied {
    oci::Descriptor manifest;     // what the destination's name stands for now
    std::vector<SentBlob> blobs;  // none where the destination had the manifest already
};

// `sources` as Registries::sources() gives them. An index is copied with all that it names, or, with `platform`,
// only the manifest for it. Blobs go side by side and stay nowhere; manifests follow what they name, the
// destination's tag is last. Layers whose content lies elsewhere (foreign layers) stay there. `name` is what the image
// is called in `destination`: a tag, or a digest, which must be what the source has (Error(usage)), or both.
Copied copy_image(const std::vector<Repository>& sources, const std::string& reference, Repository destination,
                  const oci::Reference& name, const std::optional<oci::Platform>& platform,
                  const CopyServices& services);

}  // namespace mkimg::registry
