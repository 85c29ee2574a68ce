// One entry of a layer, as it stands in the tar.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mkimg::layers {

enum class EntryType { file, directory, symlink, hardlink, fifo, char_device, block_device };

struct Entry {
    std::string path;  // bytes, relative, no leading "./" or "/", no trailing "/"; "" is the root
    EntryType type = EntryType::file;
    std::uint32_t mode = 0;  // permission bits with setuid, setgid, sticky
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    std::uint64_t size = 0;   // of a file's content; 0 for everything else
    std::int64_t mtime = 0;   // unix seconds; may be negative
    std::string link;         // target of a symlink (verbatim) or hard link (an entry's path)
    std::uint32_t major = 0;  // devices
    std::uint32_t minor = 0;
    std::vector<std::pair<std::string, std::string>> xattrs;  // sorted by name
};

}  // namespace mkimg::layers
