#include "layers/threaded_hash.h"

namespace mkimg::layers {
namespace {

constexpr std::uint64_t inline_bytes = 4U << 20U;
constexpr std::size_t block_size = 1U << 20U;
constexpr std::size_t max_full = 4;

}  // namespace

ThreadedHash::~ThreadedHash() {
    join();
}

void ThreadedHash::write(std::span<const std::byte> bytes) {
    size_ += bytes.size();
    if (next_ != nullptr) next_->write(bytes);
    if (!thread_.joinable()) {
        hash_.update(bytes);
        if (threads_ && size_ > inline_bytes) thread_ = std::thread([this] { run(); });
        return;
    }
    while (!bytes.empty()) {
        const std::size_t n = std::min(bytes.size(), block_size - filling_.size());
        filling_.insert(filling_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
        bytes = bytes.subspan(n);
        if (filling_.size() == block_size) hand_over();
    }
}

void ThreadedHash::hand_over() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return full_.size() < max_full || failure_; });
    if (failure_) std::rethrow_exception(failure_);
    full_.push_back(std::move(filling_));
    filling_ = Block();
    if (!spare_.empty()) {
        filling_ = std::move(spare_.back());
        spare_.pop_back();
    }
    lock.unlock();
    changed_.notify_all();
    filling_.clear();
    filling_.reserve(block_size);
}

void ThreadedHash::join() {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void ThreadedHash::run() noexcept {
    try {
        for (;;) {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return ended_ || !full_.empty(); });
            if (full_.empty()) return;
            Block block = std::move(full_.front());
            full_.pop_front();
            lock.unlock();
            changed_.notify_all();
            hash_.update(block);
            lock.lock();
            spare_.push_back(std::move(block));
        }
    } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
    }
}

void ThreadedHash::finish() {
    if (thread_.joinable() && !filling_.empty()) hand_over();
    join();
    if (failure_) std::rethrow_exception(failure_);
    digest_ = hash_.finish();
}

}  // namespace mkimg::layers
