// One blob pushed (distribution-spec, "Pushing blobs").
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/stream.h"
#include "registry/growing_blob.h"
#include "registry/repository.h"
#include "registry/transfer.h"

namespace mkimg::registry {

struct UploadBlob {
    oci::Descriptor blob;
    // Repositories of the same registry that should have it, to be mounted from; the first that does wins, and after a
    // few that don't no more are asked.
    std::vector<std::string> mount_from;
    // The bytes from an offset on. Asked only where they must really be sent.
    std::function<std::unique_ptr<Source>(std::uint64_t offset)> open;
};

// Sends nothing where the repository has the blob already or can mount it. Else as one PUT; where the
// registry refuses so large a body, or the transfer breaks, in chunks from where it ended. Returns what became
// of it: done, exists or mounted.
Transfer::State upload(Repository repository, const UploadBlob& upload, const RegistryConfig& config,
                       const TransferListener& listener, const Cancellation& cancel);

// A blob whose digest is not known yet, sent while it is made: one PATCH of unknown length, as Docker's client sends.
// Where the repository turns out to have it, sending ends. Nothing where that did not work out, for whatever reason:
// then upload() does it, or tells why not. Throws Error(cancelled), also where the blob is never made.
std::optional<Transfer::State> upload_growing(Repository repository, const GrowingBlob& blob,
                                              const TransferListener& listener);

}  // namespace mkimg::registry
