#include "sandbox/mount_points.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>

#include "base/error.h"
#include "base/text.h"
#include "base/tree_path.h"

namespace mkimg::sandbox {
namespace {

constexpr int max_symlinks = 40;
constexpr int directory_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

std::string child_of(const std::string& directory, const std::string& name) {
    return directory == "/" ? "/" + name : directory + "/" + name;
}

// Where a path leads inside the root: free of symlinks up to `directory`, which exists, and what is
// missing below it.
struct Place {
    std::string directory = "/";
    std::vector<std::string> missing;
};

Place resolve(int root, const std::string& path) {
    Place place;
    std::deque<std::string> pending;
    for (std::string& part : split(path, '/')) pending.push_back(std::move(part));
    int links = 0;
    while (!pending.empty()) {
        const std::string part = std::move(pending.front());
        pending.pop_front();
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            if (place.missing.empty()) {
                place.directory = split_path(place.directory).first;
            } else {
                place.missing.pop_back();
            }
            continue;
        }
        const std::string next = child_of(place.directory, part);
        const auto found = place.missing.empty() ? try_open_nofollow(root, next, O_PATH) : std::nullopt;
        if (!found) {
            place.missing.push_back(part);
            continue;
        }
        const struct stat st = stat_fd(found->get());
        if (S_ISLNK(st.st_mode)) {
            std::string target(4096, '\0');
            const ssize_t length = ::readlinkat(found->get(), "", target.data(), target.size());
            if (length < 0) throw_errno("read the link", next);
            target.resize(static_cast<std::size_t>(length));
            if (++links > max_symlinks) {
                throw Error(ErrorCode::conflict, path + " in the image: too many levels of symbolic links");
            }
            if (target.starts_with('/')) place.directory = "/";
            auto parts = split(target, '/');
            pending.insert(pending.begin(), std::make_move_iterator(parts.begin()),
                           std::make_move_iterator(parts.end()));
            continue;
        }
        const bool last = std::all_of(pending.begin(), pending.end(),
                                      [](const std::string& rest) { return rest.empty() || rest == "."; });
        if (!S_ISDIR(st.st_mode) && !last) {
            throw Error(ErrorCode::conflict, "can't mount at " + path + ": " + next + " in the image is no directory",
                        "choose another target, or remove that file in an earlier step");
        }
        place.directory = next;
    }
    return place;
}

bool same_time(const timespec& a, const timespec& b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

void set_mtime(int directory, const timespec& mtime) {
    const timespec times[2] = {{0, UTIME_OMIT}, mtime};
    if (::futimens(directory, times) != 0) throw_errno("set the time of a directory of the layer");
}

// Names and values, without what overlay keeps for itself.
std::vector<std::string> read_xattrs(int fd) {
    std::vector<char> names(64UL * 1024);
    const ssize_t size = ::flistxattr(fd, names.data(), names.size());
    if (size <= 0) return {};
    std::vector<std::string> pairs;
    for (const std::string& name : split(std::string_view(names.data(), static_cast<std::size_t>(size) - 1), '\0')) {
        if (name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.")) continue;
        std::string value(64UL * 1024, '\0');
        const ssize_t length = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
        value.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
        pairs.push_back(name + "=" + value);
    }
    std::sort(pairs.begin(), pairs.end());
    return pairs;
}

}  // namespace

bool MountPoints::State::operator==(const State& other) const {
    return inode == other.inode && mode == other.mode && uid == other.uid && gid == other.gid &&
           same_time(mtime, other.mtime) && xattrs == other.xattrs;
}

MountPoints::State MountPoints::look(int fd, const struct stat& st) {
    return {st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_mtim, read_xattrs(fd)};
}

void MountPoints::touch(const std::string& path) {
    const auto known = [&](const Touched& touched) { return touched.path == path; };
    const auto ours = [&](const Made& made) { return made.path == path; };
    if (std::any_of(touched_.begin(), touched_.end(), known) || std::any_of(made_.begin(), made_.end(), ours)) return;
    const bool in_upper = try_open_nofollow(upper_, path, O_PATH | O_DIRECTORY).has_value();
    // A copy-up changes the time of the nearest directory that upper has already.
    if (!in_upper) touch(split_path(path).first);
    touched_.push_back({path, in_upper, stat_fd(open_in_root(root_, path, O_PATH | O_NOFOLLOW).get()).st_mtim, {}});
}

void MountPoints::ensure(const std::string& target, bool directory) {
    Place place = resolve(root_, target);
    if (place.missing.empty()) return;
    if (upper_ < 0) {
        throw Error(ErrorCode::conflict, "the image has no " + target + " to mount at, and its root is read-only");
    }
    touch(place.directory);
    UniqueFd here = open_in_root(root_, place.directory, directory_flags);
    std::string path = place.directory;
    for (std::size_t i = 0; i < place.missing.size(); ++i) {
        const std::string& name = place.missing[i];
        path = child_of(path, name);
        if (directory || i + 1 < place.missing.size()) {
            make_directory(here.get(), name, 0755);
            here = open_at(here.get(), name, directory_flags);
        } else {
            const UniqueFd file = open_at(here.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
            if (::fchmod(file.get(), 0644) != 0) throw_errno("set the mode of", path);
        }
        made_.push_back({path, {}});
    }
}

void MountPoints::seal() {
    const auto note = [this](const std::string& path, State& state) {
        const auto fd = try_open_nofollow(upper_, path, O_RDONLY);
        if (fd) state = look(fd->get(), stat_fd(fd->get()));
    };
    for (Made& made : made_) note(made.path, made.state);
    for (Touched& touched : touched_) note(touched.path, touched.state);
}

void MountPoints::clear() const {
    struct Open {
        UniqueFd fd;
        timespec mtime{};
        bool unchanged = false;
    };
    const auto open_directory = [this](const std::string& path) {
        auto fd = try_open_nofollow(upper_, path, directory_flags);
        return fd ? std::move(*fd) : UniqueFd();
    };

    // What the command did to each directory, seen before the times change by what follows.
    std::vector<Open> directories;
    for (const Touched& touched : touched_) {
        Open& open = directories.emplace_back();
        open.fd = open_directory(touched.path);
        if (!open.fd) continue;
        const struct stat st = stat_fd(open.fd.get());
        open.unchanged = look(open.fd.get(), st) == touched.state;
        open.mtime = open.unchanged ? touched.mtime : st.st_mtim;
    }

    for (auto made = made_.rbegin(); made != made_.rend(); ++made) {
        const auto [parent, name] = split_path(made->path);
        const UniqueFd directory = open_directory(parent);
        struct stat st {};
        if (!directory || ::fstatat(directory.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
        const State& state = made->state;
        if (st.st_ino != state.inode || st.st_mode != state.mode || st.st_uid != state.uid || st.st_gid != state.gid) {
            continue;
        }
        if (S_ISDIR(st.st_mode)) {
            // Not empty: the command put something in, so the directory is the command's now.
            if (::unlinkat(directory.get(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOTEMPTY && errno != EEXIST) {
                throw_errno("remove the mount point", made->path);
            }
        } else if (S_ISREG(st.st_mode) && st.st_size == 0 && same_time(st.st_mtim, state.mtime)) {
            if (::unlinkat(directory.get(), name.c_str(), 0) != 0) throw_errno("remove the mount point", made->path);
        }
    }

    for (std::size_t i = touched_.size(); i-- != 0;) {
        const Touched& touched = touched_[i];
        const Open& open = directories[i];
        if (!open.fd) continue;
        if (!touched.in_upper && open.unchanged) {
            const auto [parent, name] = split_path(touched.path);
            const UniqueFd directory = open_directory(parent);
            if (directory && ::unlinkat(directory.get(), name.c_str(), AT_REMOVEDIR) == 0) continue;
        }
        set_mtime(open.fd.get(), open.mtime);
    }
}

}  // namespace mkimg::sandbox
