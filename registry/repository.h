// One repository of a registry: the operations of the OCI distribution specification.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "oci/digest.h"
#include "oci/image_config.h"
#include "registry/client.h"

namespace mkimg::registry {

struct ManifestDocument {
    std::string bytes;  // as the registry sent them: the digest is of these
    std::string media_type;
    oci::Digest digest;

    bool is_index() const;
    oci::Descriptor descriptor() const { return {media_type, digest, bytes.size(), {}, {}}; }
};

class Repository {
  public:
    // `client` is borrowed; `name` is the path within the registry: "library/debian".
    Repository(Client& client, std::string name) : client_(&client), name_(std::move(name)) {}

    Client& client() const noexcept { return *client_; }
    const std::string& name() const noexcept { return name_; }
    std::string str() const { return client_->host() + "/" + name_; }

    // --- pull (distribution-spec, "Pull") -------------------------------------------------------
    // `reference` is a tag or a digest. Throws Error(not_found); Error(corrupt) where the digest is not what was
    // asked for, and where Content-Type and mediaType contradict each other; Error(unsupported) for schema 1
    // and other types, by name.
    ManifestDocument get_manifest(const std::string& reference);
    // The manifest's digest without its body; nothing where there is none, or where the registry doesn't tell.
    // Who is about to push asks with push_scope(): of a repository that is yet to be, the right to pull may be denied.
    std::optional<oci::Digest> find_manifest(const std::string& reference, const Scopes& scopes);
    std::optional<oci::Digest> find_manifest(const std::string& reference) {
        return find_manifest(reference, pull_scope());
    }
    bool has_blob(const oci::Digest& digest);
    // A small blob, whole: size and digest are checked.
    std::string get_blob(const oci::Descriptor& blob);
    // The bytes from `offset` on, one try; begin() says by its status whether they start there (206) or at 0 (200).
    void get_blob(const oci::Descriptor& blob, std::uint64_t offset, Receiver& receiver);

    // --- push -----------------------------------------------------------------------------------
    // Returns the digest under which it lies there. Throws Error(corrupt) where the registry says another one.
    oci::Digest put_manifest(const std::string& reference, std::string_view bytes, std::string_view media_type);

    Scopes pull_scope() const { return {"repository:" + name_ + ":pull"}; }
    Scopes push_scope() const { return {"repository:" + name_ + ":pull,push"}; }
    std::string path(std::string_view rest) const { return "/v2/" + name_ + "/" + std::string(rest); }

  private:
    Client* client_;
    std::string name_;
};

// From the first of the sources that answers. Throws the last one's error.
ManifestDocument get_manifest(std::span<const Repository> sources, const std::string& reference);
// The same for a manifest that an index names. Throws Error(corrupt) where it is of another type or size than that.
ManifestDocument get_manifest(std::span<const Repository> sources, const oci::Descriptor& named);

}  // namespace mkimg::registry
