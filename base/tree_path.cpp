#include "base/tree_path.h"

#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <deque>

#include "base/error.h"
#include "base/text.h"

namespace mkimg {
namespace {

constexpr int max_symlinks = 40;  // as the kernel's own limit

std::string relative(const std::string& path) {
    const std::size_t first = path.find_first_not_of('/');
    return first == std::string::npos ? "." : path.substr(first);
}

int openat2_raw(int root, const std::string& path, int flags, mode_t mode, std::uint64_t resolve) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
    how.mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? mode : 0;
    how.resolve = resolve;
    for (int tries = 0;; ++tries) {
        const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
        if (fd >= 0) return static_cast<int>(fd);
        // EAGAIN: a rename elsewhere made the kernel unsure; it asks for another try.
        if (errno != EINTR && (errno != EAGAIN || tries > 200)) return -1;
    }
}

std::optional<std::string> read_link(int dirfd, const std::string& name) {
    std::string target(4096, '\0');
    const ssize_t n = ::readlinkat(dirfd, name.c_str(), target.data(), target.size());
    if (n < 0) return std::nullopt;
    target.resize(static_cast<std::size_t>(n));
    return target;
}

// openat2's RESOLVE_IN_ROOT by hand: each component is opened with O_NOFOLLOW from a descriptor of
// its parent, and ".." goes back along the descriptors that were walked, never through the kernel.
int walk_in_root(int root, const std::string& path, int flags, mode_t mode, bool follow_any) {
    std::deque<std::string> pending;
    for (std::string& part : split(path, '/')) pending.push_back(std::move(part));
    std::vector<UniqueFd> stack;
    stack.push_back(open_at(root, ".", O_PATH | O_DIRECTORY));
    int links = 0;
    // A "/" or "/." at the end of the path, or of the last symlink's target, asks for a directory.
    bool want_directory = false;
    const auto trim_end = [&] {
        while (!pending.empty() && (pending.back().empty() || pending.back() == ".")) {
            pending.pop_back();
            want_directory = true;
        }
    };
    trim_end();
    const bool exclusive = (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0;
    while (!pending.empty()) {
        const std::string part = std::move(pending.front());
        pending.pop_front();
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            if (stack.size() > 1) stack.pop_back();
            continue;
        }
        const bool last = pending.empty();
        const int at = stack.back().get();
        struct stat st {};
        const bool exists = ::fstatat(at, part.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (exists && S_ISLNK(st.st_mode) && !(last && (flags & O_NOFOLLOW) != 0 && !want_directory)) {
            if (!follow_any || ++links > max_symlinks) {
                errno = ELOOP;
                return -1;
            }
            if (last && exclusive) {
                errno = EEXIST;
                return -1;
            }
            const auto target = read_link(at, part);
            if (!target) return -1;
            if (target->starts_with('/')) stack.resize(1);
            auto parts = split(*target, '/');
            pending.insert(pending.begin(), std::make_move_iterator(parts.begin()),
                           std::make_move_iterator(parts.end()));
            trim_end();
            continue;
        }
        if (last && want_directory && (flags & O_CREAT) != 0) {
            errno = EISDIR;
            return -1;
        }
        if (last) {
            const int directory = want_directory ? O_DIRECTORY : 0;
            return ::openat(at, part.c_str(), flags | directory | O_NOFOLLOW | O_CLOEXEC, mode);
        }
        if (!exists) return -1;
        const int next = ::openat(at, part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0) return -1;
        stack.emplace_back(next);
    }
    return ::openat(stack.back().get(), ".", (flags & ~(O_CREAT | O_EXCL)) | O_CLOEXEC);
}

int open_resolved(int root, const std::string& path, int flags, mode_t mode, bool follow_any) {
    if (path.find('\0') != std::string::npos) {
        errno = ENOENT;  // no file has such a name; the kernel would see what comes before it
        return -1;
    }
    static std::atomic<bool> refused{false};
    if (!refused.load(std::memory_order_relaxed)) {
        const std::uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | (follow_any ? 0 : RESOLVE_NO_SYMLINKS);
        const int fd = openat2_raw(root, relative(path), flags, mode, resolve);
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
        // EPERM is what a seccomp filter that doesn't know openat2 may answer.
        const int probe = openat2_raw(root, ".", O_PATH, 0, RESOLVE_IN_ROOT);
        if (probe >= 0) {
            ::close(probe);
            errno = EPERM;
            return -1;
        }
        refused.store(true, std::memory_order_relaxed);
    }
    return walk_in_root(root, path, flags, mode, follow_any);
}

bool is_absent(int err) {
    return err == ENOENT || err == ENOTDIR || err == ELOOP || err == ENAMETOOLONG;
}

}  // namespace

UniqueFd open_in_root(int root, const std::string& path, int flags, mode_t mode) {
    const int fd = open_resolved(root, path, flags, mode, true);
    if (fd < 0) throw_errno("open", path);
    return UniqueFd(fd);
}

std::optional<UniqueFd> try_open_in_root(int root, const std::string& path, int flags, mode_t mode) {
    const int fd = open_resolved(root, path, flags, mode, true);
    if (fd >= 0) return UniqueFd(fd);
    if (is_absent(errno)) return std::nullopt;
    throw_errno("open", path);
}

std::optional<UniqueFd> try_open_nofollow(int root, const std::string& path, int flags) {
    const int fd = open_resolved(root, path, flags | O_NOFOLLOW, 0, false);
    if (fd >= 0) return UniqueFd(fd);
    if (is_absent(errno)) return std::nullopt;
    throw_errno("open", path);
}

std::optional<struct stat> lstat_in_root(int root, const std::string& path) {
    const auto fd = try_open_in_root(root, path, O_PATH | O_NOFOLLOW);
    if (!fd) return std::nullopt;
    return stat_fd(fd->get());
}

std::optional<struct stat> stat_in_root(int root, const std::string& path) {
    const auto fd = try_open_in_root(root, path, O_PATH);
    if (!fd) return std::nullopt;
    return stat_fd(fd->get());
}

UniqueFd make_directories_in_root(int root, const std::string& path, const NewDirectory& fresh,
                                  std::vector<std::string>* made) {
    if (auto whole = try_open_in_root(root, path, O_RDONLY | O_DIRECTORY)) return std::move(*whole);
    std::deque<std::string> pending;
    for (std::string& part : split(path, '/')) pending.push_back(std::move(part));
    std::vector<std::string> done;  // the in-root path walked so far, free of symlinks
    const auto at = [&] { return "/" + join(done, "/"); };
    UniqueFd here = open_at(root, ".", O_RDONLY | O_DIRECTORY);
    int links = 0;
    while (!pending.empty()) {
        const std::string part = std::move(pending.front());
        pending.pop_front();
        if (part.empty() || part == ".") continue;
        if (part == "..") {
            if (!done.empty()) done.pop_back();
            here = open_in_root(root, at(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            continue;
        }
        struct stat st {};
        if (::fstatat(here.get(), part.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno != ENOENT) throw_errno("look up", at() + "/" + part);
            if (::mkdirat(here.get(), part.c_str(), 0700) != 0) throw_errno("make directory", at() + "/" + part);
            UniqueFd next = open_at(here.get(), part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            if (::fchown(next.get(), fresh.uid, fresh.gid) != 0 || ::fchmod(next.get(), fresh.mode) != 0) {
                throw_errno("set owner and mode of", at() + "/" + part);
            }
            if (fresh.mtime) {
                const timespec times[2] = {{*fresh.mtime, 0}, {*fresh.mtime, 0}};
                if (::futimens(next.get(), times) != 0) throw_errno("set the time of", at() + "/" + part);
            }
            done.push_back(part);
            if (made != nullptr) made->push_back(at());
            here = std::move(next);
        } else if (S_ISLNK(st.st_mode)) {
            const auto target = read_link(here.get(), part);
            if (!target || ++links > max_symlinks) {
                throw Error(ErrorCode::conflict, at() + "/" + part + ": too many levels of symbolic links");
            }
            if (target->starts_with('/')) {
                done.clear();
                here = open_at(root, ".", O_RDONLY | O_DIRECTORY);
            }
            auto parts = split(*target, '/');
            pending.insert(pending.begin(), std::make_move_iterator(parts.begin()),
                           std::make_move_iterator(parts.end()));
        } else if (S_ISDIR(st.st_mode)) {
            here = open_at(here.get(), part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            done.push_back(part);
        } else {
            throw Error(ErrorCode::conflict,
                        at() + (done.empty() ? "" : "/") + part + " exists and is not a directory");
        }
    }
    return here;
}

std::string clean_path(std::string_view path) {
    std::vector<std::string> parts;
    for (std::string& part : split(path, '/')) {
        if (part.empty() || part == ".") continue;
        if (part != "..") {
            parts.push_back(std::move(part));
        } else if (!parts.empty()) {
            parts.pop_back();
        }
    }
    return "/" + join(parts, "/");
}

std::string join_path(std::string_view directory, std::string_view path) {
    if (path.starts_with('/')) return clean_path(path);
    return clean_path(std::string(directory) + "/" + std::string(path));
}

std::pair<std::string, std::string> split_path(std::string_view clean) {
    const std::size_t slash = clean.rfind('/');
    if (slash == std::string_view::npos) return {"/", std::string(clean)};
    return {slash == 0 ? "/" : std::string(clean.substr(0, slash)), std::string(clean.substr(slash + 1))};
}

}  // namespace mkimg
