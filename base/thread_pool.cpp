#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "base/text.h"

namespace mkimg {
namespace {

std::string first_line(const char* path) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    return line;
}

// The cgroup's CPU quota in whole CPUs, rounded up; 0 where there is none.
unsigned quota_cpus() {
    std::uint64_t quota = 0;
    std::uint64_t period = 0;
    const auto v2 = split(first_line("/sys/fs/cgroup/cpu.max"), ' ');
    if (v2.size() == 2) {
        quota = parse_u64(v2[0]).value_or(0);
        period = parse_u64(v2[1]).value_or(0);
    } else {
        quota = parse_u64(first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")).value_or(0);
        period = parse_u64(first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us")).value_or(0);
    }
    return quota == 0 || period == 0 ? 0 : static_cast<unsigned>((quota + period - 1) / period);
}

}  // namespace

unsigned usable_cpus() {
    cpu_set_t set;
    unsigned cpus = 1;
    if (::sched_getaffinity(0, sizeof set, &set) == 0) cpus = static_cast<unsigned>(CPU_COUNT(&set));
    const unsigned quota = quota_cpus();
    if (quota != 0) cpus = std::min(cpus, quota);
    return std::max(1U, cpus);
}

ThreadPool::ThreadPool(unsigned threads) : size_(std::max(1U, threads)) {}

ThreadPool::~ThreadPool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::enqueue(std::function<void()> task) {
    {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
        if (threads_.size() < size_) threads_.emplace_back([this] { run(); });
    }
    changed_.notify_one();
}

void ThreadPool::run() {
    for (;;) {
        std::function<void()> task;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
            if (tasks_.empty()) return;
            task = std::move(tasks_.front());
            tasks_.pop_front();
        }
        task();
    }
}

}  // namespace mkimg
