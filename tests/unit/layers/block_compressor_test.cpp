#include "layers/block_compressor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace mkimg::layers {
namespace {

// Blocks of four bytes that stay as they are, and are counted.
class CountingFormat final : public BlockFormat {
  public:
    explicit CountingFormat(std::atomic<int>& compressed) : compressed_(compressed) {}
    std::size_t block_size() const override { return 4; }
    std::unique_ptr<BlockCodec> make_codec() const override { return std::make_unique<Codec>(compressed_); }

  private:
    class Codec final : public BlockCodec {
      public:
        explicit Codec(std::atomic<int>& compressed) : compressed_(compressed) {}
        std::span<const std::byte> compress(std::span<const std::byte> input) override {
            ++compressed_;
            return input;
        }

      private:
        std::atomic<int>& compressed_;
    };
    std::atomic<int>& compressed_;
};

TEST(BlockCompressor, WhatIsGivenUpIsNotCompressed) {
    std::atomic<int> compressed = 0;
    std::promise<void> gate;
    {
        ThreadPool pool(1);
        pool.submit([open = gate.get_future().share()] { open.wait(); });
        StringSink out;
        {
            BlockCompressor compressor(out, std::make_unique<CountingFormat>(compressed), pool);
            compressor.write(as_bytes(std::string_view("one.two.")));
        }
        gate.set_value();
    }
    EXPECT_EQ(compressed, 0);
}

TEST(BlockCompressor, BlocksComeInTheirOrder) {
    std::atomic<int> compressed = 0;
    ThreadPool pool(3);
    StringSink out;
    BlockCompressor compressor(out, std::make_unique<CountingFormat>(compressed), pool);
    compressor.write(as_bytes(std::string_view("one.two.three")));
    compressor.finish();
    EXPECT_EQ(out.take(), "one.two.three");
    EXPECT_EQ(compressed, 4);
}

}  // namespace
}  // namespace mkimg::layers
