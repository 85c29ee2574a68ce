// Where a copied file goes in the image's tree.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/tree_path.h"

namespace mkimg::builder {

struct FileTarget {
    UniqueFd directory;
    std::string name;
};

// `path` names a file, which need not exist. Missing parents are made; symlinks are followed inside
// the root, the last one too, also where nothing is at its end yet. Throws Error(conflict) for a
// parent that is no directory and for a loop, Error(recipe) where the path can only be a directory.
FileTarget resolve_file_target(int root, const std::string& path, const NewDirectory& fresh);

}  // namespace mkimg::builder
