// Removes from a store what is no longer needed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "oci/store.h"

namespace mkimg::layers {

struct PruneOptions {
    // Everything but images with a name and what they are made of: also the whole build cache.
    bool all = false;
    // Only what was last used, and images that were made, more than so many seconds ago. Not given:
    // a week for the cache and 0 for images without a name; with `all`, 0 for both.
    std::optional<std::int64_t> older_than;
    // After that, go on with what is longest unused until the store takes no more than this. Images
    // with a name stay in any case.
    std::optional<std::uint64_t> max_size;
    // Also compressed forms of layers that can be made again from their directories.
    bool blobs = false;
    // Only say what would go.
    bool dry_run = false;
};

struct Pruned {
    std::vector<oci::Digest> images;  // without a name
    std::uint64_t layers = 0;
    std::uint64_t blobs = 0;
    std::uint64_t cache_records = 0;
    std::uint64_t logs = 0;
    std::uint64_t rubbish = 0;  // files that no record named
    std::uint64_t bytes = 0;    // freed on disk
};

// Takes the store's lock alone, waiting for running builds, and gives back a shared one. No
// LayerStore of this process may be in use. Throws Error(corrupt) where an image's config can't be
// read, for then nobody knows what it needs.
Pruned prune(oci::Store& store, const PruneOptions& options);

}  // namespace mkimg::layers
