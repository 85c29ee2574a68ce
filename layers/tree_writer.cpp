#include "layers/tree_writer.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "base/tree_path.h"

namespace mkimg::layers {
namespace {

constexpr int open_directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

[[noreturn]] void throw_corrupt(const std::string& path, std::string_view why) {
    throw Error(ErrorCode::corrupt, printable(path) + ": " + std::string(why));
}

// A name that the file system can't hold is the archive's fault.
[[noreturn]] void throw_at(std::string_view what, const std::string& path) {
    if (errno == ENAMETOOLONG) throw_corrupt(path, "a component of the name is longer than a file system allows");
    throw_errno(what, printable(path));
}

std::optional<struct stat> stat_at(int directory, const std::string& name) {
    struct stat st {};
    if (::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
    return st;
}

std::pair<std::string, std::string> split_parent(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {std::string(), path};
    return {path.substr(0, slash), path.substr(slash + 1)};
}

void check_owner_result(int result, const Entry& entry) {
    if (result == 0) return;
    const std::string ids = std::to_string(entry.uid) + ":" + std::to_string(entry.gid);
    if (errno == EINVAL) {
        throw Error(
            ErrorCode::host,
            printable(entry.path) + " belongs to " + ids + ", which your range of user and group ids doesn't cover",
            "give your user a larger range in /etc/subuid and /etc/subgid (usermod --add-subuids)");
    }
    throw_errno("give " + ids + " the file", printable(entry.path));
}

timespec seconds(std::int64_t value) {
    return {value, 0};
}

}  // namespace

TreeWriter::TreeWriter(int root, const ApplyOptions& options)
    : root_(root),
      options_(options),
      marks_(OverlayXattrs::of_this_process()),
      parent_(open_at(root, ".", open_directory_flags)) {}

void TreeWriter::directory(const Entry& entry) {
    UniqueFd made;
    if (entry.path.empty()) {
        made = open_at(root_, ".", open_directory_flags);
    } else {
        const Place at = place(entry, entry.path);
        bool hides = false;  // it takes a whiteout's place: what lies below it stays deleted
        if (::mkdirat(at.parent, at.name.c_str(), 0700) != 0) {
            if (errno != EEXIST) throw_at("make directory", entry.path);
            const auto existing = stat_at(at.parent, at.name);
            if (!existing || !S_ISDIR(existing->st_mode)) {
                hides = is_whiteout(at);
                replacing(at, entry, "make directory", [&] { return ::mkdirat(at.parent, at.name.c_str(), 0700); });
            }
        }
        made = open_at(at.parent, at.name, open_directory_flags);
        if (hides) set_opaque(made.get(), entry.path);
    }
    set_owner_and_mode(made.get(), entry);
    set_xattrs(made.get(), entry);
    directory_times_[entry.path] = entry.mtime;
}

UniqueFd TreeWriter::open_file(const Entry& entry) {
    const Place at = place(entry, entry.path);
    UniqueFd file;
    replacing(at, entry, "make file", [&] {
        file.reset(::openat(at.parent, at.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        return file ? 0 : -1;
    });
    return file;
}

void TreeWriter::close_file(const Entry& entry, UniqueFd file) {
    set_owner_and_mode(file.get(), entry);
    set_xattrs(file.get(), entry);
    const timespec times[2] = {seconds(entry.mtime), seconds(entry.mtime)};
    if (::futimens(file.get(), times) != 0) throw_errno("set the time of", printable(entry.path));
}

void TreeWriter::symlink(const Entry& entry) {
    const Place at = place(entry, entry.path);
    replacing(at, entry, "make symlink", [&] { return ::symlinkat(entry.link.c_str(), at.parent, at.name.c_str()); });
    finish_node(at, entry);
}

void TreeWriter::hardlink(const Entry& entry) {
    if (missing_devices_.contains(entry.link)) {
        missing_devices_.insert(entry.path);
        return;
    }
    const std::pair<std::string, std::string> where = split_parent(entry.link);
    const std::string& name = where.second;
    const auto target_parent = open_directory_of(where.first);
    const auto target = target_parent ? stat_at(target_parent->get(), name) : std::nullopt;
    if (!target) throw_corrupt(entry.path, "a hard link to " + printable(entry.link) + ", which is not there");
    if (S_ISDIR(target->st_mode)) throw_corrupt(entry.path, "a hard link to a directory");
    if (is_whiteout({target_parent->get(), name})) throw_corrupt(entry.path, "a hard link to a deleted file");
    const Place at = place(entry, entry.path);
    const auto existing = stat_at(at.parent, at.name);
    if (existing && existing->st_dev == target->st_dev && existing->st_ino == target->st_ino) return;
    replacing(at, entry, "make hard link",
              [&] { return ::linkat(target_parent->get(), name.c_str(), at.parent, at.name.c_str(), 0); });
}

bool TreeWriter::node(const Entry& entry) {
    const bool device = entry.type != EntryType::fifo;
    if (entry.type == EntryType::char_device && entry.major == 0 && entry.minor == 0) {
        throw_corrupt(entry.path, "a device 0:0, which means a deleted file to overlay");
    }
    const mode_t type = !device ? S_IFIFO : entry.type == EntryType::char_device ? S_IFCHR : S_IFBLK;
    const Place at = place(entry, entry.path);
    bool refused = false;
    replacing(at, entry, "make device", [&] {
        const int result = ::mknodat(at.parent, at.name.c_str(), type | 0600U, ::makedev(entry.major, entry.minor));
        refused = result != 0 && errno == EPERM && device;
        return refused ? 0 : result;
    });
    if (refused) {
        missing_devices_.insert(entry.path);
        return false;
    }
    finish_node(at, entry);
    // Nobody else works in this directory, so that the name still is the node just made; and glibc
    // does this by a descriptor of it that follows nothing.
    if (::fchmodat(at.parent, at.name.c_str(), entry.mode, AT_SYMLINK_NOFOLLOW) != 0) {
        throw_errno("set the mode of", printable(entry.path));
    }
    return true;
}

void TreeWriter::whiteout(const Entry& mark, const std::string& path) {
    mark_deleted(place(mark, path), path);
}

void TreeWriter::mark_deleted(const Place& at, const std::string& path) {
    if (::mknodat(at.parent, at.name.c_str(), S_IFCHR, ::makedev(0, 0)) == 0) return;
    if (errno != EEXIST) throw_at("make whiteout", path);
    const int own = ::openat(at.parent, at.name.c_str(), open_directory_flags);
    if (own < 0) return;  // the layer's own file hides what lies below it
    const UniqueFd directory(own);
    set_opaque(directory.get(), path);
}

void TreeWriter::opaque(const Entry& mark, const std::string& directory) {
    if (!try_enter(directory)) make_parents(mark, directory);
    set_opaque(parent_.get(), directory);
    if (directory.empty()) opaque_root_ = true;
}

// Overlay merges the roots of its layers, opaque or not.
void TreeWriter::hide_lower_roots() {
    for (const int lower : options_.lower) {
        for (const DirEntry& entry : list_directory(lower)) mark_deleted({root_, entry.name}, entry.name);
    }
}

void TreeWriter::finish() {
    if (opaque_root_) hide_lower_roots();
    for (const auto& [path, mtime] : directory_times_) {
        const auto [directory, name] = split_parent(path);
        if (!try_enter(directory)) continue;  // replaced since
        const timespec times[2] = {seconds(mtime), seconds(mtime)};
        const char* at = name.empty() ? "." : name.c_str();
        if (::utimensat(parent_.get(), at, times, AT_SYMLINK_NOFOLLOW) != 0 && errno != ENOENT) {
            throw_errno("set the time of", printable(path));
        }
    }
}

TreeWriter::Place TreeWriter::place(const Entry& entry, const std::string& path) {
    if (path.empty()) throw_corrupt("./", "the root of the archive is not a directory");
    auto [directory, name] = split_parent(path);
    if (!try_enter(directory)) make_parents(entry, directory);
    return {parent_.get(), std::move(name)};
}

bool TreeWriter::try_enter(const std::string& directory) {
    if (parent_ && directory == parent_path_) return true;
    auto opened = open_directory_of(directory);
    if (!opened) return false;
    parent_ = std::move(*opened);
    parent_path_ = directory;
    return true;
}

std::optional<UniqueFd> TreeWriter::open_directory_of(const std::string& directory) const {
    constexpr int flags = O_RDONLY | O_DIRECTORY;
    if (options_.follow_parents) return try_open_in_root(root_, directory, flags);
    // Most often the next directory lies in the last one. No symlink is followed in either case.
    if (parent_ && directory.starts_with(parent_path_) && !parent_path_.empty() &&
        directory.size() > parent_path_.size() && directory[parent_path_.size()] == '/') {
        return try_open_nofollow(parent_.get(), directory.substr(parent_path_.size() + 1), flags);
    }
    return try_open_nofollow(root_, directory, flags);
}

// Directories that the archive doesn't name have the time of the entry that needs them, so that
// equal archives give equal trees.
void TreeWriter::make_parents(const Entry& entry, const std::string& directory) {
    if (options_.follow_parents) {
        std::vector<std::string> made;
        parent_ = make_directories_in_root(root_, directory, {.mtime = entry.mtime}, &made);
        for (const std::string& path : made) directory_times_.emplace(path.substr(1), entry.mtime);
    } else {
        UniqueFd here = open_at(root_, ".", open_directory_flags);
        std::string path;
        for (const std::string& part : split(directory, '/')) {
            path += path.empty() ? part : "/" + part;
            here = step_down(entry, here, part, path);
        }
        parent_ = std::move(here);
    }
    parent_path_ = directory;
}

UniqueFd TreeWriter::step_down(const Entry& entry, const UniqueFd& here, const std::string& name,
                               const std::string& path) {
    const int existing = ::openat(here.get(), name.c_str(), open_directory_flags);
    if (existing >= 0) return UniqueFd(existing);
    bool hides = false;
    if (errno != ENOENT) {
        const auto st = stat_at(here.get(), name);
        if (st && S_ISLNK(st->st_mode)) throw_corrupt(entry.path, "leads through the symlink " + printable(path));
        hides = is_whiteout({here.get(), name});
        if (!hides) throw_corrupt(entry.path, printable(path) + " is not a directory");
        clear({here.get(), name}, path);
    }
    if (::mkdirat(here.get(), name.c_str(), 0700) != 0) throw_at("make directory", path);
    UniqueFd made = open_at(here.get(), name, open_directory_flags);
    if (hides) set_opaque(made.get(), path);
    set_owner_and_mode(made.get(), hides ? Entry{.path = path, .mode = 0755} : implied(path));
    directory_times_.emplace(path, entry.mtime);
    return made;
}

// Owner and mode of a directory that the archive doesn't name: those it has in the layers below,
// else 0755 of 0:0.
Entry TreeWriter::implied(const std::string& path) const {
    Entry directory{.path = path, .type = EntryType::directory, .mode = 0755};
    for (const int lower : options_.lower) {
        const auto found = try_open_nofollow(lower, path, O_PATH);
        if (!found) continue;
        const struct stat st = stat_fd(found->get());
        if (S_ISDIR(st.st_mode)) {
            directory.mode = st.st_mode & 07777U;
            directory.uid = st.st_uid;
            directory.gid = st.st_gid;
        }
        break;
    }
    return directory;
}

// Calls `make`; where something stands in the way, removes that and calls it again.
template <typename Make>
void TreeWriter::replacing(const Place& at, const Entry& entry, std::string_view what, Make make) {
    if (make() == 0) return;
    if (errno != EEXIST) throw_at(what, entry.path);
    clear(at, entry.path);
    if (make() == 0) return;
    if (errno == ENOENT) throw_corrupt(entry.path, "a hard link into what it replaces");
    throw_at(what, entry.path);
}

bool TreeWriter::is_whiteout(const Place& at) const {
    if (options_.whiteouts != Whiteouts::to_overlay) return false;
    const auto st = stat_at(at.parent, at.name);
    return st && S_ISCHR(st->st_mode) && st->st_rdev == ::makedev(0, 0);
}

void TreeWriter::clear(const Place& at, const std::string& path) {
    remove_tree(at.parent, at.name);
    directory_times_.erase(path);
    directory_times_.erase(directory_times_.lower_bound(path + "/"), directory_times_.lower_bound(path + "0"));
    missing_devices_.erase(path);
    // A symlink on the way to the cached directory may be what was removed. The descriptor stays
    // good for the entry at hand.
    if (options_.follow_parents) parent_path_ = std::string(1, '\0');
}

void TreeWriter::set_opaque(int directory, const std::string& path) {
    if (::fsetxattr(directory, marks_.opaque().c_str(), "y", 1, 0) == 0) return;
    throw_errno("mark as opaque", printable(path));
}

void TreeWriter::set_owner_and_mode(int fd, const Entry& entry) {
    check_owner_result(::fchown(fd, static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid)), entry);
    // After chown, which clears setuid and setgid.
    if (::fchmod(fd, entry.mode) != 0) throw_errno("set the mode of", printable(entry.path));
}

void TreeWriter::set_xattrs(int fd, const Entry& entry) {
    for (const auto& [name, value] : entry.xattrs) {
        if (!layer_carries_xattr(name)) continue;
        const bool raw = options_.whiteouts == Whiteouts::to_overlay;
        const std::string stored = raw ? marks_.escape(name) : name;
        const std::string bytes = name == "security.capability" ? portable_capability(value) : value;
        if (::fsetxattr(fd, stored.c_str(), bytes.data(), bytes.size(), 0) == 0) continue;
        if (errno == ENOTSUP) {
            throw Error(
                ErrorCode::host,
                printable(entry.path) + ": the file system can't hold the extended attribute " + printable(name),
                "put the store on a file system that can (ext4, xfs, btrfs), with --root");
        }
        if (errno == EINVAL || errno == ERANGE || errno == E2BIG) {
            throw_corrupt(entry.path, "the extended attribute " + printable(name) + " is not valid");
        }
        throw_errno("set the extended attribute " + printable(name) + " of", printable(entry.path));
    }
}

// Owner and time of what can't be opened.
void TreeWriter::finish_node(const Place& at, const Entry& entry) {
    const char* name = at.name.c_str();
    check_owner_result(
        ::fchownat(at.parent, name, static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid), AT_SYMLINK_NOFOLLOW),
        entry);
    const timespec times[2] = {seconds(entry.mtime), seconds(entry.mtime)};
    if (::utimensat(at.parent, name, times, AT_SYMLINK_NOFOLLOW) != 0) {
        throw_errno("set the time of", printable(entry.path));
    }
}

}  // namespace mkimg::layers
