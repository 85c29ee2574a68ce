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

// Entries are sorted bytewise by their names in the tar, where a directory's ends in "/" (so "a-b" comes
// before "a/", and "a/" before "a/x"); an opaque mark is the first in its directory. The first name
// of a hard-linked file in that order carries the content. Sockets are left out. Of extended
// attributes, user.* and security.capability are kept (layers/xattrs.h says why). Only `root` and
// what lies below it in the same mount is read; nothing is followed. What changes while it is read
// is Error(conflict), and a mount below too; a name that would mean a whiteout is Error(unsupported).
TreeSummary write_tree_tar(int root, Sink& sink, const TreeTarOptions& options = {});

// Sets every mtime below root (and of root) that is later than `epoch` to it.
void clamp_times(int root, std::int64_t epoch);

// True where the two raw layer directories hold the same entries, metadata and bytes, mtimes aside.
bool same_but_for_times(int a, int b);

}  // namespace mkimg::layers
