#include "layers/apply.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "layers/tree_writer.h"

namespace mkimg::layers {
namespace {

constexpr std::string_view whiteout_prefix = ".wh.";
constexpr std::string_view opaque_name = ".wh..wh..opq";
constexpr std::string_view aufs_prefix = ".wh..wh.";  // .wh..wh.plnk and the like: aufs's own files

void pwrite_full(int fd, std::span<const std::byte> bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (n < 0) {
            if (errno == EINTR) continue;
            throw_errno("write");
        }
        bytes = bytes.subspan(static_cast<std::size_t>(n));
        offset += static_cast<std::uint64_t>(n);
    }
}

// Long runs of zeros become holes: an archive that is small and unpacks to terabytes of zeros then
// costs no disk, and reading the file back is quicker.
bool is_hole(std::span<const std::byte> bytes) {
    constexpr std::size_t smallest = 4096;
    return bytes.size() >= smallest && bytes[0] == std::byte{0} &&
           std::equal(bytes.begin() + 1, bytes.end(), bytes.begin());
}

class Unpacker {
  public:
    Unpacker(TarReader& reader, int root, const ApplyOptions& options)
        : reader_(reader), tree_(root, options), options_(options) {}

    void apply(Entry entry) {
        entry.mtime = options_.epoch ? std::min(entry.mtime, *options_.epoch) : entry.mtime;
        if (options_.owner) {
            entry.uid = options_.owner->first;
            entry.gid = options_.owner->second;
        }
        if (options_.mode) entry.mode = *options_.mode;
        ++applied_.entries;
        if (options_.whiteouts == Whiteouts::to_overlay && apply_mark(entry)) return;
        switch (entry.type) {
            case EntryType::directory: return tree_.directory(entry);
            case EntryType::file: return file(entry);
            case EntryType::symlink: return tree_.symlink(entry);
            case EntryType::hardlink: return tree_.hardlink(entry);
            case EntryType::fifo:
            case EntryType::char_device:
            case EntryType::block_device:
                if (!tree_.node(entry)) ++applied_.skipped_devices;
        }
    }

    Applied finish() {
        tree_.finish();
        return applied_;
    }

  private:
    // True where the entry is a whiteout, an opaque mark or a file of aufs's.
    bool apply_mark(const Entry& entry) {
        const std::size_t slash = entry.path.rfind('/');
        const std::string directory = slash == std::string::npos ? std::string() : entry.path.substr(0, slash);
        const std::string_view name = std::string_view(entry.path).substr(slash + 1);
        if (!name.starts_with(whiteout_prefix) && ("/" + directory).find("/.wh.") == std::string::npos) return false;
        if (name == opaque_name) {
            check_mark(entry, directory);
            tree_.opaque(entry, directory);
            return true;
        }
        if (("/" + entry.path).find("/" + std::string(aufs_prefix)) != std::string::npos) return true;
        const std::string_view target = name.substr(std::min(name.size(), whiteout_prefix.size()));
        check_mark(entry, directory);
        if (target.empty() || target == "." || target == "..") {
            throw Error(ErrorCode::corrupt, printable(entry.path) + ": a whiteout of no name");
        }
        tree_.whiteout(entry, directory.empty() ? std::string(target) : directory + "/" + std::string(target));
        return true;
    }

    static void check_mark(const Entry& entry, const std::string& directory) {
        if (("/" + directory).find("/.wh.") != std::string::npos) {
            throw Error(ErrorCode::corrupt, printable(entry.path) + ": lies in what is marked as deleted");
        }
        if (entry.type == EntryType::directory || entry.size != 0) {
            throw Error(ErrorCode::corrupt, printable(entry.path) + ": a whiteout must be an empty file");
        }
    }

    void file(const Entry& entry) {
        UniqueFd file = tree_.open_file(entry);
        std::uint64_t end = 0;
        if (entry.size > 0) {
            while (const auto block = reader_.next_block()) {
                if (block->offset > entry.size || block->bytes.size() > entry.size - block->offset) {
                    throw Error(ErrorCode::corrupt, printable(entry.path) + ": more content than its size");
                }
                if (is_hole(block->bytes)) continue;
                pwrite_full(file.get(), block->bytes, block->offset);
                end = std::max(end, block->offset + block->bytes.size());
            }
        }
        if (end < entry.size && ::ftruncate(file.get(), static_cast<off_t>(entry.size)) != 0) {
            throw_errno("set the size of", printable(entry.path));
        }
        applied_.bytes += entry.size;
        tree_.close_file(entry, std::move(file));
    }

    TarReader& reader_;
    TreeWriter tree_;
    const ApplyOptions& options_;
    Applied applied_;
};

// What follows the end of the archive counts too: a DiffID is of the whole stream.
void drain(Source& source) {
    std::vector<std::byte> buffer(64 * 1024);
    while (source.read(buffer) != 0) {
    }
}

}  // namespace

Applied apply_tar(Source& source, int root, const ApplyOptions& options) {
    TarReader reader(source, options.limits);
    Unpacker unpacker(reader, root, options);
    while (auto entry = reader.next()) unpacker.apply(std::move(*entry));
    const Applied applied = unpacker.finish();
    drain(source);
    return applied;
}

}  // namespace mkimg::layers
