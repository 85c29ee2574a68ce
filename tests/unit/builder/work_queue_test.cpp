#include "builder/work_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

namespace mkimg::builder {
namespace {

// Each item n makes n-1 twice: 2^n - 1 items in all.
unsigned run_tree(ThreadPool& pool, unsigned depth) {
    WorkQueue<unsigned> queue(pool);
    std::atomic<unsigned> count = 0;
    queue.push(depth);
    queue.run([&](unsigned& n) {
        ++count;
        if (n > 1) {
            queue.push(n - 1);
            queue.push(n - 1);
        }
    });
    return count;
}

TEST(WorkQueueTest, RunsEverythingOnce) {
    for (unsigned threads = 1; threads <= 4; ++threads) {
        ThreadPool pool(threads);
        EXPECT_EQ(run_tree(pool, 12), 4095U);
        EXPECT_EQ(run_tree(pool, 1), 1U);
    }
}

TEST(WorkQueueTest, AnEmptyQueueReturns) {
    ThreadPool pool(2);
    WorkQueue<int> queue(pool);
    queue.run([](int&) { FAIL(); });
}

TEST(WorkQueueTest, WorksFromThePoolWhenAllItsThreadsAreBusy) {
    ThreadPool pool(2);
    std::vector<std::future<unsigned>> results;
    for (int i = 0; i < 8; ++i) results.push_back(pool.submit([&] { return run_tree(pool, 8); }));
    for (auto& result : results) EXPECT_EQ(result.get(), 255U);
}

TEST(WorkQueueTest, TheFirstErrorEndsTheRun) {
    for (unsigned threads = 1; threads <= 3; ++threads) {
        ThreadPool pool(threads);
        WorkQueue<int> queue(pool);
        std::atomic<int> after = 0;
        for (int i = 0; i < 1000; ++i) queue.push(i);
        EXPECT_THROW(queue.run([&](int& i) {
            if (i == 999) throw std::runtime_error("stop");
            ++after;
        }),
                     std::runtime_error);
        EXPECT_LT(after, 1000);
    }
}

}  // namespace
}  // namespace mkimg::builder
