#include "builder/file_copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace mkimg::builder {
namespace {

constexpr std::size_t small_file = 64 * 1024;
// Where the kernel copies, a piece at a time, so that a full disk shows early.
constexpr std::uint64_t copy_step = 16U << 20U;

// Runs `create` until it doesn't fail with EEXIST, removing what is in its way.
template <typename Create>
int make_way(int directory, const char* name, const PathText& path, Create create) {
    for (int tries = 0;; ++tries) {
        const int result = create();
        if (result >= 0) return result;
        if (errno != EEXIST || tries > 0) throw_errno("create", path());
        struct stat stat {};
        if (::fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(stat.st_mode)) {
            throw Error(ErrorCode::conflict, "cannot replace the directory " + printable(path()) + " with a file",
                        "remove it with an earlier RUN, or choose another target");
        }
        if (::unlinkat(directory, name, 0) != 0) throw_errno("replace", path());
    }
}

timespec as_timespec(std::int64_t ns) {
    constexpr std::int64_t second = 1'000'000'000;
    const std::int64_t part = ((ns % second) + second) % second;
    return {(ns - part) / second, static_cast<long>(part)};
}

// True where the kernel can't do it between these files.
bool cannot_share(int err) {
    return err == EXDEV || err == EINVAL || err == ENOSYS || err == EOPNOTSUPP || err == EBADF || err == EPERM;
}

// 0 where the kernel can't, and at the source's end.
std::uint64_t copy_in_kernel(int from, int to, std::uint64_t size, const PathText& path) {
    for (;;) {
        const ssize_t n = ::copy_file_range(from, nullptr, to, nullptr, size, 0);
        if (n >= 0) return static_cast<std::uint64_t>(n);
        if (errno == EINTR) continue;
        if (!cannot_share(errno)) throw_errno("copy", path());
        return 0;
    }
}

// Returns the number of bytes copied, less than `size` at the source's end.
std::uint64_t copy_through_memory(int from, int to, std::uint64_t size, const PathText& path) {
    thread_local std::vector<std::byte> buffer(1U << 20U);
    std::uint64_t done = 0;
    while (done < size) {
        const std::size_t step = std::min<std::uint64_t>(buffer.size(), size - done);
        const ssize_t n = ::read(from, buffer.data(), step);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("read", path());
        if (n == 0) break;
        write_full(to, std::span(buffer).first(static_cast<std::size_t>(n)));
        done += static_cast<std::uint64_t>(n);
    }
    return done;
}

}  // namespace

UniqueFd create_file(int directory, const char* name, const Metadata& metadata, const PathText& path) {
    return UniqueFd(make_way(directory, name, path, [&] {
        return ::openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, metadata.mode & 0777U);
    }));
}

void create_symlink(int directory, const char* name, const std::string& target, const Metadata& metadata,
                    const PathText& path) {
    make_way(directory, name, path, [&] { return ::symlinkat(target.c_str(), directory, name); });
    if (::fchownat(directory, name, metadata.uid, metadata.gid, AT_SYMLINK_NOFOLLOW) != 0) {
        throw_errno("set the owner of", path());
    }
    if (!metadata.mtime_ns) return;
    const timespec times[2] = {as_timespec(*metadata.mtime_ns), as_timespec(*metadata.mtime_ns)};
    if (::utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) != 0) throw_errno("set the time of", path());
}

void create_node(int directory, const char* name, mode_t type, dev_t device, const Metadata& metadata,
                 const PathText& path) {
    make_way(directory, name, path, [&] { return ::mknodat(directory, name, type | 0600U, device); });
    // Not through a descriptor: to open a device can have effects.
    if (::fchownat(directory, name, metadata.uid, metadata.gid, AT_SYMLINK_NOFOLLOW) != 0 ||
        ::fchmodat(directory, name, metadata.mode, 0) != 0) {
        throw_errno("set the owner and mode of", path());
    }
    if (!metadata.mtime_ns) return;
    const timespec times[2] = {as_timespec(*metadata.mtime_ns), as_timespec(*metadata.mtime_ns)};
    if (::utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) != 0) throw_errno("set the time of", path());
}

void create_link(int directory, const std::string& existing, const std::string& name, const PathText& path) {
    make_way(directory, name.c_str(), path,
             [&] { return ::linkat(directory, existing.c_str(), directory, name.c_str(), 0); });
}

void create_directory(int directory, const char* name, const PathText& path) {
    if (::mkdirat(directory, name, 0700) == 0) return;
    if (errno != EEXIST) throw_errno("make directory", path());
    struct stat stat {};
    if (::fstatat(directory, name, &stat, AT_SYMLINK_NOFOLLOW) != 0) throw_errno("look up", path());
    if (!S_ISDIR(stat.st_mode)) {
        throw Error(ErrorCode::conflict, "cannot copy a directory to non-directory: " + printable(path()),
                    "remove it with an earlier RUN, or choose another target");
    }
}

void set_metadata(int fd, const Metadata& metadata, const XattrList& xattrs, const PathText& path) {
    // What a create gave is mostly right already: fstat is much cheaper than to set it again.
    const struct stat made = stat_fd(fd);
    bool exact_mode = (made.st_mode & 07777U) == metadata.mode;
    if (made.st_uid != metadata.uid || made.st_gid != metadata.gid) {
        if (::fchown(fd, metadata.uid, metadata.gid) != 0) throw_errno("set the owner of", path());
        exact_mode = exact_mode && (metadata.mode & 06000U) == 0;  // chown clears set-id bits
    }
    if (!exact_mode && ::fchmod(fd, metadata.mode) != 0) throw_errno("set the mode of", path());
    for (const auto& [name, value] : xattrs) {
        if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0) {
            throw_errno("set the extended attribute " + name + " of", path());
        }
    }
    if (!metadata.mtime_ns) return;
    const timespec times[2] = {as_timespec(*metadata.mtime_ns), as_timespec(*metadata.mtime_ns)};
    if (::futimens(fd, times) != 0) throw_errno("set the time of", path());
}

void copy_bytes(int from, int to, std::uint64_t size, const PathText& path) {
    if (size < small_file) {
        copy_through_memory(from, to, size, path);
        return;
    }
    bool share = true;
    for (std::uint64_t done = 0; done < size;) {
        const std::uint64_t step = std::min(copy_step, size - done);
        std::uint64_t copied = share ? copy_in_kernel(from, to, step, path) : 0;
        if (copied == 0) {
            share = false;
            copied = copy_through_memory(from, to, step, path);
        }
        if (copied == 0) return;
        done += copied;
    }
}

}  // namespace mkimg::builder
