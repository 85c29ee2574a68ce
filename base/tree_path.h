// Paths inside a container's tree. Everything here resolves relative to a directory descriptor
// with openat2(RESOLVE_IN_ROOT): absolute symlinks and ".." stay inside that directory, and magic
// links (/proc/self/fd/N) are refused. Where the kernel or a seccomp filter refuses openat2, a
// walk of one component at a time does the same. Paths are bytes; "" and "/" mean the root itself.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace mkimg {

// Opens `path`, following symlinks inside the root (the last one too unless O_NOFOLLOW is given).
// Throws Error(not_found), (denied), ...
UniqueFd open_in_root(int root, const std::string& path, int flags, mode_t mode = 0);
// The same; nothing where the path does not exist (ENOENT, ENOTDIR, ELOOP).
std::optional<UniqueFd> try_open_in_root(int root, const std::string& path, int flags, mode_t mode = 0);

// Opens `path` and follows no symlink in any component. Nothing where there is none or where a
// component is a symlink.
std::optional<UniqueFd> try_open_nofollow(int root, const std::string& path, int flags);

// What lies at `path`; parents are followed inside the root, the last component is not.
std::optional<struct stat> lstat_in_root(int root, const std::string& path);
// The same with the last component followed.
std::optional<struct stat> stat_in_root(int root, const std::string& path);

// Opens the directory `path`, making what is missing with exactly `mode`, `uid`, `gid` and, where
// `mtime` is given, that time. A dangling symlink on the way is made good inside the root. Throws
// Error(conflict) where a component is no directory. Appends the in-root paths made to `made`.
struct NewDirectory {
    mode_t mode = 0755;
    uid_t uid = 0;
    gid_t gid = 0;
    std::optional<std::int64_t> mtime;  // whole seconds
};
UniqueFd make_directories_in_root(int root, const std::string& path, const NewDirectory& fresh,
                                  std::vector<std::string>* made = nullptr);

// "/a//b/./c/../d" to "/a/b/d", purely lexical, always absolute; ".." stops at the root.
std::string clean_path(std::string_view path);
// clean_path of `path`, taken relative to `directory` unless it is absolute.
std::string join_path(std::string_view directory, std::string_view path);
// Splits a clean_path into {parent, last component}; the root gives {"/", ""}.
std::pair<std::string, std::string> split_path(std::string_view clean);

}  // namespace mkimg
