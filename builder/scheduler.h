// Runs a graph of work, side by side where it may, the longest path first.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "base/cancel.h"

namespace mkimg::builder {

struct Vertex {
    std::vector<std::size_t> needs;  // positions of vertices that must be done before
    unsigned cost = 1;               // relative; decides which of several ready ones goes first
    std::function<void()> work;
};

// Runs every vertex once, at most `jobs` at the same time; the calling thread is one of them, so
// that jobs=1 starts no thread. What `work` writes is seen by the vertices that need it. After the
// first exception, or once `cancel` is requested, nothing more is started; what runs is waited for,
// and that exception (or Error(cancelled)) is thrown. `on_failure` is called once, from the thread
// that failed, so that running work can be told to end. Throws Error(internal) for a cycle.
void run_graph(const std::vector<Vertex>& graph, unsigned jobs, const Cancellation& cancel,
               const std::function<void()>& on_failure = {});

}  // namespace mkimg::builder
