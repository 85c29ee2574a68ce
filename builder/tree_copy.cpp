#include "builder/tree_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <variant>

#include "base/error.h"
#include "builder/file_copy.h"
#include "builder/source_path.h"
#include "builder/work_queue.h"

namespace mkimg::builder {
namespace {

class TreeCopy {
  public:
    TreeCopy(const CopyRun& run, const CopyItem& item, const std::string& path)
        : run_(run), plan_(run.plan), item_(item), index_(*item.index), path_(path), queue_(run.pool) {}

    // The contents of the item's root directory into `target`.
    void directory(UniqueFd source, UniqueFd target) {
        const auto into = std::make_shared<const UniqueFd>(std::move(target));
        queue_.push(Directory{TreeIndex::root, std::make_shared<const UniqueFd>(std::move(source)), into});
        queue_.run([this](Task& task) {
            if (run_.cancel != nullptr) run_.cancel->check();
            std::visit([this](const auto& work) { visit(work); }, task);
        });
        make_hard_links(into->get());
        // With --parents the root directory itself arrives, metadata and all.
        if (!item_.name.empty()) finish(into->get(), TreeIndex::root);
    }

    // The item's root, which is no directory, as `name` in `target`.
    void file(int source_parent, const char* source_name, int target, const char* name) {
        const TreeIndex::Node& node = index_.node(TreeIndex::root);
        if (!S_ISREG(node.mode)) return special(TreeIndex::root, source_parent, source_name, target, name);
        const UniqueFd to = create_file(target, name, metadata(node), target_path(TreeIndex::root));
        contents(TreeIndex::root, source_parent, source_name, to.get());
    }

  private:
    struct Directory {
        std::uint32_t node;
        std::shared_ptr<const UniqueFd> source;  // its parent, or for the root itself
        std::shared_ptr<const UniqueFd> target;  // likewise
    };
    struct LargeFile {
        std::uint32_t node;
        std::shared_ptr<const UniqueFd> source;  // its directory
        std::shared_ptr<const UniqueFd> target;  // likewise; the empty file is there
    };
    using Task = std::variant<Directory, LargeFile>;

    std::string source_path(std::uint32_t node) const { return join_names(item_.path, index_.path(node)); }
    PathText target_path(std::uint32_t node) const {
        return [this, node] { return join_names(path_, index_.path(node)); };
    }

    Metadata metadata(const TreeIndex::Node& node) const {
        const bool keep = plan_.keeps_owners();
        return {plan_.mode_of_copy(node.mode), keep ? node.uid : run_.owner.uid, keep ? node.gid : run_.owner.gid,
                node.key.mtime_ns};
    }

    void visit(const Directory& task) {
        std::shared_ptr<const UniqueFd> source = task.source;
        std::shared_ptr<const UniqueFd> target = task.target;
        if (task.node != TreeIndex::root) {
            source = open_directory(task.source->get(), task.node);
            target = open_directory(task.target->get(), task.node);
            const StatKey seen = stat_key(stat_fd(source->get()));
            const StatKey& known = index_.node(task.node).key;
            if (seen.device != known.device || seen.inode != known.inode) throw_changed(source_path(task.node));
        }
        index_.each_child(task.node, [&](std::uint32_t child) {
            const TreeIndex::Node& node = index_.node(child);
            const char* name = index_.name(child);
            if (node.link_to != 0) {
                const std::lock_guard lock(mutex_);
                hard_links_.push_back(child);
            } else if (S_ISDIR(node.mode)) {
                create_directory(target->get(), name, target_path(child));
                queue_.push(Directory{child, source, target});
            } else if (!S_ISREG(node.mode)) {
                special(child, source->get(), name, target->get(), name);
            } else {
                const UniqueFd to = create_file(target->get(), name, metadata(node), target_path(child));
                if (node.key.size >= large_file) {
                    queue_.push(LargeFile{child, source, target});
                } else {
                    contents(child, source->get(), name, to.get());
                }
            }
        });
        // Every name in it has been made by now, so its time will stay.
        if (task.node != TreeIndex::root) finish(target->get(), task.node);
    }

