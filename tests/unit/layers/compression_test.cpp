#include "layers/compression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "tests/unit/layers/shell.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::layers {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

// Words of a small vocabulary: compressible, and of no period.
std::string sample(std::size_t size) {
    std::mt19937 random(42);
    std::string text;
    text.reserve(size + 16);
    while (text.size() < size) text += std::to_string(random() % 5000) + " ";
    text.resize(size);
    return text;
}

std::string compressed(std::string_view text, const CompressionSpec& spec, unsigned threads = 2,
                       std::size_t piece = 1U << 30U) {
    ThreadPool pool(threads);
    StringSink out;
    const auto sink = compress(out, spec, pool);
    for (std::size_t at = 0; at < text.size(); at += piece) sink->write(as_bytes(text.substr(at, piece)));
    sink->finish();
    return out.take();
}

std::string read_all_of(Source& source, std::size_t piece = 100000) {
    std::string out;
    std::vector<std::byte> buffer(piece);
    while (const std::size_t n = source.read(buffer)) out += as_text(std::span(buffer).first(n));
    return out;
}

std::string decompressed(std::string_view bytes, const DecompressLimits& limits = {}, Compression* format = nullptr) {
    MemorySource source(bytes);
    return read_all_of(*decompress(source, format, limits));
}

std::string refusal(std::string_view bytes, const DecompressLimits& limits = {}) {
    try {
        decompressed(bytes, limits);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::corrupt);
        return error.message();
    }
    return "";
}

std::string made_by(const std::string& tool, const std::string& text) {
    const TempDir dir;
    dir.write("in", text);
    output_of(tool + " < " + dir.path("in") + " > " + dir.path("out"));
    return dir.read("out");
}

const CompressionSpec gzip{.format = Compression::gzip};
const CompressionSpec zstd{.format = Compression::zstd};

TEST(Detect, KnowsFormatsByTheirFirstBytes) {
    const auto of = [](const std::string& text) { return detect(as_bytes(text)); };
    EXPECT_EQ(of("\x1f\x8b\x08\x00\x00\x00"s), Compression::gzip);
    EXPECT_EQ(of("\x28\xb5\x2f\xfd\x00\x00"s), Compression::zstd);
    EXPECT_EQ(of("\x5a\x2a\x4d\x18\x00\x00"s), Compression::zstd);  // a skippable frame
    EXPECT_EQ(of("\xfd"
                 "7zXZ\0"s),
              Compression::xz);
    EXPECT_EQ(of("BZh91AY&SY"), Compression::bzip2);
    EXPECT_EQ(of("BZh9\x17\x72\x45\x38\x50\x90"), Compression::bzip2);  // of no content
    EXPECT_EQ(of("BZh91/file"), Compression::none);                     // a tar whose first name is this
    EXPECT_EQ(of("\x1f\x8b"), Compression::none);
    EXPECT_EQ(of(""), Compression::none);
    EXPECT_EQ(name_of(Compression::none), "uncompressed");
}

TEST(Decompress, WhatOtherToolsWrite) {
    const std::string text = sample(3'000'000);
    const std::vector<std::pair<std::string, Compression>> tools = {
        {"gzip", Compression::gzip},
        {"zstd -q", Compression::zstd},
        {"zstd -q --ultra -22 --long=27", Compression::zstd},
        {"bzip2", Compression::bzip2},
        {"xz -1", Compression::xz},
        {"cat", Compression::none}};
    for (const auto& [tool, format] : tools) {
        Compression found{};
        EXPECT_EQ(decompressed(made_by(tool, text), {}, &found), text) << tool;
        EXPECT_EQ(found, format) << tool;
    }
}

TEST(Decompress, EmptyContent) {
    for (const std::string tool : {"gzip", "zstd -q", "bzip2", "xz", "cat"}) {
        EXPECT_EQ(decompressed(made_by(tool, "")), "") << tool;
    }
}

TEST(Decompress, SeveralMembersAndFrames) {
    for (const std::string tool : {"gzip", "zstd -q", "bzip2", "xz"}) {
        EXPECT_EQ(decompressed(made_by(tool, "one ") + made_by(tool, "") + made_by(tool, "two")), "one two") << tool;
    }
}

