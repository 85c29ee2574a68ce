#include "cli/transfer_meter.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace mkimg::cli {
namespace {

using registry::Transfer;

constexpr double shortest = 0.01;  // seconds: a rate over less says nothing

std::string name_of(const Transfer& transfer) {
    return transfer.digest.hex().substr(0, 12);
}

std::string per_second(double rate) {
    return human_size(static_cast<std::uint64_t>(std::llround(rate))) + "/s";
}

}  // namespace

bool TransferMeter::update(const Transfer& transfer, Clock::time_point now) {
    const bool first = !known_;
    if (first) {
        known_ = true;
        start_ = now;
        at_start_ = transfer.done;
    }
    transfer_ = transfer;
    return first;
}

double TransferMeter::rate(Clock::time_point now) const {
    const double seconds = std::chrono::duration<double>(now - start_).count();
    if (seconds < shortest || transfer_.done < at_start_) return 0;
    return static_cast<double>(transfer_.done - at_start_) / seconds;
}

std::string TransferMeter::running_line(Clock::time_point now) const {
    const char* verb = transfer_.direction == Transfer::Direction::pull ? "pulling" : "pushing";
    std::string line = fmt::format("{} {}  {} of {}", verb, name_of(transfer_), human_size(transfer_.done),
                                   human_size(transfer_.size));
    const double bytes = rate(now);
    if (bytes < 1) return line;
    const double left = static_cast<double>(transfer_.size - std::min(transfer_.size, transfer_.done)) / bytes;
    return line + fmt::format("  {}  {:.0f} s left", per_second(bytes), std::ceil(left));
}

std::string TransferMeter::ended_line(Clock::time_point now) const {
    const bool pull = transfer_.direction == Transfer::Direction::pull;
    const std::string size = human_size(transfer_.size);
    switch (transfer_.state) {
        case Transfer::State::exists:
            return fmt::format("{}  {} is {} already", name_of(transfer_), size, pull ? "here" : "there");
        case Transfer::State::mounted:
            return fmt::format("{}  {} mounted from another repository", name_of(transfer_), size);
        case Transfer::State::failed:
            return fmt::format("{} {}  {} of {}, failed", pull ? "pulling" : "pushing", name_of(transfer_),
                               human_size(transfer_.done), size);
        case Transfer::State::running:
        case Transfer::State::done: break;
    }
    const double seconds = std::chrono::duration<double>(now - start_).count();
    std::string line =
        fmt::format("{} {}  {} in {}", pull ? "pulled" : "pushed", name_of(transfer_), size, human_duration(seconds));
    const double bytes = rate(now);
    return bytes < 1 ? line : line + ", " + per_second(bytes);
}

}  // namespace mkimg::cli
