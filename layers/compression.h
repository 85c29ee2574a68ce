// Compressed streams. Formats are known by content, not by name.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/stream.h"
#include "base/thread_pool.h"

namespace mkimg::layers {

enum class Compression { none, gzip, zstd, bzip2, xz };
std::string_view name_of(Compression format) noexcept;  // "uncompressed", "gzip", …

// By the magic number of the first bytes (at least 6 are needed for xz).
Compression detect(std::span<const std::byte> head);

// Peeks at `source` (borrowed) and decompresses what it holds, whatever the format; plain bytes
// pass. More than `bytes` out, or a ratio over 1:`ratio` past the first `ratio_from` bytes out, is
// Error(corrupt), as are a truncated stream and trailing rubbish. Multi-member gzip and
// multi-frame zstd are read whole.
struct DecompressLimits {
    std::uint64_t bytes = 1ULL << 42U;
    std::uint64_t ratio = 1100;  // deflate can't do more than 1032:1
    // The others can: zstd makes an honest file of 1 GiB of zeros 30,000 times smaller. It takes more
    // than any honest layer has of them to be refused.
    std::uint64_t ratio_from = 16ULL << 30U;
};
std::unique_ptr<Source> decompress(Source& source, Compression* detected = nullptr,
                                   const DecompressLimits& limits = {});

struct CompressionSpec {
    Compression format = Compression::gzip;  // none, gzip or zstd
    int level = -1;                          // -1: the format's default
    friend bool operator==(const CompressionSpec&, const CompressionSpec&) = default;
};

// Compresses into `out` (borrowed; finished by finish()) in blocks of a fixed size on the pool's
// threads. The bytes depend on the input and the spec alone, never on the number of threads. At
// most a few blocks per thread are held in memory.
std::unique_ptr<Sink> compress(Sink& out, const CompressionSpec& spec, ThreadPool& pool);

}  // namespace mkimg::layers