    void visit(const LargeFile& task) {
        const char* name = index_.name(task.node);
        const UniqueFd to(::openat(task.target->get(), name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
        if (!to) throw_errno("open", target_path(task.node)());
        contents(task.node, task.source->get(), name, to.get());
    }

    std::shared_ptr<const UniqueFd> open_directory(int parent, std::uint32_t number) const {
        const int fd = ::openat(parent, index_.name(number), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) throw_changed(source_path(number));
        if (fd < 0) throw_errno("open", source_path(number));
        return std::make_shared<const UniqueFd>(fd);
    }

    void contents(std::uint32_t number, int source_parent, const char* source_name, int to) const {
        const TreeIndex::Node& node = index_.node(number);
        const UniqueFd from(open_source_file(source_parent, source_name));
        if (!from && (errno == ENOENT || errno == ELOOP)) throw_changed(source_path(number));
        if (!from) throw_errno("read", source_path(number));
        copy_bytes(from.get(), to, node.key.size, target_path(number));
        XattrList xattrs;
        if (node.content.has_xattrs || !index_.has_contents()) {
            xattrs = copied_xattrs(from.get(), plan_.tree.context == nullptr);
        }
        // Asked after the last read, so that what was copied is what was digested.
        if (!(stat_key(stat_fd(from.get())) == node.key)) throw_changed(source_path(number));
        set_metadata(to, metadata(node), xattrs, target_path(number));
    }

    // Symlinks, FIFOs and devices.
    void special(std::uint32_t number, int source_parent, const char* source_name, int target, const char* name) const {
        const TreeIndex::Node& node = index_.node(number);
        if (!S_ISLNK(node.mode)) {
            create_node(target, name, node.mode & S_IFMT, node.device, metadata(node), target_path(number));
            return;
        }
        std::array<char, 4096> buffer;
        const ssize_t size = ::readlinkat(source_parent, source_name, buffer.data(), buffer.size());
        if (size < 0) throw_changed(source_path(number));
        const std::string link(buffer.data(), static_cast<std::size_t>(size));
        if (index_.has_contents() && !(file_content(link, {}) == node.content)) throw_changed(source_path(number));
        create_symlink(target, name, link, metadata(node), target_path(number));
    }

    void finish(int target, std::uint32_t number) const {
        const TreeIndex::Node& node = index_.node(number);
        XattrList xattrs;
        if (node.content.has_xattrs) {
            const auto source = try_open_nofollow(plan_.tree.root, source_path(number), O_RDONLY | O_DIRECTORY);
            if (!source) throw_changed(source_path(number));
            xattrs = copied_xattrs(source->get(), plan_.tree.context == nullptr);
        }
        set_metadata(target, metadata(node), xattrs, target_path(number));
    }

    // The second and later names of files, when the first are there. Below `target` are no symlinks
    // in directories' places: this copy made or checked each of them.
    void make_hard_links(int target) {
        for (const std::uint32_t number : hard_links_) {
            const std::string name = index_.path(number);
            create_link(target, index_.path(index_.node(number).link_to), name, target_path(number));
            const std::uint32_t parent = index_.node(number).parent;
            if (parent == TreeIndex::root) continue;
            const UniqueFd directory = open_at(target, index_.path(parent), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            finish(directory.get(), parent);
        }
    }

    const CopyRun& run_;
    const CopyPlan& plan_;
    const CopyItem& item_;
    const TreeIndex& index_;
    const std::string& path_;
    WorkQueue<Task> queue_;
    std::mutex mutex_;  // guards hard_links_
    std::vector<std::uint32_t> hard_links_;
};

}  // namespace

void copy_contents(const CopyRun& run, const CopyItem& item, const std::string& path, UniqueFd source,
                   UniqueFd target) {
    TreeCopy(run, item, path).directory(std::move(source), std::move(target));
}

void copy_single(const CopyRun& run, const CopyItem& item, const std::string& path, int source,
                 const std::string& source_name, const FileTarget& target) {
    TreeCopy(run, item, path).file(source, source_name.c_str(), target.directory.get(), target.name.c_str());
}

std::string join_names(const std::string& directory, const std::string& name) {
    if (name.empty()) return directory;
    return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

int open_source_file(int directory, const char* name) {
    return ::openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

}  // namespace mkimg::builder
