// ADD's archives: known by their content, whatever their name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mkimg::builder {

// True for a tar, plain or compressed with gzip, bzip2, xz or zstd: its first header must be whole
// and its checksum right. Leaves the descriptor's offset at the start.
bool is_archive(int fd);

// Unpacks it into `directory`, owners and modes as the archive has them.
void unpack_archive(int fd, int directory, std::optional<std::int64_t> epoch);

}  // namespace mkimg::builder
