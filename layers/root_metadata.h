// What a layer directory's own root says of the image's root directory.
#pragma once

#include <sys/types.h>

#include "layers/xattrs.h"

namespace mkimg::layers {

struct RootMetadata {
    mode_t mode = 0755;
    uid_t uid = 0;
    gid_t gid = 0;
    Xattrs xattrs;

    static RootMetadata read(int directory);
    void apply(int directory) const;

    friend bool operator==(const RootMetadata&, const RootMetadata&) = default;
};

}  // namespace mkimg::layers
