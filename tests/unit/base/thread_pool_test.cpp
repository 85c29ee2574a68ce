#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <set>
#include <stdexcept>

namespace mkimg {
namespace {

TEST(ThreadPool, ReturnsResultsAndExceptions) {
    ThreadPool pool(2);
    auto number = pool.submit([] { return 42; });
    auto failure = pool.submit([]() -> int { throw std::runtime_error("no"); });
    EXPECT_EQ(number.get(), 42);
    EXPECT_THROW(failure.get(), std::runtime_error);
}

TEST(ThreadPool, RunsSideBySideOnItsOwnThreads) {
    ThreadPool pool(3);
    // Each waits for the other two: only three threads get past this.
    std::atomic<int> arrived{0};
    std::vector<std::future<std::thread::id>> ids;
    for (int i = 0; i < 3; ++i) {
        ids.push_back(pool.submit([&] {
            ++arrived;
            while (arrived < 3) std::this_thread::yield();
            return std::this_thread::get_id();
        }));
    }
    std::set<std::thread::id> seen;
    for (auto& id : ids) seen.insert(id.get());
    EXPECT_EQ(seen.size(), 3U);
    EXPECT_FALSE(seen.contains(std::this_thread::get_id()));
}

TEST(ThreadPool, FinishesWhatIsQueuedBeforeItGoes) {
    std::atomic<int> done{0};
    {
        ThreadPool pool(2);
        for (int i = 0; i < 500; ++i) pool.submit([&] { ++done; });
    }
    EXPECT_EQ(done, 500);
}

TEST(ThreadPool, HasAtLeastOneThread) {
    ThreadPool pool(0);
    EXPECT_EQ(pool.size(), 1U);
    EXPECT_EQ(pool.submit([] { return 1; }).get(), 1);
}

TEST(UsableCpus, FollowsTheAffinity) {
    cpu_set_t before;
    ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
    EXPECT_GE(usable_cpus(), 1U);
    EXPECT_LE(usable_cpus(), static_cast<unsigned>(CPU_COUNT(&before)));
    cpu_set_t one;
    CPU_ZERO(&one);
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &before)) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(usable_cpus(), 1U);
    ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace mkimg
