// Waiting between tries.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/cancel.h"
#include "registry/registry_config.h"

namespace mkimg::registry {

class Backoff {
  public:
    // Both borrowed.
    Backoff(const Retries& retries, const Cancellation& cancel);

    // Waits before another try: twice as long as the last time, between half of it and all of it by chance,
    // or as long as the server asked for. False, at once, where the tries are used up or the server asks for
    // more than Retries::most. Throws Error(cancelled).
    bool wait(std::optional<std::chrono::seconds> retry_after = std::nullopt);
    // Progress was made: tries count from the start again.
    void reset() noexcept { tries_ = 1; }

  private:
    const Retries& retries_;
    const Cancellation& cancel_;
    unsigned tries_ = 1;
};

// The longest that is waited after so many tries: the delay, doubled each time, up to the most.
std::chrono::milliseconds backoff_delay(const Retries& retries, unsigned tries);

// Retry-After as seconds or as an HTTP date (RFC 7231 section 7.1.3); nothing for what is neither.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value);

// 408, 429 and the 5xx that pass: 500, 502, 503, 504.
bool is_temporary_status(int status);

}  // namespace mkimg::registry
