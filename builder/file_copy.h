// One file, directory or symlink made in a directory of the image's tree.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/fd.h"
#include "builder/file_digest.h"

namespace mkimg::builder {

struct Metadata {
    mode_t mode = 0644;  // 07777
    uid_t uid = 0;
    gid_t gid = 0;
    std::optional<std::int64_t> mtime_ns;  // nothing: now
};

// The in-image path of what is made; called for an error message only.
using PathText = std::function<std::string()>;

// Files from this size on are worth a thread of their own.
inline constexpr std::uint64_t large_file = 8U << 20U;

// Each makes way first: a file or symlink of that name is removed, never followed or written to. A
// directory of that name is Error(conflict), named by `path`.
UniqueFd create_file(int directory, const char* name, const Metadata& metadata, const PathText& path);
void create_symlink(int directory, const char* name, const std::string& target, const Metadata& metadata,
                    const PathText& path);
void create_node(int directory, const char* name, mode_t type, dev_t device, const Metadata& metadata,
                 const PathText& path);
void create_link(int directory, const std::string& existing, const std::string& name, const PathText& path);
// An existing directory stays, with what it holds; anything else of that name is Error(conflict).
void create_directory(int directory, const char* name, const PathText& path);

// The metadata that a finished file or directory shall have: owner before mode, time last.
void set_metadata(int fd, const Metadata& metadata, const XattrList& xattrs, const PathText& path);

// `size` bytes, or fewer where the source ends early.
void copy_bytes(int from, int to, std::uint64_t size, const PathText& path);

}  // namespace mkimg::builder
