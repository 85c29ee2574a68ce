// COPY and ADD before anything is written: which paths of the source tree are meant, and by what
// name each arrives.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "builder/chmod_spec.h"
#include "builder/context.h"
#include "builder/tree_index.h"

namespace mkimg::builder {

struct HeredocFile {
    std::string name;
    std::string content;
};

// One COPY or ADD, its words expanded and unquoted.
struct CopyRequest {
    bool add = false;     // ADD: for messages
    bool unpack = false;  // archives among the sources are unpacked (ADD without --unpack=false)
    std::vector<std::string> sources;
    std::vector<HeredocFile> heredocs;
    std::string target;             // as written: a '/' or "/." at its end matters
    std::string working_dir = "/";  // of the image config
    std::string chown;              // "user[:group]"; empty: not given
    std::string chmod;              // "755", "u=rwX,go=rX"; empty: not given
    bool parents = false;           // --parents
    std::vector<std::string> exclude;
    std::optional<std::int64_t> epoch;
};

struct CopyItem {
    enum class Kind { file, directory, archive };  // file: everything that is no directory
    Kind kind = Kind::file;
    std::string path;  // clean and relative to the tree's root, symlinks resolved; "" is the root
    std::string name;  // what it is called where the target is a directory; "" for a directory's contents
    // --parents: directories of the source tree from which `name`'s parents take their metadata.
    std::string pivot;
};

struct CopyPlan {
    SourceTree tree;
    CopyRequest request;
    std::optional<ChmodSpec> chmod;
    std::string target;                // absolute and clean
    bool target_is_directory = false;  // ends in '/', or has several sources
    std::vector<CopyItem> items;
    // What lies below each item; made by content_digest(), one per item.
    std::vector<std::shared_ptr<const TreeIndex>> indexes;
};

// Throws Error(not_found) for a source that matches nothing, Error(recipe) for what can't be meant.
// The errors name the instruction and the source, and have no place: the caller knows the line.
CopyPlan plan_copy(const SourceTree& tree, CopyRequest request);

}  // namespace mkimg::builder
