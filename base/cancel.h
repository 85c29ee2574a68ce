// Cancellation: set once by a signal handler or another thread, looked at where work can stop.
#pragma once

#include <atomic>

#include "base/fd.h"

namespace mkimg {

class Cancellation {
  public:
    Cancellation();
    Cancellation(const Cancellation&) = delete;
    Cancellation& operator=(const Cancellation&) = delete;

    // Async-signal-safe.
    void request() noexcept;
    bool requested() const noexcept { return requested_.load(std::memory_order_relaxed); }
    // Throws Error(cancelled) once requested.
    void check() const;
    // Readable once requested; for poll(2).
    int event_fd() const noexcept { return event_.get(); }

  private:
    std::atomic<bool> requested_{false};
    UniqueFd event_;
};

}  // namespace mkimg
