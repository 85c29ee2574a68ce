#include "layers/compression.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"
#include "layers/block_compressor.h"
#include "layers/decoder.h"

namespace mkimg::layers {
namespace {

constexpr std::size_t head_size = 10;  // the longest magic, bzip2's
constexpr std::size_t buffer_size = 256 * 1024;

bool is_bzip2(std::string_view head) {
    // "BZh" alone may be the start of a tar's first name; after the level comes a block or the end.
    return head.size() >= 10 && head.starts_with("BZh") && head[3] >= '1' && head[3] <= '9' &&
           (head.substr(4, 6) == "\x31\x41\x59\x26\x53\x59" || head.substr(4, 6) == "\x17\x72\x45\x38\x50\x90");
}

bool is_zstd(std::string_view head) {
    using namespace std::string_view_literals;
    if (head.starts_with("\x28\xb5\x2f\xfd"sv)) return true;
    // A skippable frame may come first.
    return head.size() >= 4 && (static_cast<unsigned char>(head[0]) & 0xF0U) == 0x50U &&
           head.substr(1, 3) == "\x2a\x4d\x18"sv;
}

// Gives what was peeked at, then the rest of the source.
class PeekedSource final : public Source {
  public:
    explicit PeekedSource(Source& source) : source_(source) { size_ = read_full(source, head_); }

    std::span<const std::byte> head() const { return std::span(head_).first(size_); }

    std::size_t read(std::span<std::byte> buffer) override {
        if (at_ == size_) return source_.read(buffer);
        const std::size_t n = std::min(buffer.size(), size_ - at_);
        std::memcpy(buffer.data(), head_.data() + at_, n);
        at_ += n;
        return n;
    }

  private:
    Source& source_;
    std::array<std::byte, head_size> head_{};
    std::size_t size_ = 0;
    std::size_t at_ = 0;
};

std::unique_ptr<Decoder> make_decoder(Compression format) {
    switch (format) {
        case Compression::none: return nullptr;
        case Compression::gzip: return make_gzip_decoder();
        case Compression::zstd: return make_zstd_decoder();
        case Compression::bzip2: return make_bzip2_decoder();
        case Compression::xz: return make_xz_decoder();
    }
    return nullptr;
}

class DecompressedSource final : public Source {
  public:
    DecompressedSource(Source& source, const DecompressLimits& limits)
        : source_(source), limits_(limits), format_(detect(source_.head())), decoder_(make_decoder(format_)) {
        if (decoder_) input_.resize(buffer_size);
    }

    Compression format() const { return format_; }

    std::size_t read(std::span<std::byte> buffer) override {
        const std::size_t n = decoder_ ? decode(buffer) : source_.read(buffer);
        if (n > limits_.bytes - out_) {
            throw Error(ErrorCode::corrupt,
                        "unpacks to more than the " + std::to_string(limits_.bytes) + " bytes allowed");
        }
        out_ += n;
        if (decoder_ && out_ > limits_.ratio_from && out_ / limits_.ratio > in_) {
            throw Error(ErrorCode::corrupt, "unpacks to more than " + std::to_string(limits_.ratio) +
                                                " times its size; it looks like a decompression bomb");
        }
        return n;
    }

  private:
    std::size_t decode(std::span<std::byte> buffer) {
        while (!buffer.empty()) {
            if (at_ == size_ && !at_end_) fill();
            // Once all input is taken, a decoder may still hold output back; between frames it
            // holds none.
            if (at_ == size_ && at_end_ && !in_frame_) return 0;
            const Decoder::Step step =
                decoder_->step(std::span<const std::byte>(input_).subspan(at_, size_ - at_), buffer);
            at_ += step.consumed;
            in_frame_ = !step.frame_ended;
            if (step.produced > 0) return step.produced;
            if (step.consumed > 0 || step.frame_ended) continue;
            if (at_end_) throw Error(ErrorCode::corrupt, std::string(name_of(format_)) + " data ends too early");
            if (at_ < size_) throw Error(ErrorCode::corrupt, std::string(name_of(format_)) + " data is damaged");
        }
        return 0;
    }

    void fill() {
        size_ = source_.read(input_);
        at_ = 0;
        in_ += size_;
        at_end_ = size_ == 0;
    }

    PeekedSource source_;
    const DecompressLimits limits_;
    const Compression format_;
    const std::unique_ptr<Decoder> decoder_;
    std::vector<std::byte> input_;
    std::size_t at_ = 0;
    std::size_t size_ = 0;
    bool at_end_ = false;
    bool in_frame_ = false;
    std::uint64_t in_ = 0;
    std::uint64_t out_ = 0;
};

class PassingSink final : public Sink {
  public:
    explicit PassingSink(Sink& out) : out_(out) {}
    void write(std::span<const std::byte> bytes) override { out_.write(bytes); }
    void finish() override { out_.finish(); }

  private:
    Sink& out_;
};

int checked_level(const CompressionSpec& spec, int standard, int highest) {
    if (spec.level == -1) return standard;
    if (spec.level >= 1 && spec.level <= highest) return spec.level;
    throw Error(ErrorCode::usage,
                std::string(name_of(spec.format)) + " has no compression level " + std::to_string(spec.level),
                "give a level from 1 to " + std::to_string(highest));
}

}  // namespace

std::string_view name_of(Compression format) noexcept {
    switch (format) {
        case Compression::none: return "uncompressed";
        case Compression::gzip: return "gzip";
        case Compression::zstd: return "zstd";
        case Compression::bzip2: return "bzip2";
        case Compression::xz: return "xz";
    }
    return "unknown";
}

Compression detect(std::span<const std::byte> head) {
    using namespace std::string_view_literals;
    const std::string_view text = as_text(head);
    if (text.starts_with("\x1f\x8b\x08"sv)) return Compression::gzip;
    if (is_zstd(text)) return Compression::zstd;
    if (is_bzip2(text)) return Compression::bzip2;
    if (text.starts_with("\xfd"
                         "7zXZ\0"sv)) {
        return Compression::xz;
    }
    return Compression::none;
}

std::unique_ptr<Source> decompress(Source& source, Compression* detected, const DecompressLimits& limits) {
    auto made = std::make_unique<DecompressedSource>(source, limits);
    if (detected != nullptr) *detected = made->format();
    return made;
}

std::unique_ptr<Sink> compress(Sink& out, const CompressionSpec& spec, ThreadPool& pool) {
    switch (spec.format) {
        case Compression::none: return std::make_unique<PassingSink>(out);
        case Compression::gzip:
            return std::make_unique<BlockCompressor>(out, gzip_blocks(checked_level(spec, 1, 12)), pool);
        case Compression::zstd:
            return std::make_unique<BlockCompressor>(out, zstd_blocks(checked_level(spec, 3, 22)), pool);
        case Compression::bzip2:
        case Compression::xz: break;
    }
    throw Error(ErrorCode::unsupported, "layers are not written as " + std::string(name_of(spec.format)),
                "use gzip, zstd or uncompressed");
}

}  // namespace mkimg::layers
