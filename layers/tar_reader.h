// Reads tar (ustar, PAX, GNU) through libarchive, entry by entry, with limits. No name or
// link that comes out contains NUL; paths are cleaned of "./", of leading and trailing "/".
#pragma once

#include <memory>
#include <optional>

#include "base/stream.h"
#include "layers/entry.h"

namespace mkimg::layers {

struct TarLimits {
    std::uint64_t entries = 10'000'000;
    std::uint64_t total_bytes = 1ULL << 42U;  // of file contents
    std::size_t path_length = 4096;
    std::size_t xattr_bytes = 1U << 20U;  // per entry
};

class TarReader final : public Source {
  public:
    // Borrows `source`, which gives the uncompressed tar.
    explicit TarReader(Source& source, const TarLimits& limits = {});
    ~TarReader() override;
    // The next entry, or nothing at the end. Throws Error(corrupt) that names the entry.
    std::optional<Entry> next();
    // Content of the current entry; the holes of a sparse file as zeros.
    std::size_t read(std::span<std::byte> buffer) override;
    // The same without a copy and without the holes: the next bytes and where in the file they lie,
    // in rising order. They are valid until the next call. Nothing at the end. Don't mix with read().
    struct Block {
        std::uint64_t offset;
        std::span<const std::byte> bytes;
    };
    std::optional<Block> next_block();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mkimg::layers
