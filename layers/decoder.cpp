#include "layers/decoder.h"

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <new>
#include <string>

#include "base/error.h"

namespace mkimg::layers {
namespace {

[[noreturn]] void throw_broken(std::string_view format, std::string_view why) {
    throw Error(ErrorCode::corrupt, "broken " + std::string(format) + " data: " + std::string(why));
}

// zlib and bzip2 count in 32 bits.
unsigned clip(std::size_t size) {
    return static_cast<unsigned>(std::min<std::size_t>(size, std::numeric_limits<unsigned>::max()));
}

template <typename Byte>
Byte* pointer(std::span<const std::byte> bytes) {
    // The C interfaces take what they only read as not const.
    return reinterpret_cast<Byte*>(const_cast<std::byte*>(bytes.data()));
}

class GzipDecoder final : public Decoder {
  public:
    GzipDecoder() {
        constexpr int gzip_only = 16 + MAX_WBITS;
        if (::inflateInit2(&stream_, gzip_only) != Z_OK) throw std::bad_alloc();
    }
    GzipDecoder(const GzipDecoder&) = delete;
    GzipDecoder& operator=(const GzipDecoder&) = delete;
    ~GzipDecoder() override { ::inflateEnd(&stream_); }

    Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
        stream_.next_in = pointer<Bytef>(in);
        stream_.avail_in = clip(in.size());
        stream_.next_out = pointer<Bytef>(out);
        stream_.avail_out = clip(out.size());
        const int result = ::inflate(&stream_, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
            throw_broken("gzip", stream_.msg != nullptr ? stream_.msg : "it can't be read");
        }
        const Step done{clip(in.size()) - stream_.avail_in, clip(out.size()) - stream_.avail_out,
                        result == Z_STREAM_END};
        if (done.frame_ended) ::inflateReset(&stream_);
        return done;
    }

  private:
    z_stream stream_{};
};

class ZstdDecoder final : public Decoder {
  public:
    ZstdDecoder() : context_(::ZSTD_createDCtx()) {
        if (!context_) throw std::bad_alloc();
    }

    Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
        ZSTD_inBuffer input{in.data(), in.size(), 0};
        ZSTD_outBuffer output{out.data(), out.size(), 0};
        const std::size_t result = ::ZSTD_decompressStream(context_.get(), &output, &input);
        if (::ZSTD_isError(result) != 0U) throw_broken("zstd", ::ZSTD_getErrorName(result));
        return {input.pos, output.pos, result == 0};
    }

  private:
    struct Free {
        void operator()(ZSTD_DCtx* context) const noexcept { ::ZSTD_freeDCtx(context); }
    };
    std::unique_ptr<ZSTD_DCtx, Free> context_;
};

class Bzip2Decoder final : public Decoder {
  public:
    Bzip2Decoder() { start(); }
    Bzip2Decoder(const Bzip2Decoder&) = delete;
    Bzip2Decoder& operator=(const Bzip2Decoder&) = delete;
    ~Bzip2Decoder() override { ::BZ2_bzDecompressEnd(&stream_); }

    Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
        stream_.next_in = pointer<char>(in);
        stream_.avail_in = clip(in.size());
        stream_.next_out = pointer<char>(out);
        stream_.avail_out = clip(out.size());
        const int result = ::BZ2_bzDecompress(&stream_);
        if (result == BZ_MEM_ERROR) throw std::bad_alloc();
        if (result != BZ_OK && result != BZ_STREAM_END) throw_broken("bzip2", "a block is damaged");
        const Step done{clip(in.size()) - stream_.avail_in, clip(out.size()) - stream_.avail_out,
                        result == BZ_STREAM_END};
        if (done.frame_ended) {
            ::BZ2_bzDecompressEnd(&stream_);
            start();
        }
        return done;
    }

  private:
    void start() {
        stream_ = {};
        if (::BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw std::bad_alloc();
    }
    bz_stream stream_{};
};

class XzDecoder final : public Decoder {
  public:
    XzDecoder() { start(); }
    XzDecoder(const XzDecoder&) = delete;
    XzDecoder& operator=(const XzDecoder&) = delete;
    ~XzDecoder() override { ::lzma_end(&stream_); }

    Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
        stream_.next_in = pointer<std::uint8_t>(in);
        stream_.avail_in = in.size();
        stream_.next_out = pointer<std::uint8_t>(out);
        stream_.avail_out = out.size();
        const lzma_ret result = ::lzma_code(&stream_, LZMA_RUN);
        if (result == LZMA_MEM_ERROR) throw std::bad_alloc();
        if (result == LZMA_MEMLIMIT_ERROR) throw_broken("xz", "it needs more than 256 MiB of memory to unpack");
        if (result != LZMA_OK && result != LZMA_STREAM_END && result != LZMA_BUF_ERROR) {
            throw_broken("xz", "a block is damaged");
        }
        const Step done{in.size() - stream_.avail_in, out.size() - stream_.avail_out, result == LZMA_STREAM_END};
        if (done.frame_ended) start();
        return done;
    }

  private:
    void start() {
        constexpr std::uint64_t memory = 256ULL << 20U;  // xz -9 takes 65 MiB
        if (::lzma_stream_decoder(&stream_, memory, 0) != LZMA_OK) throw std::bad_alloc();
    }
    lzma_stream stream_ = LZMA_STREAM_INIT;
};

}  // namespace

std::unique_ptr<Decoder> make_gzip_decoder() {
    return std::make_unique<GzipDecoder>();
}
std::unique_ptr<Decoder> make_zstd_decoder() {
    return std::make_unique<ZstdDecoder>();
}
std::unique_ptr<Decoder> make_bzip2_decoder() {
    return std::make_unique<Bzip2Decoder>();
}
std::unique_ptr<Decoder> make_xz_decoder() {
    return std::make_unique<XzDecoder>();
}

}  // namespace mkimg::layers
