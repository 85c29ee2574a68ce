#include <zstd.h>

#include <new>
#include <string>

#include "base/error.h"
#include "layers/block_compressor.h"

namespace mkimg::layers {
namespace {

// Large enough that the frames' lost history costs no ratio worth speaking of.
constexpr std::size_t zstd_block_size = 4U << 20U;

struct FreeContext {
    void operator()(ZSTD_CCtx* context) const noexcept { ::ZSTD_freeCCtx(context); }
};

std::size_t checked(std::size_t result) {
    if (::ZSTD_isError(result) != 0U) {
        throw Error(ErrorCode::internal, std::string("zstd: ") + ::ZSTD_getErrorName(result));
    }
    return result;
}

class ZstdCodec final : public BlockCodec {
  public:
    explicit ZstdCodec(int level) : context_(::ZSTD_createCCtx()) {
        if (!context_) throw std::bad_alloc();
        checked(::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level));
        checked(::ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1));
    }

    // The frame's header holds the size of the content, as all of it is known.
    std::span<const std::byte> compress(std::span<const std::byte> block) override {
        frame_.resize(::ZSTD_compressBound(block.size()));
        const std::size_t size =
            checked(::ZSTD_compress2(context_.get(), frame_.data(), frame_.size(), block.data(), block.size()));
        return std::span(frame_).first(size);
    }

  private:
    std::unique_ptr<ZSTD_CCtx, FreeContext> context_;
    std::vector<std::byte> frame_;
};

class ZstdFormat final : public BlockFormat {
  public:
    explicit ZstdFormat(int level) : level_(level) {}
    std::size_t block_size() const override { return zstd_block_size; }
    std::unique_ptr<BlockCodec> make_codec() const override { return std::make_unique<ZstdCodec>(level_); }

  private:
    const int level_;
};

}  // namespace

std::unique_ptr<BlockFormat> zstd_blocks(int level) {
    return std::make_unique<ZstdFormat>(level);
}

}  // namespace mkimg::layers
