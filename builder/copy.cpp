#include "builder/copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <variant>

#include "base/error.h"
#include "base/passwd.h"
#include "base/text.h"
#include "base/tree_path.h"
#include "builder/archive.h"
#include "builder/file_copy.h"
#include "builder/target_path.h"
#include "builder/work_queue.h"

namespace mkimg::builder {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr int source_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

std::string join_names(const std::string& directory, const std::string& name) {
    if (name.empty()) return directory;
    return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

[[noreturn]] void changed(const std::string& path) {
    throw Error(ErrorCode::conflict, printable(path) + " changed while the build was reading it",
                "let what writes it finish, or exclude it in .dockerignore");
}

// One item of a plan: a tree of files, side by side where that pays.
class TreeCopy {
  public:
    // `path` is the target's in-image path, for messages.
    TreeCopy(const CopyPlan& plan, const CopyItem& item, Owner owner, std::string path, ThreadPool& pool,
             const Cancellation* cancel)
        : plan_(plan),
          item_(item),
          index_(*item.index),
          owner_(owner),
          path_(std::move(path)),
          cancel_(cancel),
          queue_(pool) {}

    // The contents of the item's root directory into `target`.
    void directory(UniqueFd source, UniqueFd target) {
        const auto into = std::make_shared<const UniqueFd>(std::move(target));
        queue_.push(Directory{TreeIndex::root, std::make_shared<const UniqueFd>(std::move(source)), into});
        queue_.run([this](Task& task) {
            if (cancel_ != nullptr) cancel_->check();
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
        return {plan_.mode_of_copy(node.mode), keep ? node.uid : owner_.uid, keep ? node.gid : owner_.gid,
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
            if (seen.device != known.device || seen.inode != known.inode) changed(source_path(task.node));
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
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) changed(source_path(number));
        if (fd < 0) throw_errno("open", source_path(number));
        return std::make_shared<const UniqueFd>(fd);
    }

    void contents(std::uint32_t number, int source_parent, const char* source_name, int to) const {
        const TreeIndex::Node& node = index_.node(number);
        const UniqueFd from(::openat(source_parent, source_name, source_flags));
        if (!from && (errno == ENOENT || errno == ELOOP)) changed(source_path(number));
        if (!from) throw_errno("read", source_path(number));
        copy_bytes(from.get(), to, node.key.size, target_path(number));
        XattrList xattrs;
        if (node.content.has_xattrs || !index_.has_contents()) {
            xattrs = copied_xattrs(from.get(), plan_.tree.context == nullptr);
        }
        // Asked after the last read, so that what was copied is what was digested.
        if (!(stat_key(stat_fd(from.get())) == node.key)) changed(source_path(number));
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
        if (size < 0) changed(source_path(number));
        const std::string link(buffer.data(), static_cast<std::size_t>(size));
        if (index_.has_contents() && !(file_content(link, {}) == node.content)) changed(source_path(number));
        create_symlink(target, name, link, metadata(node), target_path(number));
    }

    void finish(int target, std::uint32_t number) const {
        const TreeIndex::Node& node = index_.node(number);
        XattrList xattrs;
        if (node.content.has_xattrs) {
            const auto source = try_open_nofollow(plan_.tree.root, source_path(number), O_RDONLY | O_DIRECTORY);
            if (!source) changed(source_path(number));
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

    const CopyPlan& plan_;
    const CopyItem& item_;
    const TreeIndex& index_;
    const Owner owner_;
    const std::string path_;
    const Cancellation* const cancel_;
    WorkQueue<Task> queue_;
    std::mutex mutex_;  // guards hard_links_
    std::vector<std::uint32_t> hard_links_;
};

class Copier {
  public:
    Copier(const CopyPlan& plan, int root, ThreadPool& pool, const Cancellation* cancel)
        : plan_(plan), root_(root), pool_(pool), cancel_(cancel) {
        if (!plan.request.chown.empty()) owner_ = resolve_owner(root, plan.request.chown);
        fresh_ = {0755, owner_.uid, owner_.gid, plan.request.epoch};
    }

    void run() {
        for (const CopyItem& item : plan_.items) {
            if (cancel_ != nullptr) cancel_->check();
            item.is_directory ? copy_directory(item) : copy_file(item);
        }
        for (const HeredocFile& file : plan_.request.heredocs) write_heredoc(file);
    }

  private:
    bool into_directory() const {
        if (plan_.target_is_directory) return true;
        const auto stat = stat_in_root(root_, plan_.target);
        return stat && S_ISDIR(stat->st_mode);
    }

    UniqueFd target_directory(const CopyItem& item) const {
        UniqueFd directory = make_directories_in_root(root_, plan_.target, fresh_);
        for (const CopyItem::Parent& parent : item.parents) {
            const PathText path = [&] { return join_names(plan_.target, parent.name); };
            const std::string name = parent.name.substr(parent.name.rfind('/') + 1);
            create_directory(directory.get(), name.c_str(), path);
            directory = open_at(directory.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            const bool keep = plan_.keeps_owners();
            set_metadata(directory.get(),
                         {plan_.mode_of_copy(parent.mode), keep ? parent.uid : owner_.uid,
                          keep ? parent.gid : owner_.gid, new_time()},
                         {}, path);
        }
        return directory;
    }

    std::optional<std::int64_t> new_time() const {
        if (!plan_.request.epoch) return std::nullopt;
        return *plan_.request.epoch * second_ns;
    }

    void copy_directory(const CopyItem& item) const {
        auto source = item.path.empty() ? open_at(plan_.tree.root, ".", O_RDONLY | O_DIRECTORY)
                                        : open_source(item.path, O_RDONLY | O_DIRECTORY);
        UniqueFd target = target_directory(item);
        if (!item.name.empty()) {
            const std::string name = item.name.substr(item.name.rfind('/') + 1);
            create_directory(target.get(), name.c_str(), [&] { return join_names(plan_.target, item.name); });
            target = open_at(target.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        }
        TreeCopy(plan_, item, owner_, join_names(plan_.target, item.name), pool_, cancel_)
            .directory(std::move(source), std::move(target));
    }

    void copy_file(const CopyItem& item) {
        const auto [parent, source_name] = split_path("/" + item.path);
        const UniqueFd source = open_source(parent, O_RDONLY | O_DIRECTORY);
        const bool regular = S_ISREG(item.index->node(TreeIndex::root).mode);
        if (plan_.request.unpack && regular && unpacked(item, source.get(), source_name)) return;
        const FileTarget target = file_target(item.name, &item);
        TreeCopy(plan_, item, owner_, target_name(item.name), pool_, cancel_)
            .file(source.get(), source_name.c_str(), target.directory.get(), target.name.c_str());
    }

    bool unpacked(const CopyItem& item, int source_parent, const std::string& source_name) const {
        const UniqueFd file(::openat(source_parent, source_name.c_str(), source_flags));
        if (!file) changed(item.path);
        if (!is_archive(file.get())) return false;
        const UniqueFd directory = make_directories_in_root(root_, plan_.target, fresh_);
        try {
            unpack_archive(file.get(), directory.get(), plan_.request.epoch);
        } catch (Error& error) {
            throw std::move(error.add_context("while unpacking " + printable(item.path)));
        }
        if (!(stat_key(stat_fd(file.get())) == item.index->node(TreeIndex::root).key)) changed(item.path);
        return true;
    }

    std::string target_name(const std::string& name) const {
        return into_directory() ? join_names(plan_.target, name) : plan_.target;
    }

    // Where a file that is called `name` goes.
    FileTarget file_target(const std::string& name, const CopyItem* item) {
        if (into_directory() || plan_.request.parents) {
            UniqueFd directory =
                item != nullptr ? target_directory(*item) : make_directories_in_root(root_, plan_.target, fresh_);
            return {std::move(directory), name.substr(name.rfind('/') + 1)};
        }
        if (wrote_target_) {
            throw Error(ErrorCode::recipe,
                        std::string(plan_.keyword()) + " " + join(plan_.request.sources, " ") +
                            " means several files, but the target " + printable(plan_.request.target) +
                            " is no directory",
                        "end the target in '/'");
        }
        wrote_target_ = true;
        return resolve_file_target(root_, plan_.target, fresh_);
    }

    void write_heredoc(const HeredocFile& file) {
        const PathText path = [&] { return target_name(file.name); };
        const FileTarget target = file_target(file.name, nullptr);
        const Metadata metadata{plan_.mode_of_copy(S_IFREG | 0644), owner_.uid, owner_.gid, new_time()};
        const UniqueFd to = create_file(target.directory.get(), target.name.c_str(), metadata, path);
        write_full(to.get(), file.content);
        set_metadata(to.get(), metadata, {}, path);
    }

    UniqueFd open_source(const std::string& path, int flags) const {
        auto fd = try_open_nofollow(plan_.tree.root, path, flags);
        if (!fd) changed(path);
        return std::move(*fd);
    }

    const CopyPlan& plan_;
    const int root_;
    ThreadPool& pool_;
    const Cancellation* const cancel_;
    Owner owner_;
    NewDirectory fresh_;
    bool wrote_target_ = false;
};

}  // namespace

void execute_copy(const CopyPlan& plan, int root, ThreadPool& pool, const Cancellation* cancel) {
    Copier(plan, root, pool, cancel).run();
}

}  // namespace mkimg::builder
