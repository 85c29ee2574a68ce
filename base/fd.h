// Owned file descriptors and the calls on them that every folder needs. EINTR is retried
// everywhere but in close(). All descriptors are made close-on-exec.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mkimg {

class UniqueFd {
  public:
    UniqueFd() noexcept = default;
    explicit UniqueFd(int fd) noexcept : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    UniqueFd(const UniqueFd&) = delete;
    UniqueFd& operator=(const UniqueFd&) = delete;
    ~UniqueFd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    int release() noexcept { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept;
    // A second descriptor of the same open file.
    UniqueFd dup() const;

  private:
    int fd_ = -1;
};

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};
Pipe make_pipe();

// open(2)/openat(2), throwing. For paths of the host's that mkimg itself made or the user named;
// paths inside a container's tree go through base/tree_path.h.
UniqueFd open_at(int dirfd, const std::string& path, int flags, mode_t mode = 0);
UniqueFd open_path(const std::string& path, int flags, mode_t mode = 0);

struct stat stat_fd(int fd);

// Reads until the buffer is full or the end; returns the number of bytes read.
std::size_t read_full(int fd, std::span<std::byte> buffer);
void write_full(int fd, std::span<const std::byte> bytes);
void write_full(int fd, std::string_view text);
// Everything from the current offset to the end; more than `limit` bytes throws Error(corrupt).
std::string read_all(int fd, std::uint64_t limit, std::string_view what);

// Names in a directory without "." and "..", in bytewise order. Takes its own descriptor.
struct DirEntry {
    std::string name;
    unsigned char type;  // DT_*; DT_UNKNOWN where the file system doesn't tell
    ino_t inode;
};
std::vector<DirEntry> list_directory(int dirfd);

// Removes `name` below dirfd with all it holds, never following a symlink, whatever the modes of
// the directories inside. A missing name is no error.
void remove_tree(int dirfd, const std::string& name);

// mkdirat that doesn't mind an existing directory; the mode is exact whatever the umask.
void make_directory(int dirfd, const std::string& name, mode_t mode);

std::span<const std::byte> as_bytes(std::string_view text);
std::string_view as_text(std::span<const std::byte> bytes);

}  // namespace mkimg
