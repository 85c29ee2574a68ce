#include "builder/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "base/error.h"

namespace mkimg::builder {
namespace {

// Records the order in which vertices run.
struct Trace {
    std::mutex mutex;
    std::vector<std::size_t> order;
    void add(std::size_t vertex) {
        const std::lock_guard lock(mutex);
        order.push_back(vertex);
    }
    std::size_t position(std::size_t vertex) const {
        return static_cast<std::size_t>(std::find(order.begin(), order.end(), vertex) - order.begin());
    }
};

std::vector<Vertex> traced(const std::vector<std::vector<std::size_t>>& needs, Trace& trace) {
    std::vector<Vertex> graph;
    for (std::size_t i = 0; i < needs.size(); ++i) graph.push_back({needs[i], 1, [&trace, i] { trace.add(i); }});
    return graph;
}

TEST(Scheduler, RunsEveryVertexOnceAfterWhatItNeeds) {
    for (const unsigned jobs : {1U, 2U, 8U}) {
        Trace trace;
        const std::vector<std::vector<std::size_t>> needs = {{}, {0}, {0}, {1, 2}, {}, {3, 4}};
        const Cancellation cancel;
        run_graph(traced(needs, trace), jobs, cancel);
        ASSERT_EQ(trace.order.size(), needs.size());
        EXPECT_EQ(std::set(trace.order.begin(), trace.order.end()).size(), needs.size());
        for (std::size_t i = 0; i < needs.size(); ++i) {
            for (const std::size_t need : needs[i]) EXPECT_LT(trace.position(need), trace.position(i));
        }
    }
}

TEST(Scheduler, TakesTheLongestPathFirst) {
    Trace trace;
    // 0 alone; 1 -> 2 -> 3. With one job the chain's head goes before the lone vertex.
    const Cancellation cancel;
    run_graph(traced({{}, {}, {1}, {2}}, trace), 1, cancel);
    EXPECT_THAT(trace.order, testing::ElementsAre(1, 2, 0, 3));
}

TEST(Scheduler, RunsIndependentVerticesAtTheSameTime) {
    // Each of the two waits for the other to have begun: one after the other would never end.
    std::atomic<int> begun{0};
    const auto meet = [&] {
        ++begun;
        while (begun.load() < 2) std::this_thread::yield();
    };
    const Cancellation cancel;
    run_graph({{{}, 1, meet}, {{}, 1, meet}}, 2, cancel);
    EXPECT_EQ(begun.load(), 2);
}

TEST(Scheduler, OneJobRunsOnTheCallingThread) {
    const auto caller = std::this_thread::get_id();
    std::thread::id seen;
    const Cancellation cancel;
    run_graph({{{}, 1, [&] { seen = std::this_thread::get_id(); }}}, 1, cancel);
    EXPECT_EQ(seen, caller);
}

TEST(Scheduler, TheFirstFailureStopsTheRestAndIsThrown) {
    Trace trace;
    auto graph = traced({{}, {0}, {1}}, trace);
    graph[1].work = [] { throw Error(ErrorCode::build_failed, "step 1"); };
    const Cancellation cancel;
    int told = 0;
    try {
        run_graph(graph, 2, cancel, [&] { ++told; });
        FAIL() << "no exception";
    } catch (const Error& e) {
        EXPECT_EQ(e.message(), "step 1");
    }
    EXPECT_THAT(trace.order, testing::ElementsAre(0));
    EXPECT_EQ(told, 1);
}

TEST(Scheduler, CancellationStartsNothingMore) {
    Trace trace;
    auto graph = traced({{}, {0}}, trace);
    Cancellation cancel;
    graph[0].work = [&] { cancel.request(); };
    try {
        run_graph(graph, 1, cancel);
        FAIL() << "no exception";
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::cancelled);
    }
    EXPECT_TRUE(trace.order.empty());
}

TEST(Scheduler, ACycleIsRefused) {
    Trace trace;
    const Cancellation cancel;
    EXPECT_THROW(run_graph(traced({{1}, {0}}, trace), 1, cancel), Error);
    EXPECT_TRUE(trace.order.empty());
}

TEST(Scheduler, AnEmptyGraphIsDone) {
    const Cancellation cancel;
    run_graph({}, 4, cancel);
}

}  // namespace
}  // namespace mkimg::builder
