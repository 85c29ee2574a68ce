// A source tree as it was when it was digested: names, metadata and content digests in one compact
// table, so that what is copied is what was digested.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/sha256.h"
#include "base/thread_pool.h"
#include "builder/context.h"
#include "builder/stat_cache.h"

namespace mkimg::builder {

class TreeIndex {
  public:
    struct Node {
        std::uint32_t name = 0;         // offset in names_
        std::uint32_t first_child = 0;  // children are neighbours, sorted bytewise
        std::uint32_t children = 0;
        std::uint32_t mode = 0;  // with the file type
        std::uint32_t uid = 0;
        std::uint32_t gid = 0;
        std::uint32_t links = 0;
        std::uint32_t device = 0;  // of a device node
        StatKey key;
        // Of a file's bytes and xattrs, a symlink's target, a directory's xattrs.
        Sha256Bytes digest{};
    };
};

}  // namespace mkimg::builder
