#include "layers/xattrs.h"

#include <linux/capability.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/overlay.h"

namespace mkimg::layers {
namespace {

constexpr std::string_view capability_name = "security.capability";
constexpr std::string_view escape_infix = "overlay.";
constexpr std::size_t largest = 65536;  // XATTR_LIST_MAX and XATTR_SIZE_MAX

}  // namespace

bool layer_carries_xattr(std::string_view name) {
    return name == capability_name || (name.starts_with("user.") && name.size() > 5);
}

std::string portable_capability(std::string value) {
    // struct vfs_ns_cap_data: little-endian magic, then two pairs of 32-bit sets, then the root id.
    constexpr std::size_t revision_byte = 3;
    if (value.size() == XATTR_CAPS_SZ_3 && value[revision_byte] == VFS_CAP_REVISION_3 >> VFS_CAP_REVISION_SHIFT) {
        value[revision_byte] = static_cast<char>(VFS_CAP_REVISION_2 >> VFS_CAP_REVISION_SHIFT);
        value.resize(XATTR_CAPS_SZ_2);
    }
    return value;
}

OverlayXattrs OverlayXattrs::of_this_process() {
    return OverlayXattrs(overlay_uses_user_xattrs());
}

std::string OverlayXattrs::unescape(std::string name) const {
    if (!name.starts_with(prefix_)) return name;
    name.erase(0, prefix_.size());
    if (!name.starts_with(escape_infix)) return {};
    name.erase(0, escape_infix.size());
    return prefix_ + name;
}

std::string OverlayXattrs::escape(std::string name) const {
    if (name.starts_with(prefix_)) name.insert(prefix_.size(), escape_infix);
    return name;
}

void XattrReader::read(int fd, Xattrs& xattrs, bool& opaque) {
    xattrs.clear();
    opaque = false;
    ssize_t size = ::flistxattr(fd, buffer_.data(), buffer_.size());
    if (size < 0 && errno == ERANGE) {
        buffer_.resize(largest);
        size = ::flistxattr(fd, buffer_.data(), buffer_.size());
    }
    if (size < 0) {
        if (errno == ENOTSUP) return;
        throw_errno("list the extended attributes of a file");
    }
    if (size == 0) return;
    const std::string names(buffer_.data(), static_cast<std::size_t>(size));
    for (std::size_t at = 0; at < names.size();) {
        const char* stored = names.c_str() + at;
        at += std::strlen(stored) + 1;
        if (marks_ != nullptr && stored == marks_->opaque()) {
            opaque = value(fd, stored) == "y";
            continue;
        }
        std::string name = marks_ != nullptr ? marks_->unescape(stored) : stored;
        if (!layer_carries_xattr(name)) continue;
        std::string bytes = value(fd, stored);
        if (name == capability_name) bytes = portable_capability(std::move(bytes));
        xattrs.emplace_back(std::move(name), std::move(bytes));
    }
    std::sort(xattrs.begin(), xattrs.end());
}

std::string XattrReader::value(int fd, const char* name) {
    ssize_t size = ::fgetxattr(fd, name, buffer_.data(), buffer_.size());
    if (size < 0 && errno == ERANGE) {
        buffer_.resize(largest);
        size = ::fgetxattr(fd, name, buffer_.data(), buffer_.size());
    }
    if (size < 0) throw_errno("read the extended attribute", name);
    return {buffer_.data(), static_cast<std::size_t>(size)};
}

}  // namespace mkimg::layers
