// Walks a tree in the order of its tar: bytewise by the names that the entries have there, where a
// directory's name ends in "/" (so "a-b" comes before "a/", and "a/x" comes right after "a/").
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "layers/entry.h"
#include "layers/xattrs.h"

namespace mkimg::layers {

struct WalkOptions {
    // The tree is a raw layer directory: overlay's whiteouts and opaque marks become .wh. entries.
    bool overlay_marks = false;
    // False: names and what statx tells, no open files and no extended attributes.
    bool contents = true;
};

struct WalkNode {
    Entry entry;
    UniqueFd file;  // of a regular file's first name: open for reading, at its start
    struct statx stat {};
    int parent = -1;   // the directory that holds the node (its own for the root), while it is current
    std::string name;  // in that directory; "." for the root, empty for an opaque mark
};

class TreeWalk {
  public:
    TreeWalk(int root, const WalkOptions& options);

    // The next node, the root first; null at the end. It is valid until the next call. Sockets
    // are passed over. Throws Error(conflict) where the tree changes meanwhile or holds a mount.
    WalkNode* next();

  private:
    struct Level {
        UniqueFd directory;  // closed in the outer levels of a very deep tree
        std::vector<DirEntry> children;
        std::size_t at = 0;
        std::size_t path_size = 0;  // of the directory's path with its "/"
        bool opaque = false;        // its mark is still to come
    };
    struct Inode {
        std::uint64_t device;
        std::uint64_t number;
        friend bool operator==(const Inode&, const Inode&) = default;
    };
    struct InodeHash {
        std::size_t operator()(const Inode& inode) const noexcept {
            return static_cast<std::size_t>(inode.number * 31 + inode.device);
        }
    };

    void visit_root();
    void enter(UniqueFd directory);
    void reopen(Level& level);
    void settle_type(int directory, DirEntry& child);
    bool visit(const DirEntry& child);
    void visit_directory(const DirEntry& child);
    void visit_file(const DirEntry& child);
    void visit_special(const DirEntry& child);
    void make_mark(std::string_view name);
    bool link_to_first_name();
    void fill_entry(EntryType type);
    void stat_node(int directory, const char* name, int flags);

    WalkOptions options_;
    OverlayXattrs marks_;
    XattrReader xattrs_;
    UniqueFd root_;
    std::uint64_t mount_ = 0;
    bool started_ = false;
    bool opaque_ = false;  // of the directory just read
    WalkNode node_;
    UniqueFd entered_;  // the directory just returned, to be listed by the next call
    std::vector<Level> levels_;
    std::string path_;  // of the innermost level's directory, with a "/" behind it; empty for the root
    std::unordered_map<Inode, std::string, InodeHash> links_;
};

}  // namespace mkimg::layers
