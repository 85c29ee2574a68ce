// What a tree takes on disk.
#pragma once

#include <cstdint>
#include <string>

namespace mkimg::layers {

// Bytes of the blocks that `name` below `dirfd` and all it holds take, as `du -s` counts: hard links
// once, nothing followed, not into other file systems. Zero where there is nothing.
std::uint64_t disk_usage(int dirfd, const std::string& name);

}  // namespace mkimg::layers
