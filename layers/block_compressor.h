// Compression in blocks of a fixed size on a thread pool. A block is compressed by itself, so that the
// bytes depend on the input alone.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/stream.h"
#include "base/thread_pool.h"

namespace mkimg::layers {

// Compresses one block at a time into a frame that stands for itself: a gzip member, a zstd frame.
// Kept for further blocks, as it is dear to make.
class BlockCodec {
  public:
    virtual ~BlockCodec() = default;
    // The frame is valid until the next call. Called by one thread at a time.
    virtual std::span<const std::byte> compress(std::span<const std::byte> block) = 0;
};

class BlockFormat {
  public:
    virtual ~BlockFormat() = default;
    virtual std::size_t block_size() const = 0;
    virtual std::unique_ptr<BlockCodec> make_codec() const = 0;
};

std::unique_ptr<BlockFormat> gzip_blocks(int level);  // 1 to 12
std::unique_ptr<BlockFormat> zstd_blocks(int level);  // 1 to 22

// Frames go to `out` (borrowed) in the order of their blocks. An empty input is one empty frame.
class BlockCompressor final : public Sink {
  public:
    BlockCompressor(Sink& out, std::unique_ptr<BlockFormat> format, ThreadPool& pool);
    ~BlockCompressor() override;
    void write(std::span<const std::byte> bytes) override;
    void finish() override;

  private:
    struct Slot {
        std::unique_ptr<BlockCodec> codec;
        std::vector<std::byte> input;
    };
    class Job;

    Slot take_slot();
    void submit();
    void write_oldest();

    Sink& out_;
    const std::unique_ptr<BlockFormat> format_;
    ThreadPool& pool_;
    const std::size_t most_jobs_;
    std::optional<Slot> filling_;
    std::deque<std::shared_ptr<Job>> running_;  // oldest first
    std::vector<Slot> spare_;
    bool any_ = false;  // was submitted
};

}  // namespace mkimg::layers
