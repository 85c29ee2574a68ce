// How a TreeIndex comes about: one task per directory, and per few chunks of a large file.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <variant>

#include "base/error.h"
#include "base/text.h"
#include "base/tree_path.h"
#include "builder/directory_names.h"
#include "builder/file_digest.h"
#include "builder/source_path.h"
#include "builder/tree_index.h"
#include "builder/work_queue.h"

namespace mkimg::builder {
namespace {

constexpr std::uint64_t chunks_per_task = 16;
constexpr unsigned max_depth = 1024;
constexpr unsigned read_tries = 3;

struct Directory {
    std::shared_ptr<const UniqueFd> parent;
    std::string name;
    std::uint32_t node;
    unsigned depth;
    std::string path;  // of the tree
};

// Open only while chunks of it are hashed, so that a thousand of them need no thousand descriptors.
struct LargeFile {
    std::shared_ptr<const UniqueFd> parent;
    std::string name;
    std::uint32_t node = 0;
    StatKey key;
    std::int64_t seen_ns = 0;
    std::string path;
    std::vector<Sha256Bytes> chunks;
    std::mutex mutex;  // guards what follows
    UniqueFd fd;
    std::uint64_t pending = 0;  // chunks still to be hashed
};

struct Chunks {
    std::shared_ptr<LargeFile> file;
    std::uint64_t first;
};

std::string below(const std::string& directory, const char* name) {
    return directory.empty() ? name : directory + "/" + name;
}

bool looked_up(int dirfd, const char* name, struct statx& stat) {
    if (::statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &stat) ==
        0) {
        return true;
    }
    if (errno == ENOENT) return false;
    throw_errno("look up", name);
}

}  // namespace

class TreeWalk {
  public:
    TreeWalk(const SourceTree& tree, ThreadPool& pool, Contents contents, const Cancellation* cancel)
        : tree_(tree), contents_(contents), cancel_(cancel), queue_(pool) {
        if (tree.context != nullptr && !tree.context->rules().empty()) rules_ = &tree.context->rules();
        index_.has_contents_ = contents == Contents::digest;
    }

    TreeIndex run(const std::string& path) {
        const auto [parent, name] = split_path(clean_path(path));
        auto directory = try_open_nofollow(tree_.root, parent, O_RDONLY | O_DIRECTORY);
        const std::string entry = name.empty() ? "." : name;
        struct statx stat {};
        Examined found;
        if (!directory || !looked_up(directory->get(), entry.c_str(), stat) ||
            !examine(directory->get(), entry.c_str(), path, stat, file_clock_ns(), found)) {
            missing(path);
        }
        index_.names_.append("").push_back('\0');
        index_.nodes_.push_back(found.node);
        const auto fd = std::make_shared<const UniqueFd>(std::move(*directory));
        if (found.large) enqueue(std::move(found.large), fd, 0);
        if (S_ISDIR(found.node.mode)) queue_.push(Directory{fd, entry, TreeIndex::root, 0, path});
        queue_.run([this](Task& task) {
            if (cancel_ != nullptr) cancel_->check();
            std::visit([this](auto& work) { visit(work); }, task);
        });
        leave_out_empty(path);
        index_.find_hard_links();
        return std::move(index_);
    }

  private:
    using Task = std::variant<Directory, Chunks>;

    struct Examined {
        TreeIndex::Node node;
        std::shared_ptr<LargeFile> large;  // still to be hashed
        bool ignored = false;              // a directory that stays only for what `!` brings back below it
    };

    [[noreturn]] void missing(const std::string& path) const {
        throw Error(ErrorCode::not_found,
                    printable(path) + ": " + (tree_.context ? tree_.context->why_missing(path) : "not in the image"));
    }

