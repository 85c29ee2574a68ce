// The words that name COPY's sources, looked up in a source tree: symlinks and ".." stay inside its
// root, what the ignore rules hide does not exist.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "builder/context.h"

namespace mkimg::builder {

struct FoundSource {
    std::string path;  // relative to the root, clean, without symlinks; "" is the root
    struct stat stat {};
    UniqueFd fd;  // O_PATH
};

// Follows symlinks, the last component's too. Nothing where nothing is seen at `path`, or only a loop
// of symlinks; `missing` then gets the path that symlinks led to, for a message.
std::optional<FoundSource> find_source(const SourceTree& tree, const std::string& path, std::string* missing = nullptr);

// For a source that isn't what an earlier look at it said: Error(conflict).
[[noreturn]] void throw_changed(const std::string& path);

// Whether the context's ignore rules show `path` (clean, without symlinks).
bool is_visible(const SourceTree& tree, const std::string& path, bool is_directory);

struct GlobMatches {
    std::vector<std::string> paths;     // relative, as the pattern reached them, in bytewise order
    std::optional<std::string> hidden;  // one that matches, but for the ignore rules
};
// Component by component as Go's filepath.Match. With `any_depth`, a component `**` stands for any
// number of directories.
GlobMatches match_sources(const SourceTree& tree, const std::string& pattern, bool any_depth);

}  // namespace mkimg::builder
