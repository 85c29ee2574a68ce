// A detached overlay mount made through the new mount API, by descriptors.
#pragma once

#include <span>

#include "base/fd.h"

namespace mkimg {

struct OverlayLayers {
    std::span<const int> lower;  // topmost first; at most 500
    int upper = -1;              // both or neither; must lie in one file system
    int work = -1;
};

// The mount is attached nowhere: it lives as long as its descriptor (or until move_mount puts it
// somewhere), so a killed process leaves nothing behind. With `upper` it is writable and volatile
// (unmounting an overlay otherwise syncs the whole file system); without, read-only. Redirects,
// metacopy and index are off, so that the upper directory is a valid layer. In a user namespace
// other than the first one, `userxattr` is set. `lower` may hold a single entry or none: an empty
// directory is put below where the kernel demands more. `work` must be empty: a volatile mount
// leaves a mark in it that keeps it from being used again.
// Needs CAP_SYS_ADMIN over the mount namespace. Throws Error(host) with what is missing.
UniqueFd mount_overlay(const OverlayLayers& layers);

// True where overlay keeps its marks in user.overlay.* instead of trusted.overlay.*.
bool overlay_uses_user_xattrs();

}  // namespace mkimg
