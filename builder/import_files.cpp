#include "builder/import_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/text.h"
#include "base/tree_path.h"
#include "builder/import_tar_index.h"
#include "layers/compression.h"

namespace mkimg::builder {

namespace {

class DirectoryFiles final : public ImageFiles {
  public:
    explicit DirectoryFiles(const std::string& path) : directory_(open_path(path, O_RDONLY | O_DIRECTORY)) {}

    std::optional<FileRange> find(const std::string& name) override {
        // O_NONBLOCK: a FIFO must not hold us up.
        auto file = try_open_in_root(directory_.get(), name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (!file) return std::nullopt;
        const struct stat info = stat_fd(file->get());
        if (!S_ISREG(info.st_mode)) throw Error(ErrorCode::corrupt, name + " is no regular file");
        open_.push_back(std::move(*file));
        return FileRange{open_.back().get(), 0, static_cast<std::uint64_t>(info.st_size)};
    }

  private:
    UniqueFd directory_;
    std::vector<UniqueFd> open_;
};

class TarFiles final : public ImageFiles {
  public:
    TarFiles(UniqueFd file, std::optional<oci::WorkDir> dir)
        : dir_(std::move(dir)), file_(std::move(file)), members_(index_tar(file_.get())) {}

    // Old versions of docker made links of layers that images share.
    std::optional<FileRange> find(const std::string& name) override {
        constexpr int most_links = 8;
        std::string at = name;
        for (int links = 0; links < most_links; ++links) {
            const auto found = members_.find(at);
            if (found == members_.end()) return std::nullopt;
            const TarMember& member = found->second;
            if (member.type == TarMember::Type::file) return FileRange{file_.get(), member.offset, member.size};
            at = target(at, member);
        }
        throw Error(ErrorCode::corrupt, "the archive has a loop of links at " + printable(name));
    }

  private:
    static std::string target(const std::string& name, const TarMember& member) {
        const std::string& link = member.link;
        std::vector<std::string> parts;
        if (member.type == TarMember::Type::symlink) {
            parts = split(name, '/');
            parts.pop_back();
        }
        bool leaves = link.starts_with('/');
        for (const auto& part : split(link, '/')) {
            if (part == "..") {
                leaves = leaves || parts.empty();
                if (!parts.empty()) parts.pop_back();
            } else if (!part.empty() && part != ".") {
                parts.push_back(part);
            }
        }
        if (leaves) {
            throw Error(ErrorCode::corrupt, "the archive has a link out of itself: " + printable(name + " -> " + link));
        }
        return join(parts, "/");
    }

    std::optional<oci::WorkDir> dir_;
    UniqueFd file_;
    std::map<std::string, TarMember> members_;
};

// The plain tar of `file` in a nameless file of the store's.
UniqueFd spool(int file, const oci::WorkDir& dir) {
    FdSource source(file);
    const auto plain = layers::decompress(source);
    char first[512];
    const std::size_t got = read_full(*plain, std::as_writable_bytes(std::span(first)));
    // Nothing but a tar is worth the disk.
    if (got < sizeof first || !is_tar_header(first)) throw Error(ErrorCode::corrupt, "not an image archive: no tar");
    UniqueFd copy_of = open_at(dir.fd(), "archive", O_RDWR | O_CREAT | O_EXCL, 0600);
    FdSink sink(copy_of.get());
    sink.write(std::as_bytes(std::span(first)));
    copy(*plain, sink);
    return copy_of;
}

}  // namespace

std::size_t RangeSource::read(std::span<std::byte> buffer) {
    const std::size_t size = std::min<std::uint64_t>(buffer.size(), range_.size);
    if (size == 0) return 0;
    ssize_t n = -1;
    do {
        n = ::pread(range_.file, buffer.data(), size, static_cast<off_t>(range_.offset));
    } while (n < 0 && errno == EINTR);
    if (n < 0) throw_errno("read the archive");
    if (n == 0) throw Error(ErrorCode::corrupt, "the archive became shorter while it was read");
    range_.offset += static_cast<std::uint64_t>(n);
    range_.size -= static_cast<std::uint64_t>(n);
    return static_cast<std::size_t>(n);
}

FileRange ImageFiles::get(const std::string& name) {
    if (auto range = find(name)) return *range;
    throw Error(ErrorCode::corrupt, "the archive lacks " + printable(name), "make or download it again");
}

std::string ImageFiles::read(const std::string& name, std::uint64_t limit) {
    const FileRange range = get(name);
    if (range.size > limit) {
        throw Error(ErrorCode::corrupt, printable(name) + " has " + human_size(range.size) + ", more than the " +
                                            human_size(limit) + " that such a document may have");
    }
    RangeSource source(range);
    StringSink text;
    copy(source, text);
    return text.take();
}

std::unique_ptr<ImageFiles> open_image_directory(const std::string& path) {
    return std::make_unique<DirectoryFiles>(path);
}

std::unique_ptr<ImageFiles> open_image_archive(UniqueFd file, oci::Store& store) {
    const struct stat info = stat_fd(file.get());
    if (S_ISDIR(info.st_mode))
        throw Error(ErrorCode::usage, "it is a directory, not an archive", "use oci-layout://DIR");
    if (S_ISREG(info.st_mode)) {
        std::array<std::byte, 16> head{};
        const ssize_t n = ::pread(file.get(), head.data(), head.size(), 0);
        if (n < 0) throw_errno("read the archive");
        if (layers::detect(std::span(head).first(static_cast<std::size_t>(n))) == layers::Compression::none) {
            return std::make_unique<TarFiles>(std::move(file), std::nullopt);
        }
    }
    auto dir = store.make_work_dir();
    UniqueFd plain = spool(file.get(), dir);
    return std::make_unique<TarFiles>(std::move(plain), std::move(dir));
}

}  // namespace mkimg::builder
