// Unpacking: tar entries onto a directory. Written for hostile input: every parent is resolved
// with openat2, the last component is never followed, nothing leaves the directory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/stream.h"
#include "layers/entry.h"
#include "layers/tar_reader.h"

namespace mkimg::layers {

enum class Whiteouts {
    to_overlay,  // a layer's .wh. entries become overlay's own marks; the target is a raw layer directory
    as_files,    // names with .wh. are ordinary files (ADD of an archive)
};

struct ApplyOptions {
    Whiteouts whiteouts = Whiteouts::to_overlay;
    // Follow symlinks in parents inside the root, as ADD into a merged tree does. Layers are
    // unpacked into a directory of their own, where a symlinked parent is an error.
    bool follow_parents = false;
    // What a layer goes onto: directories for overlay, topmost first; empty where nothing is below.
    // A directory that the layer uses and doesn't name has the owner and mode it has there (else /tmp
    // would lose its sticky bit to a layer that only holds tmp/x), and an opaque mark on the root,
    // which overlay ignores, becomes whiteouts.
    std::span<const int> lower;
    std::optional<std::int64_t> epoch;  // mtimes later than this become this
    TarLimits limits;
    // ADD --chown / --chmod.
    std::optional<std::pair<std::uint32_t, std::uint32_t>> owner;
    std::optional<std::uint32_t> mode;
};

struct Applied {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;  // of file contents
    // A user namespace may make no devices. As the other rootless tools do, such entries are left
    // out: the sandbox brings its own /dev, and an image with a few device nodes must still work.
    std::uint64_t skipped_devices = 0;
};

// Unpacks the tar (uncompressed) of `source` below `root`. Reads the source to its end. Sets exact
// owners, modes, times (directories' last), xattrs, and makes devices where the host allows it.
// Throws Error(corrupt) for hostile archives, with the entry's name.
Applied apply_tar(Source& source, int root, const ApplyOptions& options);

}  // namespace mkimg::layers
