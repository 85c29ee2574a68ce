// The other way: a raw layer directory (an overlay upper) to a layer tar.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/stream.h"
#include "layers/entry.h"

namespace mkimg::layers {

struct TreeTarOptions {
    // Overlay whiteouts and opaque marks become .wh. entries; overlay's bookkeeping xattrs go,
    // escaped ones come back. False for a merged tree (type=tar output, `save` of a root).
    bool overlay_marks = true;
    // Also write an entry "./" for the root itself.
    bool root_entry = false;
    std::optional<std::int64_t> epoch;  // mtimes later than this become this
};

struct TreeSummary {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;  // of file contents
};

// Entries sorted bytewise by path (a directory before what it holds), the first name of a hard-linked
// file in that order carries the content. Sockets are left out. Only `root` and what lies below it
// in the same mount is read; nothing is followed. What changes while it is read is Error(conflict).
TreeSummary write_tree_tar(int root, Sink& sink, const TreeTarOptions& options = {});

// Sets every mtime below root (and of root) that is later than `epoch` to it.
void clamp_times(int root, std::int64_t epoch);

// True where the two raw layer directories hold the same entries, metadata and bytes, mtimes aside.
bool same_but_for_times(int a, int b);

}  // namespace mkimg::layers
