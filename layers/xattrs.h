// The extended attributes that a layer carries: user.* and security.capability, as the other builders
// keep them. Everything else belongs to a host, not to an image: SELinux labels and IMA
// signatures (security.*), trusted.* (overlay's own marks among them), and POSIX ACLs, which no
// builder stores and whose ids a user namespace would rewrite.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layers/entry.h"

namespace mkimg::layers {

using Xattrs = std::vector<std::pair<std::string, std::string>>;

bool layer_carries_xattr(std::string_view name);

// File capabilities without the root id of a user namespace (revision 3 becomes 2): that id has no
// meaning elsewhere, and root and a user must write the same bytes.
std::string portable_capability(std::string value);

// Where overlay keeps its marks in a raw layer directory. A container's own attribute whose name
// begins with the prefix is stored there with "overlay." once more behind it.
class OverlayXattrs {
  public:
    explicit OverlayXattrs(bool user) : prefix_(user ? "user.overlay." : "trusted.overlay.") {}
    static OverlayXattrs of_this_process();

    std::string opaque() const { return prefix_ + "opaque"; }
    // A name in a raw layer directory to the name in the layer; empty where it is overlay's own.
    std::string unescape(std::string name) const;
    std::string escape(std::string name) const;

  private:
    std::string prefix_;
};

class XattrReader {
  public:
    // With `marks`, the descriptor is of a raw layer directory.
    explicit XattrReader(const OverlayXattrs* marks) : marks_(marks) {}

    // What a layer carries of the open file's attributes, sorted by name. `opaque` becomes true for
    // a directory with overlay's mark.
    void read(int fd, Xattrs& xattrs, bool& opaque);

  private:
    std::string value(int fd, const char* name);

    const OverlayXattrs* marks_;
    std::vector<char> buffer_ = std::vector<char>(4096);
};

}  // namespace mkimg::layers