    void visit(Directory& task) {
        if (task.depth > max_depth) {
            throw Error(ErrorCode::unsupported, printable(task.path) + ": directories are nested too deep");
        }
        const int opened =
            ::openat(task.parent->get(), task.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (opened < 0) {
            if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) throw_changed(task.path);
            throw_errno("open", task.path);
        }
        const auto fd = std::make_shared<const UniqueFd>(opened);
        const std::int64_t now = file_clock_ns();
        const XattrList xattrs = copied_xattrs(opened, tree_.context == nullptr);
        FileContent content;
        if (!xattrs.empty()) content = file_content({}, xattrs);

        const DirectoryNames listing(opened);
        std::vector<Examined> found;
        std::string names;
        found.reserve(listing.entries().size());
        std::string path = task.path.empty() ? "" : task.path + "/";
        const std::size_t stem = path.size();
        for (const DirectoryNames::Entry& entry : listing.entries()) {
            const char* name = listing.name(entry);
            Examined one;
            if (rules_ != nullptr) {
                path.resize(stem);
                path += name;
                one.ignored = rules_->ignored(path);
                const bool may_be_directory = entry.type == DT_DIR || entry.type == DT_UNKNOWN;
                if (one.ignored && !(may_be_directory && rules_->may_contain_included(path))) continue;
            }
            struct statx stat {};
            if (!looked_up(opened, name, stat)) continue;  // gone since it was listed
            if (one.ignored && !S_ISDIR(stat.stx_mode)) continue;
            if (!examine(opened, name, task.path, stat, now, one)) continue;
            one.node.name = static_cast<std::uint32_t>(names.size());
            one.node.parent = task.node;
            names.append(name).push_back('\0');
            found.push_back(std::move(one));
        }
        const std::uint32_t first = insert(task.node, content, found, names);
        for (std::uint32_t i = 0; i < found.size(); ++i) {
            if (found[i].large) enqueue(std::move(found[i].large), fd, first + i);
            if (!S_ISDIR(found[i].node.mode)) continue;
            const char* name = names.data() + found[i].node.name;
            queue_.push(Directory{fd, name, first + i, task.depth + 1, below(task.path, name)});
        }
    }

    // Adds a directory's children to the table; returns the number of the first.
    std::uint32_t insert(std::uint32_t parent, const FileContent& content, const std::vector<Examined>& found,
                         const std::string& names) {
        const std::lock_guard lock(mutex_);
        const auto first = static_cast<std::uint32_t>(index_.nodes_.size());
        const auto offset = static_cast<std::uint32_t>(index_.names_.size());
        if (index_.names_.size() + names.size() > UINT32_MAX || index_.nodes_.size() + found.size() > UINT32_MAX) {
            throw Error(ErrorCode::unsupported, "the source tree has too many files");
        }
        index_.names_ += names;
        for (const Examined& one : found) {
            if (one.ignored) ignored_.push_back(static_cast<std::uint32_t>(index_.nodes_.size()));
            index_.nodes_.push_back(one.node);
            index_.nodes_.back().name += offset;
        }
        TreeIndex::Node& node = index_.nodes_[parent];
        node.first_child = first;
        node.children = static_cast<std::uint32_t>(found.size());
        node.content = content;
        return first;
    }

    // Fills `out.node` from the stat and, where needed, the content. False for a socket, and for what
    // is gone by now.
    bool examine(int dirfd, const char* name, const std::string& directory, struct statx& stat, std::int64_t now,
                 Examined& out) {
        for (unsigned tries = 0;; ++tries) {
            if (S_ISSOCK(stat.stx_mode)) return false;
            TreeIndex::Node& node = out.node;
            node.mode = stat.stx_mode;
            node.uid = stat.stx_uid;
            node.gid = stat.stx_gid;
            node.links = stat.stx_nlink;
            node.key = stat_key(stat);
            node.device = makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
            if (!S_ISREG(node.mode) && !S_ISLNK(node.mode)) return true;
            if (contents_ == Contents::skip) return true;
            if (tree_.context != nullptr) {
                if (const auto known = tree_.context->stat_cache().find(node.key)) {
                    node.content = *known;
                    return true;
                }
            }
            if (S_ISLNK(node.mode) ? read_link(dirfd, name, node) : read_file(dirfd, name, directory, now, out)) {
                if (!out.large) record(node.key, node.content, now);
                return true;
            }
            if (tries + 1 == read_tries) throw_changed(below(directory, name));
            if (!looked_up(dirfd, name, stat)) return false;
        }
    }

    // Each false where the file isn't what its stat said.
    bool read_link(int dirfd, const char* name, TreeIndex::Node& node) const {
        std::array<char, 4096> target;
        const ssize_t size = ::readlinkat(dirfd, name, target.data(), target.size());
        if (size < 0 && errno != EINVAL && errno != ENOENT) throw_errno("read the link", name);
        if (size < 0) return false;
        node.content = file_content(std::string_view(target.data(), static_cast<std::size_t>(size)), {});
        return true;
    }

