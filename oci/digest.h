// The three identities of the OCI image specification. They are different types: to mix them up
// does not compile.
//   Digest   of stored bytes: a config, a manifest, a (compressed) layer blob
//   DiffId   of a layer's uncompressed tar
//   ChainId  of a stack of layers
#pragma once

#include <compare>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/sha256.h"

namespace mkimg::oci {

namespace detail {
std::optional<Sha256Bytes> parse_sha256(std::string_view text);
}

template <typename Tag>
class Sha256Id {
  public:
    explicit Sha256Id(const Sha256Bytes& bytes) : bytes_(bytes) {}

    // "sha256:" and 64 lower-case hex digits, nothing else (image-spec, descriptor.md#digests).
    // Nothing where the text is anything else: it may then not be used as a path.
    static std::optional<Sha256Id> parse(std::string_view text) {
        const auto bytes = detail::parse_sha256(text);
        if (!bytes) return std::nullopt;
        return Sha256Id(*bytes);
    }
    static Sha256Id from_hex(std::string_view hex);  // throws Error(corrupt)

    std::string hex() const { return to_hex(bytes_); }
    std::string str() const { return "sha256:" + hex(); }
    const Sha256Bytes& bytes() const noexcept { return bytes_; }

    // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 means code of the compiler's
    friend auto operator<=>(const Sha256Id&, const Sha256Id&) = default;

  private:
    Sha256Bytes bytes_;
};

struct DigestTag;
struct DiffIdTag;
struct ChainIdTag;
using Digest = Sha256Id<DigestTag>;
using DiffId = Sha256Id<DiffIdTag>;
using ChainId = Sha256Id<ChainIdTag>;

Digest digest_of(std::string_view bytes);

// ChainID of `parent` (nothing: no layer yet) with one layer more (image-spec, config.md#layer-chainid).
ChainId chain_id(const std::optional<ChainId>& parent, const DiffId& diff);
// Of a whole stack, lowest first; nothing for an empty one.
std::optional<ChainId> chain_id(std::span<const DiffId> diffs);

}  // namespace mkimg::oci

template <typename Tag>
struct std::hash<mkimg::oci::Sha256Id<Tag>> {
    std::size_t operator()(const mkimg::oci::Sha256Id<Tag>& id) const noexcept {
        std::size_t value = 0;
        std::memcpy(&value, id.bytes().data(), sizeof value);
        return value;
    }
};
