#include "builder/directory_names.h"

#include <dirent.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "base/error.h"

namespace mkimg::builder {

DirectoryNames::DirectoryNames(int fd) {
    alignas(dirent64) thread_local std::array<char, 64 * 1024> buffer;
    for (;;) {
        const ssize_t size = ::getdents64(fd, buffer.data(), buffer.size());
        if (size < 0) throw_errno("list a directory");
        if (size == 0) break;
        for (ssize_t at = 0; at < size;) {
            const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
            at += entry->d_reclen;
            const std::string_view name = entry->d_name;
            if (name == "." || name == "..") continue;
            entries_.push_back({static_cast<std::uint32_t>(names_.size()), entry->d_type});
            names_.append(name).push_back('\0');
        }
    }
    std::sort(entries_.begin(), entries_.end(),
              [this](const Entry& a, const Entry& b) { return std::strcmp(this->name(a), this->name(b)) < 0; });
}

}  // namespace mkimg::builder
