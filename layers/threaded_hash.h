// SHA-256 beside the reading of the files.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/sha256.h"
#include "base/stream.h"

namespace mkimg::layers {

// Counts and hashes what passes on to `next` (borrowed, may be null, is not finished). The first bytes are hashed by
// the caller's thread, for most layers are small and a thread costs more than they do; from then on
// a thread of its own does it, where `threads` allows that.
class ThreadedHash final : public Sink {
  public:
    explicit ThreadedHash(bool threads, Sink* next = nullptr) : threads_(threads), next_(next) {}
    ThreadedHash(const ThreadedHash&) = delete;
    ThreadedHash& operator=(const ThreadedHash&) = delete;
    ~ThreadedHash() override;

    void write(std::span<const std::byte> bytes) override;
    void finish() override;
    std::uint64_t size() const noexcept { return size_; }
    // Valid after finish().
    const Sha256Bytes& digest() const noexcept { return digest_; }

  private:
    using Block = std::vector<std::byte>;

    void hand_over();
    void join();
    void run() noexcept;

    const bool threads_;
    Sink* const next_;
    Sha256 hash_;
    std::uint64_t size_ = 0;
    Sha256Bytes digest_{};

    Block filling_;
    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Block> full_;
    std::vector<Block> spare_;
    bool ended_ = false;
    std::exception_ptr failure_;
};

}  // namespace mkimg::layers
