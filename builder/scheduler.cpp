#include "builder/scheduler.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "base/error.h"

namespace mkimg::builder {
namespace {

class Run {
  public:
    Run(const std::vector<Vertex>& graph, const Cancellation& cancel, const std::function<void()>& on_failure)
        : graph_(graph), cancel_(cancel), on_failure_(on_failure), waiting_(graph.size()), dependents_(graph.size()) {
        for (std::size_t i = 0; i < graph.size(); ++i) {
            waiting_[i] = graph[i].needs.size();
            for (const std::size_t need : graph[i].needs) dependents_[need].push_back(i);
        }
        rank();
        for (std::size_t i = 0; i < graph.size(); ++i) {
            if (waiting_[i] == 0) push(i);
        }
    }

    // What each of the threads does until nothing is left.
    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            changed_.wait(lock, [&] { return finished() || !ready_.empty(); });
            if (finished()) return;
            std::pop_heap(ready_.begin(), ready_.end(), by_rank());
            const std::size_t vertex = ready_.back();
            ready_.pop_back();
            ++running_;
            lock.unlock();
            std::exception_ptr failure;
            try {
                cancel_.check();
                graph_[vertex].work();
            } catch (...) {
                failure = std::current_exception();
            }
            lock.lock();
            --running_;
            ++done_;
            if (failure && !failure_) {
                failure_ = failure;
                ready_.clear();
                if (on_failure_) on_failure_();
            }
            if (!failure_) {
                for (const std::size_t next : dependents_[vertex]) {
                    if (--waiting_[next] == 0) push(next);
                }
            }
            changed_.notify_all();
        }
    }

    void rethrow() const {
        if (failure_) std::rethrow_exception(failure_);
    }

  private:
    // The cost of the longest path from each vertex to the end, in reverse topological order.
    void rank() {
        rank_.assign(graph_.size(), 0);
        std::vector<std::size_t> open(graph_.size());
        std::vector<std::size_t> order;
        for (std::size_t i = 0; i < graph_.size(); ++i) {
            open[i] = dependents_[i].size();
            if (open[i] == 0) order.push_back(i);
        }
        for (std::size_t at = 0; at < order.size(); ++at) {
            const std::size_t vertex = order[at];
            std::uint64_t longest = 0;
            for (const std::size_t next : dependents_[vertex]) longest = std::max(longest, rank_[next]);
            rank_[vertex] = longest + graph_[vertex].cost;
            for (const std::size_t need : graph_[vertex].needs) {
                if (--open[need] == 0) order.push_back(need);
            }
        }
        if (order.size() != graph_.size()) throw Error(ErrorCode::internal, "the build graph has a cycle");
    }

    std::function<bool(std::size_t, std::size_t)> by_rank() const {
        return [this](std::size_t a, std::size_t b) { return rank_[a] != rank_[b] ? rank_[a] < rank_[b] : a > b; };
    }

    void push(std::size_t vertex) {
        ready_.push_back(vertex);
        std::push_heap(ready_.begin(), ready_.end(), by_rank());
    }

    bool finished() const { return failure_ ? running_ == 0 : done_ == graph_.size(); }

    const std::vector<Vertex>& graph_;
    const Cancellation& cancel_;
    const std::function<void()>& on_failure_;
    std::vector<std::size_t> waiting_;
    std::vector<std::vector<std::size_t>> dependents_;
    std::vector<std::uint64_t> rank_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::size_t> ready_;
    std::size_t running_ = 0;
    std::size_t done_ = 0;
    std::exception_ptr failure_;
};

}  // namespace

void run_graph(const std::vector<Vertex>& graph, unsigned jobs, const Cancellation& cancel,
               const std::function<void()>& on_failure) {
    Run run(graph, cancel, on_failure);
    std::vector<std::thread> helpers;
    for (std::size_t i = 1; i < std::min<std::size_t>(jobs, graph.size()); ++i) {
        helpers.emplace_back([&run] { run.work(); });
    }
    run.work();
    for (std::thread& helper : helpers) helper.join();
    run.rethrow();
}

}  // namespace mkimg::builder
