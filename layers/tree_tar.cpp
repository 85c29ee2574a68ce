#include "layers/tree_tar.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "layers/tar_writer.h"
#include "layers/tree_walk.h"

namespace mkimg::layers {
namespace {

// The content of a file as it was when the walk came by. Holes are not read.
class FileContent final : public Source {
  public:
    explicit FileContent(const WalkNode& node)
        : node_(node), size_(node.entry.size), sparse_(node.stat.stx_blocks * 512 < size_) {}

    std::size_t read(std::span<std::byte> buffer) override {
        if (at_ == size_) {
            check_unchanged();
            return 0;
        }
        if (at_ == segment_end_) find_segment();
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), segment_end_ - at_));
        if (hole_) {
            std::memset(buffer.data(), 0, want);
            at_ += want;
            return want;
        }
        const ssize_t n = ::pread(node_.file.get(), buffer.data(), want, static_cast<off_t>(at_));
        if (n < 0) {
            if (errno == EINTR) return read(buffer);
            throw_errno("read", printable(node_.entry.path));
        }
        if (n == 0) throw_changed();
        at_ += static_cast<std::uint64_t>(n);
        return static_cast<std::size_t>(n);
    }

  private:
    void find_segment() {
        hole_ = false;
        segment_end_ = size_;
        if (!sparse_) return;
        const int fd = node_.file.get();
        const off_t data = ::lseek(fd, static_cast<off_t>(at_), SEEK_DATA);
        if (data < 0) {
            hole_ = errno == ENXIO;  // no data up to the end; else the file system can't tell
        } else if (static_cast<std::uint64_t>(data) > at_) {
            hole_ = true;
            segment_end_ = std::min(size_, static_cast<std::uint64_t>(data));
        } else if (const off_t hole = ::lseek(fd, data, SEEK_HOLE); hole > data) {
            segment_end_ = std::min(size_, static_cast<std::uint64_t>(hole));
        }
    }

    void check_unchanged() const {
        struct statx now {};
        if (::statx(node_.file.get(), "", AT_EMPTY_PATH, STATX_SIZE | STATX_MTIME | STATX_CTIME, &now) != 0) {
            throw_errno("stat", printable(node_.entry.path));
        }
        const auto same = [](const statx_timestamp& a, const statx_timestamp& b) {
            return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
        };
        if (now.stx_size != size_ || !same(now.stx_mtime, node_.stat.stx_mtime) ||
            !same(now.stx_ctime, node_.stat.stx_ctime)) {
            throw_changed();
        }
    }

    [[noreturn]] void throw_changed() const {
        throw Error(ErrorCode::conflict, printable(node_.entry.path) + " changed while it was read",
                    "something still writes to this file: end it and try again");
    }

    const WalkNode& node_;
    const std::uint64_t size_;
    const bool sparse_;
    std::uint64_t at_ = 0;
    std::uint64_t segment_end_ = 0;
    bool hole_ = false;
};

bool same_content(const WalkNode& a, const WalkNode& b, std::span<std::byte> buffer) {
    FileContent left(a);
    FileContent right(b);
    const std::span<std::byte> first = buffer.first(buffer.size() / 2);
    const std::span<std::byte> second = buffer.subspan(buffer.size() / 2, buffer.size() / 2);
    for (;;) {
        const std::size_t n = read_full(left, first);
        if (n != read_full(right, second) || std::memcmp(first.data(), second.data(), n) != 0) return false;
        if (n < first.size()) return true;
    }
}

bool same_entry(const Entry& a, const Entry& b) {
    return a.path == b.path && a.type == b.type && a.mode == b.mode && a.uid == b.uid && a.gid == b.gid &&
           a.size == b.size && a.link == b.link && a.major == b.major && a.minor == b.minor && a.xattrs == b.xattrs;
}

}  // namespace

TreeSummary write_tree_tar(int root, Sink& sink, const TreeTarOptions& options) {
    TreeWalk walk(root, {.overlay_marks = options.overlay_marks, .contents = true});
    TarWriter writer(sink);
    TreeSummary summary;
    while (WalkNode* node = walk.next()) {
        Entry& entry = node->entry;
        if (entry.path.empty() && !options.root_entry) continue;
        if (options.epoch) entry.mtime = std::min(entry.mtime, *options.epoch);
        if (node->file) {
            FileContent content(*node);
            writer.add(entry, &content);
        } else {
            writer.add(entry);
        }
        ++summary.entries;
        summary.bytes += entry.size;
    }
    writer.finish();
    return summary;
}

void clamp_times(int root, std::int64_t epoch) {
    TreeWalk walk(root, {.overlay_marks = false, .contents = false});
    while (const WalkNode* node = walk.next()) {
        const statx_timestamp& mtime = node->stat.stx_mtime;
        if (mtime.tv_sec < epoch || (mtime.tv_sec == epoch && mtime.tv_nsec == 0)) continue;
        const timespec times[2] = {{0, UTIME_OMIT}, {epoch, 0}};
        if (::utimensat(node->parent, node->name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
            throw_errno("set the time of", printable(node->entry.path));
        }
    }
}

bool same_but_for_times(int a, int b) {
    TreeWalk left(a, {.overlay_marks = true, .contents = true});
    TreeWalk right(b, {.overlay_marks = true, .contents = true});
    std::vector<std::byte> buffer(256 * 1024);
    for (;;) {
        const WalkNode* first = left.next();
        const WalkNode* second = right.next();
        if (first == nullptr || second == nullptr) return first == second;
        if (!same_entry(first->entry, second->entry)) return false;
        if (first->file && !same_content(*first, *second, buffer)) return false;
    }
}

}  // namespace mkimg::layers