TEST(Decompress, GivesTheSameForAnySizeOfRead) {
    const std::string text = sample(300'000);
    for (const std::string tool : {"gzip", "zstd -q", "bzip2", "xz"}) {
        const std::string bytes = made_by(tool, text);
        MemorySource source{std::string_view(bytes)};
        EXPECT_EQ(read_all_of(*decompress(source), 7), text) << tool;
    }
}

TEST(Decompress, EveryTruncationIsRefused) {
    for (const std::string tool : {"gzip", "zstd -q", "bzip2", "xz", "gzip -1"}) {
        const std::string bytes = made_by(tool, sample(2000));
        for (std::size_t size = 10; size < bytes.size(); ++size) {
            EXPECT_NE(refusal(bytes.substr(0, size)), "") << tool << " cut at " << size << " of " << bytes.size();
        }
    }
}

TEST(Decompress, TrailingRubbishIsRefused) {
    for (const std::string tool : {"gzip", "zstd -q", "bzip2", "xz"}) {
        const std::string bytes = made_by(tool, "content");
        EXPECT_NE(refusal(bytes + "x"), "") << tool;
        EXPECT_NE(refusal(bytes + std::string(100, 'r')), "") << tool;
        EXPECT_NE(refusal(bytes + std::string(100, '\0')), "") << tool;
    }
}

TEST(Decompress, DamageIsRefused) {
    for (const std::string tool : {"gzip", "zstd -q --check", "bzip2", "xz"}) {
        std::string bytes = made_by(tool, sample(50'000));
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x10);
        EXPECT_NE(refusal(bytes), "") << tool;
    }
}

TEST(Decompress, ReadsItsSourceToTheEnd) {
    const std::string bytes = made_by("gzip", "content");
    MemorySource source{std::string_view(bytes)};
    read_all_of(*decompress(source));
    std::byte more{};
    EXPECT_EQ(source.read(std::span(&more, 1)), 0U);
}

TEST(Decompress, SizeLimit) {
    for (const std::string tool : {"gzip", "zstd -q", "bzip2", "xz", "cat"}) {
        const std::string bytes = made_by(tool, std::string(5000, 'x'));
        EXPECT_EQ(refusal(bytes, {.bytes = 5000}), "") << tool;
        EXPECT_THAT(refusal(bytes, {.bytes = 4999}), HasSubstr("more than the 4999 bytes")) << tool;
    }
}

TEST(Decompress, RatioLimit) {
    constexpr std::size_t size = 8U << 20U;
    for (const std::string tool : {"gzip -9", "zstd -q", "bzip2", "xz -0"}) {
        const std::string bytes = made_by(tool, std::string(size, '\0'));
        EXPECT_EQ(refusal(bytes, {.ratio = 500, .ratio_from = size}), "") << tool;
        EXPECT_THAT(refusal(bytes, {.ratio = 500, .ratio_from = size / 2}), HasSubstr("bomb")) << tool;
    }
    // The limit as it stands refuses no gzip: deflate can't pack tighter.
    EXPECT_EQ(refusal(made_by("gzip -9", std::string(size, '\0')), {.ratio_from = 1U << 20U}), "");
}

TEST(Decompress, XzThatWantsTooMuchMemoryIsRefused) {
    EXPECT_THAT(refusal(made_by("xz --lzma2=dict=512MiB,mode=fast,mf=hc3,nice=2", "x")), HasSubstr("memory"));
}

class Compress : public testing::TestWithParam<CompressionSpec> {};

TEST_P(Compress, OtherToolsReadIt) {
    const std::string text = sample(9'500'000);  // more than two blocks of either format
    const std::string bytes = compressed(text, GetParam());
    const TempDir dir;
    dir.write("z", bytes);
    const bool is_gzip = GetParam().format == Compression::gzip;
    output_of((is_gzip ? "gzip -t < " : "zstd -q -t < ") + dir.path("z"));
    output_of((is_gzip ? "gzip -dc < " : "zstd -q -dc < ") + dir.path("z") + " > " + dir.path("out"));
    EXPECT_TRUE(dir.read("out") == text);
    if (is_gzip) {
        EXPECT_EQ(output_of("python3 -c 'import gzip, sys, hashlib; f = gzip.open(sys.argv[1]);"
                            "print(len(f.read()))' " +
                            dir.path("z")),
                  "9500000\n");
    }
    EXPECT_TRUE(decompressed(bytes) == text);
    EXPECT_LT(bytes.size(), text.size() / 2);
}

TEST_P(Compress, BytesDependOnNeitherThreadsNorPieces) {
    const std::string text = sample(9'500'000);
    const std::string bytes = compressed(text, GetParam(), 2);
    EXPECT_TRUE(compressed(text, GetParam(), 1) == bytes);
    EXPECT_TRUE(compressed(text, GetParam(), 7) == bytes);
    EXPECT_TRUE(compressed(text, GetParam(), 2, 100'003) == bytes);
    EXPECT_TRUE(compressed(text, GetParam(), 3, 1U << 20U) == bytes);
    const std::string_view head = std::string_view(text).substr(0, 5000);
    EXPECT_TRUE(compressed(head, GetParam(), 2, 1) == compressed(head, GetParam()));
}

TEST_P(Compress, SizesAroundABlock) {
    const std::size_t block = GetParam().format == Compression::gzip ? 1U << 20U : 4U << 20U;
    for (const std::size_t size : {block - 1, block, block + 1, 2 * block}) {
        const std::string text = sample(size);
        EXPECT_TRUE(decompressed(compressed(text, GetParam())) == text) << size;
    }
}

TEST_P(Compress, NothingIsAnEmptyStreamOfItsFormat) {
    const std::string bytes = compressed("", GetParam());
    EXPECT_FALSE(bytes.empty());
    Compression format{};
    EXPECT_EQ(decompressed(bytes, {}, &format), "");
    EXPECT_EQ(format, GetParam().format);
    EXPECT_EQ(made_by(format == Compression::gzip ? "gzip -dc" : "zstd -q -dc", bytes), "");
}

// A writer that is itself a task of the only thread must not wait for that thread.
TEST_P(Compress, FromWithinThePool) {
    ThreadPool pool(1);
    const std::string text = sample(20'000'000);
    StringSink out;
    pool.submit([&] {
            const auto sink = compress(out, GetParam(), pool);
            sink->write(as_bytes(text));
            sink->finish();
        })
        .get();
    EXPECT_TRUE(decompressed(out.text()) == text);
}

TEST_P(Compress, GivenUpHalfway) {
    ThreadPool pool(2);
    NullSink out;
    const auto sink = compress(out, GetParam(), pool);
    sink->write(as_bytes(sample(9'000'000)));
}

INSTANTIATE_TEST_SUITE_P(Formats, Compress,
                         testing::Values(gzip, CompressionSpec{.format = Compression::gzip, .level = 9}, zstd,
                                         CompressionSpec{.format = Compression::zstd, .level = 9}),
                         [](const auto& made) {
                             return std::string(name_of(made.param.format)) +
                                    (made.param.level < 0 ? "Default" : std::to_string(made.param.level));
                         });

class FailingSink final : public Sink {
  public:
    void write(std::span<const std::byte>) override { throw Error(ErrorCode::unavailable, "the disk is full"); }
};

TEST(CompressErrors, OfTheSinkReachTheWriter) {
    ThreadPool pool(2);
    FailingSink out;
    const auto sink = compress(out, gzip, pool);
    EXPECT_THROW(
        {
            sink->write(as_bytes(sample(9'000'000)));
            sink->finish();
        },
        Error);
}

TEST(CompressGzip, HeaderHasNoNameAndNoTime) {
    // RFC 1952: ID1 ID2 CM FLG MTIME(4) XFL OS; 255 is "unknown".
    const std::string bytes = compressed("x", gzip);
    EXPECT_EQ(bytes.substr(0, 8), "\x1f\x8b\x08\x00\x00\x00\x00\x00"s);
    EXPECT_EQ(bytes[9], '\xff');
}

// Bytes that nothing makes shorter: xorshift64* by Vigna, from its definition.
std::string noise(std::size_t size) {
    std::string bytes;
    for (std::uint64_t state = 1; bytes.size() < size;) {
        state ^= state >> 12U;
        state ^= state << 25U;
        state ^= state >> 27U;
        bytes += static_cast<char>((state * 0x2545F4914F6CDD1DULL) >> 56U);
    }
    return bytes;
}

// Each byte as often as any other, and yet it repeats.
std::string counting(std::size_t size) {
    std::string bytes;
    while (bytes.size() < size) bytes += static_cast<char>(bytes.size() % 256);
    return bytes;
}

TEST(CompressGzip, NoiseIsStored) {
    const std::string bytes = compressed(noise(1U << 20U), gzip);
    // RFC 1951: a stored block has up to 65,535 bytes and 5 of its own; RFC 1952: a member has 18.
    EXPECT_LE(bytes.size(), (1U << 20U) + 17 * 5 + 18);
    EXPECT_TRUE(made_by("gzip -dc", bytes) == noise(1U << 20U));
}

TEST(CompressGzip, NoiseBetweenTextLeavesTheTextCompressed) {
    const std::string text = sample(300'000);
    const std::string bytes = text + noise(300'000) + text + noise(10'000) + counting(500'000) + text;
    const std::string packed = compressed(bytes, gzip);
    EXPECT_LT(packed.size(), 310'000 + 3 * compressed(text, gzip).size() + 100'000);
    EXPECT_TRUE(made_by("gzip -dc", packed) == bytes);
    EXPECT_TRUE(decompressed(packed) == bytes);
}

TEST(CompressGzip, EvenBytesThatRepeatAreCompressed) {
    EXPECT_LT(compressed(counting(1U << 20U), gzip).size(), 20'000U);
}

TEST(CompressZstd, FramesHaveChecksumAndSize) {
    const TempDir dir;
    dir.write("z", compressed(sample(9'000'000), zstd));
    const std::string list = output_of("zstd -lv " + dir.path("z"));
    EXPECT_THAT(list, HasSubstr("# Zstandard Frames: 3"));  // RFC 8878 frames of 4 MiB
    EXPECT_THAT(list, HasSubstr("Check: XXH64"));
    EXPECT_THAT(list, HasSubstr("(9000000 B)"));
}

TEST(CompressSpec, NoneLeavesTheBytes) {
    EXPECT_EQ(compressed("as it is", {.format = Compression::none}), "as it is");
}

TEST(CompressSpec, UnknownLevelsAndFormatsAreRefused) {
    for (const CompressionSpec& spec :
         {CompressionSpec{Compression::gzip, 0}, CompressionSpec{Compression::gzip, 13},
          CompressionSpec{Compression::zstd, 23}, CompressionSpec{Compression::zstd, -2}}) {
        try {
            compressed("x", spec);
            FAIL() << spec.level;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::usage);
        }
    }
    EXPECT_THROW(compressed("x", {.format = Compression::xz}), Error);
}

}  // namespace
}  // namespace mkimg::layers
