#include <libdeflate.h>

#include <array>
#include <new>

#include "base/error.h"
#include "layers/block_compressor.h"

namespace mkimg::layers {
namespace {

// Each block is a gzip member of its own. RFC 1952 makes a file of any number of members, and every
// reader of layers takes that (gzip, Go, zlib's gunzip, Python; eStargz and pigz write it too).
// libdeflate can't leave a deflate stream open for the next block to go on with.
constexpr std::size_t gzip_block_size = 1U << 20U;

struct FreeCompressor {
    void operator()(libdeflate_compressor* compressor) const noexcept { ::libdeflate_free_compressor(compressor); }
};

class GzipCodec final : public BlockCodec {
  public:
    explicit GzipCodec(int level) : compressor_(::libdeflate_alloc_compressor(level)) {
        if (!compressor_) throw std::bad_alloc();
    }

    std::span<const std::byte> compress(std::span<const std::byte> block) override {
        frame_.resize(::libdeflate_gzip_compress_bound(compressor_.get(), block.size()));
        const std::size_t size =
            ::libdeflate_gzip_compress(compressor_.get(), block.data(), block.size(), frame_.data(), frame_.size());
        if (size == 0) throw Error(ErrorCode::internal, "libdeflate exceeded its own bound");
        // libdeflate writes no name, no time and OS 255; the extra flags depend on the level alone.
        return std::span(frame_).first(size);
    }

  private:
    std::unique_ptr<libdeflate_compressor, FreeCompressor> compressor_;
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
