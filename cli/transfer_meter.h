// A running transfer in words: bytes, rate, time left.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "registry/transfer.h"

namespace mkimg::cli {

class TransferMeter {
  public:
    using Clock = std::chrono::steady_clock;

    // Takes in what a transfer tells of itself. True when it is the first thing heard of it.
    bool update(const registry::Transfer& transfer, Clock::time_point now);
    // "pulling 3f5a1b2c4d6e  12.3 MiB of 48.1 MiB  8.2 MiB/s  4 s left".
    std::string running_line(Clock::time_point now) const;
    // "pulled 3f5a1b2c4d6e  48.1 MiB in 5.87 s, 8.2 MiB/s"; "… is there already", "… mounted", "… failed".
    std::string ended_line(Clock::time_point now) const;
    const registry::Transfer& transfer() const noexcept { return transfer_; }

  private:
    double rate(Clock::time_point now) const;  // bytes a second

    registry::Transfer transfer_{registry::Transfer::Direction::pull, oci::Digest(Sha256Bytes{}), 0, 0, {}};
    Clock::time_point start_;
    std::uint64_t at_start_ = 0;  // bytes that an earlier try had brought
    bool known_ = false;
};

// All that run, by direction and digest.
using TransferMeters = std::map<std::pair<registry::Transfer::Direction, oci::Digest>, TransferMeter>;

}  // namespace mkimg::cli
