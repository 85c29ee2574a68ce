// Streaming decompression: one loop for all formats, and what each of them does per step.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "layers/compression.h"

namespace mkimg::layers {

class Decoder {
  public:
    struct Step {
        std::size_t consumed;
        std::size_t produced;
        // A whole frame (gzip member, zstd frame, …) ended with what was consumed. The next call
        // begins another.
        bool frame_ended;
    };

    virtual ~Decoder() = default;
    // Takes from `in`, gives into `out`; either may come out untouched, not both while there is
    // room and input. Throws Error(corrupt).
    virtual Step step(std::span<const std::byte> in, std::span<std::byte> out) = 0;
};

std::unique_ptr<Decoder> make_gzip_decoder();
std::unique_ptr<Decoder> make_zstd_decoder();
std::unique_ptr<Decoder> make_bzip2_decoder();
std::unique_ptr<Decoder> make_xz_decoder();

}  // namespace mkimg::layers
