#include "layers/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "base/tree_path.h"

namespace mkimg::layers {
namespace {

constexpr std::size_t open_levels = 64;  // descriptors held by a deep tree
constexpr std::size_t longest_path = 4095;
constexpr std::string_view whiteout_prefix = ".wh.";
constexpr std::string_view opaque_name = ".wh..wh..opq";

[[noreturn]] void throw_changed(const std::string& path) {
    throw Error(ErrorCode::conflict, printable(path) + " changed while it was read",
                "something still writes to this directory: end it and try again");
}

// Opens what readdir named. Anything else in its place means that the tree is being changed.
UniqueFd open_child(int directory, const std::string& name, int flags, const std::string& path) {
    for (;;) {
        const int fd = ::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | flags);
        if (fd >= 0) return UniqueFd(fd);
        if (errno == EPERM && (flags & O_NOATIME) != 0) {
            flags &= ~O_NOATIME;  // only an owner may leave the access time alone
        } else if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) {
            throw_changed(path);
        } else if (errno != EINTR) {
            throw_errno("open", printable(path));
        }
    }
}

// By name, where a directory's has a "/" behind it. No two names are equal.
bool comes_before(const DirEntry& a, const DirEntry& b) {
    const std::size_t common = std::min(a.name.size(), b.name.size());
    const int order = std::memcmp(a.name.data(), b.name.data(), common);
    if (order != 0) return order < 0;
    const auto next = [common](const DirEntry& entry) {
        if (entry.name.size() > common) return static_cast<int>(static_cast<unsigned char>(entry.name[common]));
        return entry.type == DT_DIR ? int{'/'} : 0;
    };
    return next(a) < next(b);
}

unsigned char dirent_type(mode_t mode) {
    return static_cast<unsigned char>(IFTODT(mode));
}

}  // namespace

TreeWalk::TreeWalk(int root, const WalkOptions& options)
    : options_(options),
      marks_(options.overlay_marks ? OverlayXattrs::of_this_process() : OverlayXattrs(false)),
      xattrs_(options.overlay_marks ? &marks_ : nullptr),
      root_(open_at(root, ".", O_RDONLY | O_DIRECTORY)) {}

WalkNode* TreeWalk::next() {
    if (!started_) {
        started_ = true;
        visit_root();
        return &node_;
    }
    if (entered_) enter(std::exchange(entered_, UniqueFd()));
    while (!levels_.empty()) {
        Level& level = levels_.back();
        path_.resize(level.path_size);
        if (!level.directory) reopen(level);
        node_.parent = level.directory.get();
        if (level.opaque) {
            level.opaque = false;
            make_mark(opaque_name);
            return &node_;
        }
        if (level.at == level.children.size()) {
            levels_.pop_back();
            continue;
        }
        if (visit(level.children[level.at++])) return &node_;
    }
    return nullptr;
}

void TreeWalk::visit_root() {
    node_.name = ".";
    node_.parent = root_.get();
    stat_node(root_.get(), "", AT_EMPTY_PATH);
    mount_ = node_.stat.stx_mnt_id;
    fill_entry(EntryType::directory);
    if (options_.contents) xattrs_.read(root_.get(), node_.entry.xattrs, opaque_);
    entered_ = open_at(root_.get(), ".", O_RDONLY | O_DIRECTORY);
}

void TreeWalk::enter(UniqueFd directory) {
    if (!node_.entry.path.empty()) path_ = node_.entry.path + "/";
    Level level;
    level.children = list_directory(directory.get());
    for (DirEntry& child : level.children) settle_type(directory.get(), child);
    std::sort(level.children.begin(), level.children.end(), comes_before);
    level.directory = std::move(directory);
    level.opaque = std::exchange(opaque_, false);
    level.path_size = path_.size();
    levels_.push_back(std::move(level));
    if (levels_.size() > open_levels) levels_[levels_.size() - 1 - open_levels].directory.reset();
}

void TreeWalk::reopen(Level& level) {
    auto directory = try_open_nofollow(root_.get(), path_.empty() ? "." : path_, O_RDONLY | O_DIRECTORY);
    if (!directory) throw_changed(path_);
    level.directory = std::move(*directory);
}

// Finds out what readdir didn't tell. A whiteout takes the name it has in the tar, by which it is
// sorted.
void TreeWalk::settle_type(int directory, DirEntry& child) {
    if (child.type == DT_UNKNOWN || (child.type == DT_CHR && options_.overlay_marks)) {
        node_.entry.path = path_ + child.name;
        stat_node(directory, child.name.c_str(), AT_SYMLINK_NOFOLLOW);
        child.type = dirent_type(node_.stat.stx_mode);
    }
    if (!options_.overlay_marks) return;
    if (child.name.starts_with(whiteout_prefix)) {
        throw Error(ErrorCode::unsupported,
                    printable(path_ + child.name) + ": a layer can't hold a file whose name begins with .wh.",
                    "in a layer that name means a deleted file: remove or rename it in the same step");
    }
    if (child.type == DT_CHR && node_.stat.stx_rdev_major == 0 && node_.stat.stx_rdev_minor == 0) {
        child.type = DT_WHT;
        child.name.insert(0, whiteout_prefix);
    }
}

