// Where the members of a tar lie in its file.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace mkimg::builder {

struct TarMember {
    enum class Type { file, directory, symlink, hardlink };
    Type type = Type::file;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::string link;  // a symlink's target as written; a hard link's member
};

// Reads the headers alone (ustar, PAX, GNU long names), so that an archive of gigabytes costs a few
// reads. Names come out without "./". Throws Error(corrupt) for what no tool that saves images
// writes: absolute names, "..", a name twice, devices, sparse files.
std::map<std::string, TarMember> index_tar(int file);

// True where the block, the first of a file, is a tar header.
bool is_tar_header(const char (&block)[512]);

}  // namespace mkimg::builder