    // Nothing where there is no such file any more. Never waits for a FIFO that took its place.
    UniqueFd open_file(int dirfd, const char* name, const std::string& path) const {
        UniqueFd fd(::openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        if (!fd && errno != ENOENT && errno != ELOOP) {
            Error error = errno_error(errno, "read", path);
            if (tree_.context != nullptr) error.set_hint("make it readable, or exclude it in .dockerignore");
            throw error;
        }
        return fd;
    }

    bool read_file(int dirfd, const char* name, const std::string& directory, std::int64_t now, Examined& out) const {
        const TreeIndex::Node& node = out.node;
        if (node.key.size > chunk_size) {
            out.large = std::make_shared<LargeFile>();
            out.large->name = name;
            out.large->key = node.key;
            out.large->seen_ns = now;
            out.large->path = below(directory, name);
            out.large->pending = (node.key.size + chunk_size - 1) / chunk_size;
            out.large->chunks.resize(out.large->pending);
            return true;
        }
        const UniqueFd fd = open_file(dirfd, name, below(directory, name));
        if (!fd) return false;
        thread_local std::vector<std::byte> buffer(chunk_size + 1);
        const std::size_t size = read_full(fd.get(), std::span(buffer).first(node.key.size + 1));
        const XattrList xattrs = copied_xattrs(fd.get(), tree_.context == nullptr);
        if (size != node.key.size || !(stat_key(stat_fd(fd.get())) == node.key)) return false;
        out.node.content = file_content(as_text(std::span(buffer).first(size)), xattrs);
        return true;
    }

    void enqueue(std::shared_ptr<LargeFile> file, std::shared_ptr<const UniqueFd> parent, std::uint32_t node) {
        file->parent = std::move(parent);
        file->node = node;
        const std::uint64_t chunks = file->chunks.size();
        for (std::uint64_t first = 0; first < chunks; first += chunks_per_task) queue_.push(Chunks{file, first});
    }

    void visit(Chunks& task) {
        LargeFile& file = *task.file;
        const std::uint64_t end = std::min<std::uint64_t>(task.first + chunks_per_task, file.chunks.size());
        int fd = -1;
        {
            const std::lock_guard lock(file.mutex);
            if (!file.fd) file.fd = open_file(file.parent->get(), file.name.c_str(), file.path);
            fd = file.fd.get();
        }
        if (fd < 0) throw_changed(file.path);
        thread_local std::vector<std::byte> buffer(chunk_size);
        for (std::uint64_t chunk = task.first; chunk < end; ++chunk) {
            if (cancel_ != nullptr) cancel_->check();
            const std::uint64_t offset = chunk * chunk_size;
            const std::size_t size = std::min<std::uint64_t>(chunk_size, file.key.size - offset);
            std::size_t done = 0;
            while (done < size) {
                const ssize_t n = ::pread(fd, buffer.data() + done, size - done, static_cast<off_t>(offset + done));
                if (n < 0 && errno == EINTR) continue;
                if (n < 0) throw_errno("read", file.path);
                if (n == 0) throw_changed(file.path);
                done += static_cast<std::size_t>(n);
            }
            file.chunks[chunk] = sha256(std::span(buffer).first(size));
        }
        {
            const std::lock_guard lock(file.mutex);
            file.pending -= end - task.first;
            if (file.pending != 0) return;
        }
        const XattrList xattrs = copied_xattrs(fd, tree_.context == nullptr);
        if (!(stat_key(stat_fd(fd)) == file.key)) throw_changed(file.path);
        file.fd.reset();
        const FileContent content = file_content(file.key.size, file.chunks, xattrs);
        record(file.key, content, file.seen_ns);
        const std::lock_guard lock(mutex_);
        index_.nodes_[file.node].content = content;
    }

    void record(const StatKey& key, const FileContent& content, std::int64_t seen_ns) const {
        if (tree_.context != nullptr) tree_.context->stat_cache().record(key, content, seen_ns);
    }

    // Ignored directories below which nothing came back. Children have larger numbers than their parents.
    void leave_out_empty(const std::string& path) {
        std::sort(ignored_.rbegin(), ignored_.rend());
        for (const std::uint32_t number : ignored_) {
            if (!index_.has_visible_child(index_.nodes_[number])) index_.nodes_[number].mode = 0;
        }
        const bool root_ignored = rules_ != nullptr && !path.empty() && rules_->ignored(path);
        if (root_ignored && !index_.has_visible_child(index_.nodes_[TreeIndex::root])) missing(path);
    }

    const SourceTree tree_;
    const Contents contents_;
    const Cancellation* const cancel_;
    const parser::IgnoreRules* rules_ = nullptr;  // null where there are none
    WorkQueue<Task> queue_;
    std::mutex mutex_;  // guards index_ and ignored_
    TreeIndex index_;
    std::vector<std::uint32_t> ignored_;
};

std::shared_ptr<const TreeIndex> index_tree(const SourceTree& tree, const std::string& path, ThreadPool& pool,
                                            Contents contents, const Cancellation* cancel) {
    const auto make = [&] {
        return std::make_shared<const TreeIndex>(TreeWalk(tree, pool, contents, cancel).run(path));
    };
    if (tree.context == nullptr || contents == Contents::skip) return make();
    return tree.context->index(path, make);
}

}  // namespace mkimg::builder
