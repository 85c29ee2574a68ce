// The bytes of one blob from whoever has it, through breaks and from mirror to mirror.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/cancel.h"
#include "registry/registry_config.h"
#include "registry/repository.h"

namespace mkimg::registry {

using BytesHandler = std::function<void(std::span<const std::byte>)>;

// Gives `write` the bytes of the blob from `offset` to its end, each once and in order. After a break it goes on
// where it ended (Range; RFC 7233), or skips what it has where the server begins anew. The sources are
// tried in order; each gets as many tries without progress as `retries` allows. Digests are the caller's
// matter. Throws the last source's error; what `write` throws ends it at once.
void read_blob(std::span<const Repository> sources, const oci::Descriptor& blob, std::uint64_t offset,
               const BytesHandler& write, const Retries& retries, const Cancellation& cancel);

}  // namespace mkimg::registry
