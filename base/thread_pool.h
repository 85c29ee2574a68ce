// A fixed pool of worker threads and their queue.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

namespace mkimg {

// CPUs that this process may use: affinity, then the cgroup's quota (v1 and v2), at least 1.
unsigned usable_cpus();

// Threads start with the first task, so that a pool that is never used costs nothing. The
// destructor runs what is queued and joins.
class ThreadPool {
  public:
    explicit ThreadPool(unsigned threads = usable_cpus());
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;
    ~ThreadPool();

    unsigned size() const noexcept { return size_; }

    // Runs `work` on some thread; its result or exception comes through the future.
    template <typename Work>
    auto submit(Work work) -> std::future<decltype(work())> {
        auto task = std::make_shared<std::packaged_task<decltype(work())()>>(std::move(work));
        auto result = task->get_future();
        enqueue([task] { (*task)(); });
        return result;
    }

  private:
    void enqueue(std::function<void()> task);
    void run();

    const unsigned size_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> tasks_;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

// The results in order, once all have ended: they may use what is the caller's. Of several failures the first is
// thrown.
template <typename Result>
std::vector<Result> join_all(std::vector<std::future<Result>>& running) {
    std::vector<Result> results;
    std::exception_ptr failure;
    for (auto& one : running) {
        try {
            results.push_back(one.get());
        } catch (...) {
            if (!failure) failure = std::current_exception();
        }
    }
    running.clear();
    if (failure) std::rethrow_exception(failure);
    return results;
}

}  // namespace mkimg
