// The digest of one file's bytes and extended attributes, for content digests only: large files
// are hashed as a tree of 1 MiB chunks, so that several threads can share one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "builder/stat_cache.h"

namespace mkimg::builder {

inline constexpr std::uint64_t chunk_size = 1U << 20U;

using XattrList = std::vector<std::pair<std::string, std::string>>;

// Those of an open file that a copy carries over, sorted by name: user.*, and file capabilities
// where they are an image's own. A context's are a host's matter.
XattrList copied_xattrs(int fd, bool from_image);

// Whole files of at most chunk_size bytes; `bytes` is the whole content.
FileContent file_content(std::string_view bytes, const XattrList& xattrs);
// Larger ones, of the digests of their chunks.
FileContent file_content(std::uint64_t size, const std::vector<Sha256Bytes>& chunks, const XattrList& xattrs);

}  // namespace mkimg::builder
