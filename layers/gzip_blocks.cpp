#include <libdeflate.h>

#include <algorithm>
#include <array>
#include <new>

#include "base/error.h"
#include "layers/block_compressor.h"

namespace mkimg::layers {
namespace {

// Each block is one or more gzip members. RFC 1952 makes a file of any number of members, and every
// reader of layers takes that (gzip, Go, zlib's gunzip, Python; eStargz and pigz write it too).
// libdeflate can't leave a deflate stream open for the next block to go on with.
constexpr std::size_t gzip_block_size = 1U << 20U;

struct FreeCompressor {
    void operator()(libdeflate_compressor* compressor) const noexcept { ::libdeflate_free_compressor(compressor); }
};

using Compressor = std::unique_ptr<libdeflate_compressor, FreeCompressor>;

Compressor make_compressor(int level) {
    Compressor made(::libdeflate_alloc_compressor(level));
    if (!made) throw std::bad_alloc();
    return made;
}

// What is compressed or encrypted already takes libdeflate longest, for nothing. It is told a piece at a time.
constexpr std::size_t piece_size = 64U << 10U;
constexpr std::size_t sample_size = 4U << 10U;

constexpr std::size_t strip_size = 1U << 10U;
constexpr std::size_t strip_distance = 4U << 10U;

// Whether all values are about as frequent in strips of the bytes: the sum of their shares squared is 1/256 where they
// are equally so, and may be `percent` of that. At 104 Huffman's code saves no more than 0.7 %.
bool is_even(std::span<const std::byte> bytes, std::size_t distance, std::uint64_t percent) {
    std::array<std::array<std::uint32_t, 256>, 4> counts{};  // a single one would have to wait for itself
    std::uint64_t counted = 0;
    for (std::size_t at = 0; at < bytes.size(); at += distance) {
        const auto strip = bytes.subspan(at, std::min(strip_size, bytes.size() - at));
        for (std::size_t i = 0; i < strip.size(); ++i) ++counts[i % 4][std::to_integer<unsigned>(strip[i])];
        counted += strip.size();
    }
    std::uint64_t squares = 0;
    for (std::size_t value = 0; value < 256; ++value) {
        const std::uint64_t count =
            std::uint64_t{counts[0][value]} + counts[1][value] + counts[2][value] + counts[3][value];
        squares += count * count;
    }
    return squares * 256 * 100 <= percent * counted * counted;
}

class GzipCodec final : public BlockCodec {
  public:
    explicit GzipCodec(int level) : compressor_(make_compressor(level)), storing_(make_compressor(0)) {}

    // Pieces in a row that are of the same kind are one gzip member: compressed, or stored as they are.
    std::span<const std::byte> compress(std::span<const std::byte> block) override {
        std::size_t used = 0;
        do {
            std::size_t run = std::min(piece_size, block.size());
            const bool dense = is_dense(block.first(run));
            while (run < block.size()) {
                const auto next = block.subspan(run, std::min(piece_size, block.size() - run));
                if (is_dense(next) != dense) break;
                run += next.size();
            }
            used += write_member(dense ? storing_ : compressor_, block.first(run), used);
            block = block.subspan(run);
        } while (!block.empty());
        return std::span(frame_).first(used);
    }

  private:
    bool is_dense(std::span<const std::byte> piece) {
        if (piece.size() < sample_size) return false;
        const auto sample = piece.first(sample_size);
        // The sample tells most of what is not, and takes no time.
        if (!is_even(sample, strip_size, 120) || !is_even(piece, strip_distance, 104)) return false;
        // Even bytes may still repeat.
        std::array<std::byte, sample_size> packed{};
        return ::libdeflate_deflate_compress(compressor_.get(), sample.data(), sample.size(), packed.data(),
                                             sample.size() - sample.size() / 64) == 0;
    }

    std::size_t write_member(const Compressor& compressor, std::span<const std::byte> bytes, std::size_t at) {
        frame_.resize(std::max(frame_.size(), at + ::libdeflate_gzip_compress_bound(compressor.get(), bytes.size())));
        const std::size_t size = ::libdeflate_gzip_compress(compressor.get(), bytes.data(), bytes.size(),
                                                            frame_.data() + at, frame_.size() - at);
        if (size == 0) throw Error(ErrorCode::internal, "libdeflate exceeded its own bound");
        // libdeflate writes no name, no time and OS 255; the extra flags depend on the level alone.
        return size;
    }

    Compressor compressor_;
    Compressor storing_;
    std::vector<std::byte> frame_;
};

class GzipFormat final : public BlockFormat {
  public:
    explicit GzipFormat(int level) : level_(level) {}
    std::size_t block_size() const override { return gzip_block_size; }
    std::unique_ptr<BlockCodec> make_codec() const override { return std::make_unique<GzipCodec>(level_); }

  private:
    const int level_;
};

}  // namespace

std::unique_ptr<BlockFormat> gzip_blocks(int level) {
    return std::make_unique<GzipFormat>(level);
}

}  // namespace mkimg::layers
