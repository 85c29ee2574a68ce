// A blob read from a registry as it comes, without being kept anywhere.
#pragma once

#include <memory>
#include <vector>

#include "base/stream.h"
#include "registry/blob_reader.h"

namespace mkimg::registry {

// A thread of its own reads ahead by a few MiB. With `offset` 0 the last bytes are given out only if
// the whole has its digest: else Error(corrupt).
// `retries` and `cancel` are borrowed.
std::unique_ptr<Source> stream_blob(std::vector<Repository> sources, const oci::Descriptor& blob, std::uint64_t offset,
                                    const Retries& retries, const Cancellation& cancel);

}  // namespace mkimg::registry
