#include "base/stream.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace mkimg {

std::size_t FdSource::read(std::span<std::byte> buffer) {
    for (;;) {
        const ssize_t n = ::read(fd_, buffer.data(), buffer.size());
        if (n >= 0) return static_cast<std::size_t>(n);
        if (errno != EINTR) throw_errno("read");
    }
}

void FdSink::write(std::span<const std::byte> bytes) {
    write_full(fd_, bytes);
}

std::size_t MemorySource::read(std::span<std::byte> buffer) {
    const std::size_t n = std::min(buffer.size(), bytes_.size());
    if (n != 0) std::memcpy(buffer.data(), bytes_.data(), n);
    bytes_ = bytes_.subspan(n);
    return n;
}

void HashingSink::write(std::span<const std::byte> bytes) {
    hash_.update(bytes);
    size_ += bytes.size();
    if (next_ != nullptr) next_->write(bytes);
}

void HashingSink::finish() {
    digest_ = hash_.finish();
    if (next_ != nullptr) next_->finish();
}

std::size_t HashingSource::read(std::span<std::byte> buffer) {
    const std::size_t n = inner_.read(buffer);
    hash_.update(buffer.first(n));
    size_ += n;
    return n;
}

std::size_t LimitedSource::read(std::span<std::byte> buffer) {
    const std::size_t n = inner_.read(buffer);
    if (n > left_) throw Error(ErrorCode::corrupt, what_ + " is larger than allowed");
    left_ -= n;
    return n;
}

std::size_t read_full(Source& source, std::span<std::byte> buffer) {
    std::size_t done = 0;
    while (done < buffer.size()) {
        const std::size_t n = source.read(buffer.subspan(done));
        if (n == 0) break;
        done += n;
    }
    return done;
}

std::uint64_t copy(Source& source, Sink& sink) {
    std::vector<std::byte> buffer(256 * 1024);
    std::uint64_t total = 0;
    for (;;) {
        const std::size_t n = source.read(buffer);
        if (n == 0) return total;
        sink.write(std::span(buffer).first(n));
        total += n;
    }
}

}  // namespace mkimg
