#include "base/overlay.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <string>

#include "base/error.h"
#include "base/mount.h"

namespace mkimg {
namespace {

constexpr std::size_t max_lower = 500;  // OVL_MAX_STACK of the kernel

}  // namespace

bool overlay_uses_user_xattrs() {
    // The first user namespace has a fixed inode (PROC_USER_INIT_INO). trusted.* needs CAP_SYS_ADMIN
    // there, whatever the id map says, so the map is not what to look at.
    constexpr ino_t first_user_namespace = 0xEFFFFFFDU;
    struct stat st {};
    if (::stat("/proc/self/ns/user", &st) != 0) return false;
    return st.st_ino != first_user_namespace;
}

UniqueFd mount_overlay(const OverlayLayers& layers) {
    const bool writable = layers.upper >= 0;
    if (writable != (layers.work >= 0)) throw Error(ErrorCode::internal, "an overlay takes upper and work together");
    if (layers.lower.size() > max_lower) {
        throw Error(ErrorCode::unsupported,
                    "an overlay of " + std::to_string(layers.lower.size()) + " layers: the kernel stacks at most " +
                        std::to_string(max_lower),
                    "join RUN, COPY and ADD steps so that the image has fewer layers, or squash its base");
    }
    MountContext overlay("overlay", "mkimg");
    for (const int lower : layers.lower) overlay.directory("lowerdir+", lower);
    UniqueFd empty;
    if (layers.lower.empty() || (layers.lower.size() == 1 && !writable)) {
        empty = MountContext("tmpfs").mount(MOUNT_ATTR_RDONLY);
        overlay.directory("lowerdir+", empty.get());
    }
    if (writable) {
        overlay.directory("upperdir", layers.upper);
        overlay.directory("workdir", layers.work);
        overlay.flag("volatile");
    }
    if (overlay_uses_user_xattrs()) {
        overlay.flag("userxattr");  // implies redirect_dir=nofollow and metacopy=off
    } else {
        overlay.option("redirect_dir", "off");
        overlay.option("metacopy", "off");
    }
    overlay.option("index", "off");
    UniqueFd mount = overlay.mount(0);
    if (writable) {
        struct statvfs fs {};
        if (::fstatvfs(mount.get(), &fs) != 0) throw_errno("look at an overlay mount");
        if ((fs.f_flag & ST_RDONLY) != 0) {
            throw Error(ErrorCode::host, "the kernel made the overlay read-only: its work directory can't be written",
                        "the store must belong to the user that runs mkimg; point --root at another directory");
        }
    }
    return mount;
}

}  // namespace mkimg
