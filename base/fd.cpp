#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/error.h"

namespace mkimg {

void UniqueFd::reset(int fd) noexcept {
    if (fd_ >= 0) ::close(fd_);  // on Linux the descriptor is gone even when close says EINTR
    fd_ = fd;
}

UniqueFd UniqueFd::dup() const {
    const int copy = ::fcntl(fd_, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw_errno("duplicate a file descriptor");
    return UniqueFd(copy);
}

Pipe make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("make a pipe");
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

UniqueFd open_at(int dirfd, const std::string& path, int flags, mode_t mode) {
    for (;;) {
        const int fd = ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode);
        if (fd >= 0) return UniqueFd(fd);
        if (errno != EINTR) throw_errno("open", path);
    }
}

UniqueFd open_path(const std::string& path, int flags, mode_t mode) {
    return open_at(AT_FDCWD, path, flags, mode);
}

struct stat stat_fd(int fd) {
    struct stat st {};
    if (::fstat(fd, &st) != 0) throw_errno("stat an open file");
    return st;
}

std::size_t read_full(int fd, std::span<std::byte> buffer) {
    std::size_t done = 0;
    while (done < buffer.size()) {
        const ssize_t n = ::read(fd, buffer.data() + done, buffer.size() - done);
        if (n < 0) {
            if (errno == EINTR) continue;
            throw_errno("read");
        }
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    return done;
}

void write_full(int fd, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0) {
            if (errno == EINTR) continue;
            throw_errno("write");
        }
        bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
}

void write_full(int fd, std::string_view text) {
    write_full(fd, as_bytes(text));
}

std::string read_all(int fd, std::uint64_t limit, std::string_view what) {
    std::string out;
    constexpr std::size_t step = 64 * 1024;
    for (;;) {
        const std::size_t before = out.size();
        out.resize(before + step);
        const std::size_t n = read_full(fd, std::as_writable_bytes(std::span(out.data() + before, step)));
        out.resize(before + n);
        if (out.size() > limit) {
            throw Error(ErrorCode::corrupt,
                        std::string(what) + " is larger than the " + std::to_string(limit) + " bytes allowed");
        }
        if (n < step) return out;
    }
}

std::vector<DirEntry> list_directory(int dirfd) {
    UniqueFd own = open_at(dirfd, ".", O_RDONLY | O_DIRECTORY);
    DIR* raw = ::fdopendir(own.get());
    if (raw == nullptr) throw_errno("read a directory");
    own.release();
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(raw, ::closedir);
    std::vector<DirEntry> entries;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr) {
            if (errno != 0) throw_errno("read a directory");
            break;
        }
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") entries.push_back({std::string(name), entry->d_type, entry->d_ino});
    }
    std::sort(entries.begin(), entries.end(), [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
    return entries;
}

namespace {

// Directories so deep that their parents' descriptors would use up the process's limit are moved up
// to the top first, where they are removed in their turn.
class TreeRemoval {
  public:
    explicit TreeRemoval(int top) : top_(top) {}

    void run(const std::string& name) {
        remove(top_, name, 0);
        while (!moved_.empty()) {
            const std::string next = std::move(moved_.back());
            moved_.pop_back();
            remove(top_, next, 0);
        }
    }

  private:
    static constexpr int max_depth = 64;

    void remove(int dirfd, const std::string& name, int depth) {
        if (::unlinkat(dirfd, name.c_str(), 0) == 0 || errno == ENOENT) return;
        if (errno != EISDIR && errno != EPERM) throw_errno("remove", name);
        if (depth > max_depth && move_to_top(dirfd, name)) return;
        int fd = ::openat(dirfd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == EACCES) {
            ::fchmodat(dirfd, name.c_str(), 0700, 0);
            fd = ::openat(dirfd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        }
        if (fd < 0) {
            if (errno == ENOENT) return;
            throw_errno("remove", name);
        }
        const UniqueFd directory(fd);
        const auto entries = list_directory(fd);
        if (!entries.empty() && ::faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) ::fchmod(fd, 0700);
        for (const DirEntry& entry : entries) remove(fd, entry.name, depth + 1);
        if (::unlinkat(dirfd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) throw_errno("remove", name);
    }

    bool move_to_top(int dirfd, const std::string& name) {
        for (;;) {
            std::string fresh = ".mkimg-removed-" + std::to_string(::getpid()) + "-" + std::to_string(count_++);
            if (::renameat2(dirfd, name.c_str(), top_, fresh.c_str(), RENAME_NOREPLACE) == 0) {
                moved_.push_back(std::move(fresh));
                return true;
            }
            if (errno != EEXIST) return false;
        }
    }

    const int top_;
    unsigned count_ = 0;
    std::vector<std::string> moved_;
};

}  // namespace

void remove_tree(int dirfd, const std::string& name) {
    TreeRemoval(dirfd).run(name);
}

void make_directory(int dirfd, const std::string& name, mode_t mode) {
    if (::mkdirat(dirfd, name.c_str(), mode) != 0) {
        if (errno == EEXIST) return;
        throw_errno("make directory", name);
    }
    if (::fchmodat(dirfd, name.c_str(), mode, 0) != 0) throw_errno("set the mode of", name);
}

std::span<const std::byte> as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace mkimg
