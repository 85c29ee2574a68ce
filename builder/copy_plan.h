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
    std::string target;             // as written: a '/' at its end matters
    std::string working_dir = "/";  // of the image config
    std::string chown;              // "user[:group]"; empty: not given
    std::string chmod;              // "755", "u=rwX,go=rX"; empty: not given
    bool parents = false;           // --parents
    std::vector<std::string> exclude;
    std::optional<std::int64_t> epoch;
};

struct CopyItem {
    bool is_directory = false;
    std::string path;  // in the source tree: clean, relative, without symlinks; "" is the root
    // Below the target directory: a file's name (as the recipe called it), "" for the contents of a
    // directory, with --parents the path from the pivot.
    std::string name;
    // --parents: the directories that `name` leads through, outermost first, as the source has them.
    struct Parent {
        std::string name;
        std::uint32_t mode = 0;
        std::uint32_t uid = 0;
        std::uint32_t gid = 0;
    };
    std::vector<Parent> parents;
    std::shared_ptr<const TreeIndex> index;  // made by content_digest()
};

struct CopyPlan {
    SourceTree tree;
    CopyRequest request;
    std::optional<ChmodSpec> chmod;
    parser::IgnoreRules excluded;
    std::string target;                // absolute and clean
    bool target_is_directory = false;  // as written: it ends in '/'
    std::vector<CopyItem> items;

    // The mode (07777) of a copy of something of mode `mode` (with its type).
    std::uint32_t mode_of_copy(std::uint32_t mode) const;
    // Owners come along from an image, unless --chown says otherwise; a context's files become 0:0.
    bool keeps_owners() const { return tree.context == nullptr && request.chown.empty(); }
    // "COPY" or "ADD".
    std::string_view keyword() const { return request.add ? "ADD" : "COPY"; }
};

// Throws Error(not_found) for a source that matches nothing, Error(recipe) for what can't be meant.
// The errors name the instruction and the source, and have no place: the caller knows the line. A
// pattern may match nothing as long as another source is there (`COPY package.json lock* ./`).
CopyPlan plan_copy(const SourceTree& tree, CopyRequest request);

}  // namespace mkimg::builder
