#include "builder/archive.h"

#include <unistd.h>

#include <array>

#include "base/error.h"
#include "base/fd.h"
#include "base/stream.h"
#include "layers/apply.h"
#include "layers/compression.h"

namespace mkimg::builder {
namespace {

constexpr std::size_t block_size = 512;
constexpr std::size_t checksum_offset = 148;
constexpr std::size_t checksum_size = 8;

void rewind_to_start(int fd) {
    if (::lseek(fd, 0, SEEK_SET) != 0) throw_errno("seek in an archive");
}

// The checksum of a tar header is the sum of its bytes, its own field taken as blanks.
bool is_tar_header(std::span<const std::byte, block_size> block) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < block.size(); ++i) {
        const bool own = i >= checksum_offset && i < checksum_offset + checksum_size;
        sum += own ? std::uint64_t{' '} : std::to_integer<std::uint64_t>(block[i]);
    }
    std::uint64_t stored = 0;
    bool digits = false;
    for (std::size_t i = 0; i < checksum_size; ++i) {
        const char c = std::to_integer<char>(block[checksum_offset + i]);
        if (c >= '0' && c <= '7') {
            stored = stored * 8 + static_cast<std::uint64_t>(c - '0');
            digits = true;
        } else if (c != ' ' || digits) {
            break;
        }
    }
    return digits && stored == sum;
}

}  // namespace

bool is_archive(int fd) {
    rewind_to_start(fd);
    FdSource file(fd);
    std::array<std::byte, block_size> block{};
    std::size_t size = 0;
    try {
        size = read_full(*layers::decompress(file), block);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
    }
    rewind_to_start(fd);
    return size == block.size() && is_tar_header(block);
}

void unpack_archive(int fd, int directory, std::optional<std::int64_t> epoch) {
    rewind_to_start(fd);
    FdSource file(fd);
    const auto tar = layers::decompress(file);
    layers::ApplyOptions options;
    options.whiteouts = layers::Whiteouts::as_files;
    options.follow_parents = true;
    options.epoch = epoch;
    layers::apply_tar(*tar, directory, options);
}

}  // namespace mkimg::builder
