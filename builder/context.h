// The build context: the directory that COPY and ADD read, seen through its ignore rules.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "builder/stat_cache.h"
#include "parser/ignore.h"

namespace mkimg::builder {

class TreeIndex;

class BuildContext {
  public:
    // `root` is opened once and everything is read through it. `ignore_file` is the name that
    // messages show. `store` is the store's root folder (borrowed), or -1 to keep no StatCache.
    BuildContext(UniqueFd root, parser::IgnoreRules rules, std::string ignore_file, int store);
    BuildContext(const BuildContext&) = delete;
    BuildContext& operator=(const BuildContext&) = delete;
    ~BuildContext();

    int root() const noexcept { return root_.get(); }
    const parser::IgnoreRules& rules() const noexcept { return rules_; }
    const std::string& ignore_file() const noexcept { return ignore_file_; }
    StatCache& stat_cache() const noexcept { return *stat_cache_; }

    // Why a build doesn't see `path` (relative and clean): "not in the context", and which of the
    // ignore rules is to blame where one is.
    std::string why_missing(const std::string& path) const;

    // What `make` gives for `path`, made once however many steps and threads ask.
    using MakeIndex = std::function<std::shared_ptr<const TreeIndex>()>;
    std::shared_ptr<const TreeIndex> index(const std::string& path, const MakeIndex& make) const;

  private:
    struct Indexes;

    UniqueFd root_;
    parser::IgnoreRules rules_;
    std::string ignore_file_;
    std::unique_ptr<StatCache> stat_cache_;
    std::unique_ptr<Indexes> indexes_;
};

// Where a copy reads: the context, or the tree of a stage or image (a mounted view).
struct SourceTree {
    int root = -1;                          // borrowed
    const BuildContext* context = nullptr;  // borrowed; null for an image's tree
};

inline SourceTree source_tree(const BuildContext& context) {
    return {context.root(), &context};
}

}  // namespace mkimg::builder
