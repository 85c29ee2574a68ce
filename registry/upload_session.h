// One upload of a blob as the registry keeps it between requests (distribution-spec, "Pushing blobs").
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "registry/repository.h"

namespace mkimg::registry {

// Every request is tried once, but for begin() with `retry`: only who knows what was sent can go on. All throw
// TransportError, HttpError, and Error(corrupt, denied) for what a registry must not answer.
class UploadSession {
  public:
    explicit UploadSession(Repository repository);

    // Asks for a session below "blobs/uploads/"; `query` mounts ("?mount=…"). True where the registry has the blob
    // now, and there is no session.
    bool begin(const std::string& query, const Scopes& scopes, bool retry);
    bool is_open() const noexcept { return location_.has_value(); }
    // It is of no more use.
    void forget() noexcept { location_.reset(); }
    // The same, and the registry is told, which may not care.
    void abandon() noexcept;

    // Appends; `range` is the bytes "FIRST-LAST", or nothing for a body of unknown length.
    void patch(Body body, const std::optional<std::string>& range);
    // Ends it: all that was sent and this body are the blob.
    void put(const oci::Digest& digest, Body body);
    // How much the registry has; nothing where it does not tell.
    std::optional<std::uint64_t> taken();

    // What the registry wants a chunk to have, but for the last.
    std::uint64_t least_chunk() const noexcept { return least_chunk_; }

  private:
    void take_location(const Response& response, const Url& base);
    Url with_digest(const oci::Digest& digest) const;

    Repository repository_;
    Client& client_;
    std::optional<Url> location_;
    std::uint64_t least_chunk_ = 0;
};

}  // namespace mkimg::registry
