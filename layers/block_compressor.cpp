#include "layers/block_compressor.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <utility>

namespace mkimg::layers {

// One block on its way. The pool's task and the writer share it; the task may come to it when all
// is long done.
class BlockCompressor::Job {
  public:
    explicit Job(Slot slot) : slot_(std::move(slot)) {}

    // Only the first caller does the work.
    void run() noexcept {
        {
            const std::lock_guard lock(mutex_);
            if (stage_ != Stage::queued) return;
            stage_ = Stage::running;
        }
        try {
            frame_ = slot_.codec->compress(slot_.input);
        } catch (...) {
            failure_ = std::current_exception();
        }
        const std::lock_guard lock(mutex_);
        stage_ = Stage::done;
        changed_.notify_all();
    }

    // Does the work itself where no thread has come to it yet: so a writer that is itself a task of
    // the pool never waits for a thread that it holds, and no core idles behind a full queue.
    std::span<const std::byte> wait() {
        run();
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stage_ == Stage::done; });
        if (failure_) std::rethrow_exception(failure_);
        return frame_;
    }

    // Nobody will wait for it: it is not begun.
    void give_up() {
        const std::lock_guard lock(mutex_);
        if (stage_ == Stage::queued) stage_ = Stage::done;
    }

    // After wait(): nobody touches it any more.
    Slot take_slot() { return std::move(slot_); }

  private:
    enum class Stage { queued, running, done };

    Slot slot_;
    std::span<const std::byte> frame_;
    std::exception_ptr failure_;
    std::mutex mutex_;
    std::condition_variable changed_;
    Stage stage_ = Stage::queued;
};

BlockCompressor::BlockCompressor(Sink& out, std::unique_ptr<BlockFormat> format, ThreadPool& pool)
    : out_(out), format_(std::move(format)), pool_(pool), most_jobs_(pool.size() + 2) {}

// Jobs own what they work on: one that runs ends without us.
BlockCompressor::~BlockCompressor() {
    for (const auto& job : running_) job->give_up();
}

void BlockCompressor::write(std::span<const std::byte> bytes) {
    const std::size_t block_size = format_->block_size();
    while (!bytes.empty()) {
        if (!filling_) filling_ = take_slot();
        std::vector<std::byte>& input = filling_->input;
        const auto part = bytes.first(std::min(bytes.size(), block_size - input.size()));
        input.insert(input.end(), part.begin(), part.end());
        bytes = bytes.subspan(part.size());
        if (input.size() == block_size) submit();
    }
}

void BlockCompressor::finish() {
    if (!any_ && !filling_) filling_ = take_slot();
    if (filling_) submit();
    while (!running_.empty()) write_oldest();
    out_.finish();
}

BlockCompressor::Slot BlockCompressor::take_slot() {
    if (running_.size() == most_jobs_) write_oldest();
    Slot slot;
    if (spare_.empty()) {
        slot.codec = format_->make_codec();
        slot.input.reserve(format_->block_size());
    } else {
        slot = std::move(spare_.back());
        spare_.pop_back();
    }
    return slot;
}

void BlockCompressor::submit() {
    any_ = true;
    running_.push_back(std::make_shared<Job>(std::move(*filling_)));
    filling_.reset();
    pool_.submit([job = running_.back()] { job->run(); });
}

void BlockCompressor::write_oldest() {
    const std::shared_ptr<Job> job = std::move(running_.front());
    running_.pop_front();
    out_.write(job->wait());
    spare_.push_back(job->take_slot());
    spare_.back().input.clear();
}

}  // namespace mkimg::layers
