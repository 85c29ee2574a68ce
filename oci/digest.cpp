#include "oci/digest.h"

#include "base/error.h"

namespace mkimg::oci {
namespace detail {

std::optional<Sha256Bytes> parse_sha256(std::string_view text) {
    constexpr std::string_view prefix = "sha256:";
    if (text.size() != prefix.size() + 64 || !text.starts_with(prefix)) return std::nullopt;
    text.remove_prefix(prefix.size());
    Sha256Bytes bytes;
    for (std::size_t i = 0; i < 64; ++i) {
        const char c = text[i];
        unsigned value = 0;
        if (c >= '0' && c <= '9') {
            value = static_cast<unsigned>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = static_cast<unsigned>(c - 'a') + 10;
        } else {
            return std::nullopt;
        }
        bytes[i / 2] =
            static_cast<std::byte>(i % 2 == 0 ? value << 4U : std::to_integer<unsigned>(bytes[i / 2]) | value);
    }
    return bytes;
}

}  // namespace detail

template <typename Tag>
Sha256Id<Tag> Sha256Id<Tag>::from_hex(std::string_view hex) {
    const auto id = parse("sha256:" + std::string(hex));
    if (!id) throw Error(ErrorCode::corrupt, "\"" + std::string(hex) + "\" is no SHA-256 in hex");
    return *id;
}

template class Sha256Id<DigestTag>;
template class Sha256Id<DiffIdTag>;
template class Sha256Id<ChainIdTag>;

Digest digest_of(std::string_view bytes) {
    return Digest(sha256(bytes));
}

ChainId chain_id(const std::optional<ChainId>& parent, const DiffId& diff) {
    if (!parent) return ChainId(diff.bytes());
    return ChainId(sha256(parent->str() + " " + diff.str()));
}

std::optional<ChainId> chain_id(std::span<const DiffId> diffs) {
    std::optional<ChainId> chain;
    for (const DiffId& diff : diffs) chain = chain_id(chain, diff);
    return chain;
}

}  // namespace mkimg::oci
