#include "base/read_ahead.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mkimg {
namespace {

constexpr std::size_t piece_size = 256 * 1024;
constexpr std::size_t most_pieces = 8;

}  // namespace

ReadAhead::ReadAhead(Source& inner) : inner_(inner), spare_(most_pieces), thread_([this] { run(); }) {}

ReadAhead::~ReadAhead() {
    {
        const std::lock_guard lock(mutex_);
        abandoned_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

std::size_t ReadAhead::read(std::span<std::byte> buffer) {
    if (buffer.empty()) return 0;
    if (used_ == current_.size) {
        std::unique_lock lock(mutex_);
        if (!current_.room.empty()) spare_.push_back(std::exchange(current_, {}));
        used_ = 0;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !ready_.empty() || finished_; });
        if (ready_.empty()) {
            if (failure_) std::rethrow_exception(failure_);
            return 0;
        }
        current_ = std::move(ready_.front());
        ready_.pop_front();
    }
    const std::size_t n = std::min(buffer.size(), current_.size - used_);
    std::memcpy(buffer.data(), current_.room.data() + used_, n);
    used_ += n;
    return n;
}

void ReadAhead::run() {
    std::exception_ptr failure;
    try {
        for (Piece piece; take_spare(piece);) {
            piece.room.resize(piece_size);
            piece.size = inner_.read(piece.room);
            if (piece.size == 0) break;
            const std::lock_guard lock(mutex_);
            ready_.push_back(std::move(piece));
            changed_.notify_all();
        }
    } catch (...) {
        failure = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    finished_ = true;
    failure_ = std::move(failure);
    changed_.notify_all();
}

bool ReadAhead::take_spare(Piece& piece) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !spare_.empty() || abandoned_; });
    if (abandoned_) return false;
    piece = std::move(spare_.back());
    spare_.pop_back();
    return true;
}

}  // namespace mkimg
