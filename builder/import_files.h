// The files of an image archive, by name: of a directory, or of a tar that is read where it lies.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/stream.h"
#include "oci/store.h"

namespace mkimg::builder {

// A part of an open file. Borrows the descriptor.
struct FileRange {
    int file = -1;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};

class RangeSource final : public Source {
  public:
    explicit RangeSource(const FileRange& range) : range_(range) {}
    std::size_t read(std::span<std::byte> buffer) override;

  private:
    FileRange range_;
};

class ImageFiles {
  public:
    virtual ~ImageFiles() = default;
    // The regular file of that name, links followed inside the archive. The range is good as long as
    // this object lives.
    virtual std::optional<FileRange> find(const std::string& name) = 0;

    // Throws Error(corrupt) that names the file where it is missing or longer than `limit`.
    FileRange get(const std::string& name);
    std::string read(const std::string& name, std::uint64_t limit);
};

// `path` is a directory that the user named.
std::unique_ptr<ImageFiles> open_image_directory(const std::string& path);

// An archive, plain or compressed. What can't be read by position (a pipe, a compressed file) is
// first written, plain, into a work directory of the store. Throws Error(corrupt) for a tar in which
// names repeat, lead out of the archive, or which is no tar at all.
std::unique_ptr<ImageFiles> open_image_archive(UniqueFd file, oci::Store& store);

}  // namespace mkimg::builder
