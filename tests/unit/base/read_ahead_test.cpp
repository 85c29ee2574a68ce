#include "base/read_ahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "base/error.h"

namespace mkimg {
namespace {

// Gives `size` bytes, each its place modulo 251, in pieces of different sizes; then ends or fails.
class Counting final : public Source {
  public:
    Counting(std::size_t size, bool fails) : size_(size), fails_(fails) {}

    std::size_t read(std::span<std::byte> buffer) override {
        if (at_ == size_ && fails_) throw Error(ErrorCode::unavailable, "the disk is gone");
        const std::size_t n = std::min({buffer.size(), size_ - at_, 1 + at_ % 300'000});
        for (std::size_t i = 0; i < n; ++i) buffer[i] = static_cast<std::byte>((at_ + i) % 251);
        at_ += n;
        read_ = at_;
        return n;
    }

    std::size_t bytes_read() const { return read_; }

  private:
    const std::size_t size_;
    const bool fails_;
    std::size_t at_ = 0;
    std::atomic<std::size_t> read_{0};
};

// How many of the bytes came as they should, up to the first that did not.
std::size_t read_all(Source& source, std::size_t step) {
    std::vector<std::byte> buffer(step);
    std::size_t total = 0;
    for (;;) {
        const std::size_t n = source.read(buffer);
        if (n == 0) return total;
        for (std::size_t i = 0; i < n; ++i, ++total) {
            if (buffer[i] != static_cast<std::byte>(total % 251)) return total;
        }
    }
}

TEST(ReadAhead, GivesEveryByteInOrder) {
    constexpr std::size_t size = 10'000'000;
    for (const std::size_t step : {std::size_t{7'001}, std::size_t{256 * 1024}, std::size_t{1'000'003}}) {
        Counting inner(size, false);
        ReadAhead ahead(inner);
        EXPECT_EQ(read_all(ahead, step), size);
        std::byte more{};
        EXPECT_EQ(ahead.read({&more, 1}), 0U);
    }
}

TEST(ReadAhead, NothingIsNothing) {
    Counting inner(0, false);
    ReadAhead ahead(inner);
    EXPECT_EQ(read_all(ahead, 10), 0U);
}

TEST(ReadAhead, AFailureComesAfterTheBytesBeforeIt) {
    Counting inner(3'000'000, true);
    ReadAhead ahead(inner);
    std::vector<std::byte> buffer(3'000'000);
    EXPECT_EQ(read_full(ahead, buffer), buffer.size());
    EXPECT_EQ(buffer.back(), static_cast<std::byte>((buffer.size() - 1) % 251));
    EXPECT_THROW(ahead.read(buffer), Error);
    EXPECT_THROW(ahead.read(buffer), Error);
}

TEST(ReadAhead, ReadsNoMoreThanAFewMebibytesAhead) {
    Counting inner(100'000'000, false);
    {
        ReadAhead ahead(inner);
        std::byte first{};
        EXPECT_EQ(ahead.read({&first, 1}), 1U);
    }
    // Given up: the thread has ended, and most was never read.
    EXPECT_LE(inner.bytes_read(), 4U << 20U);
}

}  // namespace
}  // namespace mkimg