// False for what has no place in a tar.
bool TreeWalk::visit(const DirEntry& child) {
    if (path_.size() + child.name.size() > longest_path) {
        throw Error(ErrorCode::unsupported,
                    "a path is longer than " + std::to_string(longest_path) +
                        " bytes: " + printable((path_ + child.name).substr(0, 100)) + "…",
                    "no program could open it by its path: remove it in the step that made it");
    }
    node_.file.reset();
    node_.name = child.name;
    node_.entry.path.assign(path_).append(child.name);
    switch (child.type) {
        case DT_SOCK: return false;
        case DT_WHT: make_mark(child.name); return true;
        case DT_DIR: visit_directory(child); return true;
        case DT_REG: visit_file(child); return true;
        default: visit_special(child); return true;
    }
}

void TreeWalk::visit_directory(const DirEntry& child) {
    UniqueFd directory = open_child(node_.parent, child.name, O_DIRECTORY, node_.entry.path);
    stat_node(directory.get(), "", AT_EMPTY_PATH);
    fill_entry(EntryType::directory);
    if (options_.contents) xattrs_.read(directory.get(), node_.entry.xattrs, opaque_);
    entered_ = std::move(directory);
}

void TreeWalk::visit_file(const DirEntry& child) {
    if (!options_.contents) return visit_special(child);
    // O_NONBLOCK: should a FIFO have taken the file's place, opening it must not wait.
    node_.file = open_child(node_.parent, child.name, O_NONBLOCK | O_NOATIME, node_.entry.path);
    stat_node(node_.file.get(), "", AT_EMPTY_PATH);
    if (!S_ISREG(node_.stat.stx_mode)) throw_changed(node_.entry.path);
    fill_entry(EntryType::file);
    if (link_to_first_name()) return node_.file.reset();
    bool unused = false;
    xattrs_.read(node_.file.get(), node_.entry.xattrs, unused);
}

// Symlinks, devices and FIFOs; they carry no attribute that a layer keeps.
void TreeWalk::visit_special(const DirEntry& child) {
    stat_node(node_.parent, child.name.c_str(), AT_SYMLINK_NOFOLLOW);
    switch (node_.stat.stx_mode & S_IFMT) {
        case S_IFREG: fill_entry(EntryType::file); break;
        case S_IFLNK: fill_entry(EntryType::symlink); break;
        case S_IFCHR: fill_entry(EntryType::char_device); break;
        case S_IFBLK: fill_entry(EntryType::block_device); break;
        case S_IFIFO: fill_entry(EntryType::fifo); break;
        default: throw_changed(node_.entry.path);
    }
    if (link_to_first_name() || node_.entry.type != EntryType::symlink) return;
    std::string& target = node_.entry.link;
    target.resize(longest_path + 1);
    const ssize_t size = ::readlinkat(node_.parent, child.name.c_str(), target.data(), target.size());
    if (size < 0) throw_changed(node_.entry.path);
    target.resize(static_cast<std::size_t>(size));
}

// A .wh. entry: a file of no size, owner or time, so that equal deletions are equal bytes.
void TreeWalk::make_mark(std::string_view name) {
    node_.file.reset();
    node_.name.clear();
    node_.stat = {};
    node_.entry = Entry{};
    node_.entry.path.assign(path_).append(name);
}

// True where the inode was seen under an earlier name.
bool TreeWalk::link_to_first_name() {
    if (node_.stat.stx_nlink < 2) return false;
    const Inode inode{::makedev(node_.stat.stx_dev_major, node_.stat.stx_dev_minor), node_.stat.stx_ino};
    const auto [first, is_new] = links_.try_emplace(inode, node_.entry.path);
    if (is_new) return false;
    node_.entry.type = EntryType::hardlink;
    node_.entry.link = first->second;
    node_.entry.size = 0;
    node_.entry.major = 0;
    node_.entry.minor = 0;
    return true;
}

void TreeWalk::fill_entry(EntryType type) {
    const struct statx& st = node_.stat;
    if (st.stx_mnt_id != mount_) {
        throw Error(ErrorCode::conflict, "something is mounted at " + printable(node_.entry.path),
                    "unmount it: only one file system can be read");
    }
    Entry& entry = node_.entry;
    entry.type = type;
    entry.mode = st.stx_mode & 07777U;
    entry.uid = st.stx_uid;
    entry.gid = st.stx_gid;
    entry.size = type == EntryType::file ? st.stx_size : 0;
    entry.mtime = st.stx_mtime.tv_sec;
    entry.link.clear();
    entry.major = st.stx_rdev_major;
    entry.minor = st.stx_rdev_minor;
    entry.xattrs.clear();
}

void TreeWalk::stat_node(int directory, const char* name, int flags) {
    if (::statx(directory, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, &node_.stat) == 0) return;
    if (errno == ENOENT) throw_changed(node_.entry.path);
    throw_errno("stat", printable(node_.entry.path));
}

}  // namespace mkimg::layers
