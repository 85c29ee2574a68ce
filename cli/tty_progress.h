// Progress on a terminal: finished steps stay, running ones are redrawn below them with their last
// line of output.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "builder/progress.h"
#include "cli/transfer_meter.h"

namespace mkimg::cli {

class TtyProgress final : public builder::Progress {
  public:
    TtyProgress();
    TtyProgress(const TtyProgress&) = delete;
    TtyProgress& operator=(const TtyProgress&) = delete;
    ~TtyProgress() override;

    void started(const builder::StepInfo& step) override;
    void output(const builder::StepInfo& step, std::span<const std::byte> bytes) override;
    void finished(const builder::StepInfo& step, builder::Outcome outcome, double seconds) override;
    void failed(const builder::StepInfo& step, double seconds) override;
    void warning(const parser::Warning& warning) override;
    void transfer(const registry::Transfer& transfer) override;
    void note(std::string_view text) override;

  private:
    struct Running {
        builder::StepInfo step;
        std::chrono::steady_clock::time_point start;
        std::string tail;  // the output's last lines
    };
    // All with the lock held.
    void erase();
    void draw();
    void above(const std::string& line);  // a line that stays
    std::string fitted(const std::string& text) const;

    void tick();  // starts the ticker

    std::mutex mutex_;
    std::map<unsigned, Running> running_;
    TransferMeters transfers_;
    unsigned drawn_ = 0;  // lines of the part that is redrawn
    std::condition_variable stop_;
    bool stopping_ = false;
    std::thread ticker_;  // moves the clocks on; started with the first step or transfer
};

}  // namespace mkimg::cli
