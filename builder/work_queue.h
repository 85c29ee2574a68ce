// Work that makes more work: walks over trees, on the calling thread and as many of a pool's
// threads as there is work for.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/thread_pool.h"

namespace mkimg::builder {

// Last in, first out, so that a walk goes deep before it goes wide and holds few descriptors. The
// calling thread works too and never waits for a pool thread that has not started: run() may be
// called on the pool itself, even when all its threads are busy.
template <typename Item>
class WorkQueue {
  public:
    explicit WorkQueue(ThreadPool& pool) : pool_(pool), state_(std::make_shared<State>()) {}

    // Any thread, also from inside `work`.
    void push(Item item) {
        bool help = false;
        {
            const std::lock_guard lock(state_->mutex);
            state_->items.push_back(std::move(item));
            help = running_ && helpers_ + 1 < pool_.size();
            if (help) ++helpers_;
        }
        state_->changed.notify_one();
        if (help) {
            pool_.submit([state = state_] {
                {
                    const std::lock_guard lock(state->mutex);
                    if (state->finished) return;
                    ++state->inside;
                }
                loop(*state);
                const std::lock_guard lock(state->mutex);
                --state->inside;
                state->changed.notify_all();
            });
        }
    }

    // Calls work(item) for each item until there is none left. The first exception ends the run
    // and is thrown here. Once per queue.
    template <typename Work>
    void run(Work work) {
        state_->work = [&work](Item& item) { work(item); };
        running_ = true;
        loop(*state_);
        std::unique_lock lock(state_->mutex);
        state_->finished = true;
        state_->changed.wait(lock, [this] { return state_->inside == 0; });
        state_->items.clear();
        // Taken out, for a helper that never started keeps the state alive.
        if (std::exception_ptr error = std::exchange(state_->error, nullptr)) std::rethrow_exception(error);
    }

  private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<Item> items;
        unsigned busy = 0;    // threads that run an item, which may push more
        unsigned inside = 0;  // pool threads in loop()
        bool finished = false;
        std::exception_ptr error;
        std::function<void(Item&)> work;
    };

    static void loop(State& state) {
        std::unique_lock lock(state.mutex);
        for (;;) {
            state.changed.wait(lock, [&] { return !state.items.empty() || state.busy == 0 || state.error; });
            if (state.items.empty() || state.error) break;
            Item item = std::move(state.items.back());
            state.items.pop_back();
            ++state.busy;
            lock.unlock();
            std::exception_ptr error;
            try {
                state.work(item);
            } catch (...) {
                error = std::current_exception();
            }
            lock.lock();
            --state.busy;
            if (error && !state.error) state.error = std::move(error);
            if (state.busy == 0 || state.error) state.changed.notify_all();
        }
    }

    ThreadPool& pool_;
    std::shared_ptr<State> state_;
    bool running_ = false;  // set before the first item runs
    unsigned helpers_ = 0;  // asked of the pool; guarded by state_->mutex
};

}  // namespace mkimg::builder
