// A tree in words, one line for each entry, so that a test can say what it expects.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <string>

#include "base/fd.h"

namespace mkimg::layers {

struct TreeTextOptions {
    bool times = false;
    bool owners = false;
    bool xattrs = true;
    bool content = true;
};

namespace detail {

inline std::string xattr_text(const std::string& path) {
    std::string names(65536, '\0');
    const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
    std::string out;
    std::map<std::string, std::string> sorted;
    for (ssize_t at = 0; at < size;) {
        const std::string name = names.c_str() + at;
        at += static_cast<ssize_t>(name.size()) + 1;
        std::string value(65536, '\0');
        const ssize_t n = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
        value.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
        sorted[name] = value;
    }
    for (const auto& [name, value] : sorted) {
        out += " " + name + "=";
        for (const char c : value) {
            char hex[3];
            std::snprintf(hex, sizeof hex, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
            out += c >= ' ' && c < 127 ? std::string(1, c) : "\\" + std::string(hex);
        }
    }
    return out;
}

inline void describe(const std::string& path, const std::string& name, const TreeTextOptions& options,
                     std::map<std::pair<dev_t, ino_t>, std::string>& seen, std::string& out) {
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0) {
        out += name + " ???\n";
        return;
    }
    char mode[16];
    std::snprintf(mode, sizeof mode, " %o", st.st_mode & 07777U);
    std::string line = name;
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && !(S_ISCHR(st.st_mode) && st.st_rdev == 0)) {
        const auto [first, is_new] = seen.try_emplace({st.st_dev, st.st_ino}, name);
        if (!is_new) {
            out += name + " == " + first->second + "\n";
            return;
        }
    }
    const std::string device = std::to_string(major(st.st_rdev)) + ":" + std::to_string(minor(st.st_rdev));
    switch (st.st_mode & S_IFMT) {
        case S_IFDIR: line += (name == "/" ? "" : "/") + std::string(mode); break;
        case S_IFREG: {
            line += mode;
            if (options.content) {
                const UniqueFd file = open_path(path, O_RDONLY);
                line += " '" + read_all(file.get(), 1U << 20U, path) + "'";
            }
            break;
        }
        case S_IFLNK: {
            std::string target(8192, '\0');
            const ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
            target.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
            line += " -> " + target;
            break;
        }
        case S_IFCHR: line += st.st_rdev == 0 ? " whiteout" : " char " + device + mode; break;
        case S_IFBLK: line += " block " + device + mode; break;
        case S_IFIFO: line += " fifo" + std::string(mode); break;
        default: line += " other"; break;
    }
    if (options.owners) line += " " + std::to_string(st.st_uid) + ":" + std::to_string(st.st_gid);
    if (options.times) line += " @" + std::to_string(st.st_mtim.tv_sec);
    if (options.xattrs) line += xattr_text(path);
    out += line + "\n";
    if (!S_ISDIR(st.st_mode)) return;
    const UniqueFd directory = open_path(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    for (const DirEntry& child : list_directory(directory.get())) {
        describe(path + "/" + child.name, (name == "/" ? "" : name + "/") + child.name, options, seen, out);
    }
}

}  // namespace detail

// The root itself is the first line, "/".
inline std::string tree_text(const std::string& path, const TreeTextOptions& options = {}) {
    std::map<std::pair<dev_t, ino_t>, std::string> seen;
    std::string out;
    detail::describe(path, "/", options, seen, out);
    return out;
}

}  // namespace mkimg::layers
