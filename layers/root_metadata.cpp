#include "layers/root_metadata.h"

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

namespace mkimg::layers {

RootMetadata RootMetadata::read(int directory) {
    const struct stat st = stat_fd(directory);
    RootMetadata root{st.st_mode & 07777U, st.st_uid, st.st_gid, {}};
    const OverlayXattrs marks = OverlayXattrs::of_this_process();
    bool opaque = false;
    XattrReader(&marks).read(directory, root.xattrs, opaque);
    return root;
}

void RootMetadata::apply(int directory) const {
    // The owner first: chown clears setuid and setgid.
    if (::fchown(directory, uid, gid) != 0 || ::fchmod(directory, mode) != 0) {
        throw_errno("set owner and mode of a snapshot's root");
    }
    if (xattrs.empty()) return;
    const OverlayXattrs marks = OverlayXattrs::of_this_process();
    for (const auto& [name, value] : xattrs) {
        if (::fsetxattr(directory, marks.escape(name).c_str(), value.data(), value.size(), 0) != 0) {
            throw_errno("set an extended attribute of a snapshot's root", name);
        }
    }
}

}  // namespace mkimg::layers
