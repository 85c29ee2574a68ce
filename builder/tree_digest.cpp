#include "builder/tree_digest.h"

#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"
#include "base/tree_path.h"
#include "builder/source_path.h"

namespace mkimg::builder {
namespace {

constexpr std::uint64_t format_version = 1;
constexpr std::size_t flush_size = 256 * 1024;

// Fields of known length and length-prefixed ones, so that two different trees never give the same bytes.
class DigestWriter {
  public:
    DigestWriter() { number(format_version); }
    void number(std::uint64_t value) { pending_.append(reinterpret_cast<const char*>(&value), sizeof value); }
    void bytes(const Sha256Bytes& digest) { pending_ += as_text(digest); }
    void text(std::string_view value) {
        number(value.size());
        pending_ += value;
        if (pending_.size() > flush_size) flush();
    }
    Sha256Bytes finish() {
        flush();
        return hash_.finish();
    }

  private:
    void flush() {
        hash_.update(pending_);
        pending_.clear();
    }

    Sha256 hash_;
    std::string pending_;
};

class TreeDigest {
  public:
    // `plan` null: everything as it is.
    TreeDigest(DigestWriter& out, const TreeIndex& index, const CopyPlan* plan)
        : out_(out), index_(index), plan_(plan) {}

    void add(std::uint32_t number) {
        const TreeIndex::Node& node = index_.node(number);
        metadata(node.mode, node.uid, node.gid);
        if (S_ISDIR(node.mode)) {
            content(node.content);
            children(number);
        } else if (S_ISREG(node.mode) || S_ISLNK(node.mode)) {
            out_.number(node.key.size);
            content(node.content);
            out_.text(node.link_to != 0 ? index_.path(node.link_to) : std::string());
        } else {
            out_.number(node.device);
        }
    }

    // A directory's contents without the directory itself.
    void children(std::uint32_t number) {
        std::uint64_t count = 0;
        index_.each_child(number, [&](std::uint32_t) { ++count; });
        out_.number(count);
        index_.each_child(number, [&](std::uint32_t child) {
            out_.text(index_.name(child));
            add(child);
        });
    }

    void metadata(std::uint32_t mode, std::uint32_t uid, std::uint32_t gid) {
        const bool owners = plan_ == nullptr || plan_->keeps_owners();
        out_.number((mode & S_IFMT) | (plan_ != nullptr ? plan_->mode_of_copy(mode) : mode & 07777U));
        out_.number(owners ? uid : 0);
        out_.number(owners ? gid : 0);
    }

  private:
    void content(const FileContent& held) {
        out_.number(held.has_xattrs ? 1 : 0);
        out_.bytes(held.digest);
    }

    DigestWriter& out_;
    const TreeIndex& index_;
    const CopyPlan* const plan_;
};

void fill_indexes(CopyPlan& plan, ThreadPool& pool, Contents contents, const Cancellation* cancel) {
    for (CopyItem& item : plan.items) {
        item.index = index_tree(plan.tree, item.path, pool, contents, cancel);
        if (item.is_directory != S_ISDIR(item.index->node(TreeIndex::root).mode)) {
            throw_changed(item.path);
        }
        if (!plan.excluded.empty() && item.is_directory) {
            item.index = std::make_shared<const TreeIndex>(item.index->without(plan.excluded));
        }
    }
}

}  // namespace

void index_sources(CopyPlan& plan, ThreadPool& pool, const Cancellation* cancel) {
    fill_indexes(plan, pool, Contents::skip, cancel);
}

Sha256Bytes content_digest(CopyPlan& plan, ThreadPool& pool, const Cancellation* cancel) {
    fill_indexes(plan, pool, Contents::digest, cancel);
    DigestWriter out;
    out.number(plan.request.unpack ? 1 : 0);
    out.number(plan.items.size());
    for (const CopyItem& item : plan.items) {
        TreeDigest tree(out, *item.index, &plan);
        out.text(item.name);
        out.number(item.parents.size());
        for (const CopyItem::Parent& parent : item.parents) tree.metadata(parent.mode, parent.uid, parent.gid);
        out.number(item.is_directory ? 1 : 0);
        // The target directory keeps its own metadata, or gets that of a new one.
        if (item.is_directory && item.name.empty()) {
            tree.children(TreeIndex::root);
        } else {
            tree.add(TreeIndex::root);
        }
    }
    out.number(plan.request.heredocs.size());
    for (const HeredocFile& file : plan.request.heredocs) {
        out.text(file.name);
        out.text(file.content);
    }
    return out.finish();
}

Sha256Bytes content_digest(const SourceTree& tree, const std::string& path, ThreadPool& pool,
                           const Cancellation* cancel) {
    const auto found = find_source(tree, path);
    if (!found) {
        throw Error(
            ErrorCode::not_found,
            printable(path) + ": " +
                (tree.context != nullptr ? tree.context->why_missing(clean_path(path).substr(1)) : "not in the image"));
    }
    const auto index = index_tree(tree, found->path, pool, Contents::digest, cancel);
    DigestWriter out;
    TreeDigest(out, *index, nullptr).add(TreeIndex::root);
    return out.finish();
}

}  // namespace mkimg::builder
