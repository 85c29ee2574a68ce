// A source tree as it was when it was digested: names, metadata and content digests in one compact
// table, so that what is copied is what was digested.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/thread_pool.h"
#include "builder/context.h"
#include "builder/stat_cache.h"
#include "parser/ignore.h"

namespace mkimg::builder {

class TreeIndex {
  public:
    struct Node {
        std::uint32_t name = 0;         // offset in names_, NUL-terminated there
        std::uint32_t parent = 0;       // the root is its own
        std::uint32_t first_child = 0;  // children are neighbours, sorted bytewise
        std::uint32_t children = 0;
        std::uint32_t mode = 0;  // with the file type; 0 where the node was left out
        std::uint32_t uid = 0;
        std::uint32_t gid = 0;
        std::uint32_t links = 1;    // st_nlink
        std::uint32_t link_to = 0;  // the earlier node (in walking order) of the same inode; 0 for none
        std::uint64_t device = 0;   // st_rdev of a device node
        StatKey key;
        FileContent content;
    };

    static constexpr std::uint32_t root = 0;
    const Node& node(std::uint32_t number) const { return nodes_[number]; }
    const char* name(std::uint32_t number) const { return names_.data() + nodes_[number].name; }
    std::size_t size() const noexcept { return nodes_.size(); }
    // False where contents were skipped: then node.content says nothing of files and symlinks.
    bool has_contents() const noexcept { return has_contents_; }
    // "a/b" below the root, "" for the root itself.
    std::string path(std::uint32_t number) const;

    // Without what the patterns of --exclude name, relative to the root.
    TreeIndex without(const parser::IgnoreRules& excluded) const;

    // The numbers of the children that were not left out.
    template <typename Visit>
    void each_child(std::uint32_t number, Visit visit) const {
        const Node& directory = nodes_[number];
        for (std::uint32_t i = 0; i < directory.children; ++i) {
            if (nodes_[directory.first_child + i].mode != 0) visit(directory.first_child + i);
        }
    }

  private:
    friend class TreeWalk;
    bool has_visible_child(const Node& directory) const;
    void find_hard_links();

    std::vector<Node> nodes_;
    std::string names_;
    bool has_contents_ = true;
};

// Whether file contents are read for their digests, or only named and stat'ed.
enum class Contents { digest, skip };

// What lies at `path` (clean, relative, without symlinks) and below, as the ignore rules of the
// tree's context show it. Sockets are left out. The calling thread works too. Throws
// Error(not_found) where there is nothing.
std::shared_ptr<const TreeIndex> index_tree(const SourceTree& tree, const std::string& path, ThreadPool& pool,
                                            Contents contents = Contents::digest, const Cancellation* cancel = nullptr);

}  // namespace mkimg::builder
