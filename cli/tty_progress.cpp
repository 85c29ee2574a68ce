#include "cli/tty_progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

namespace mkimg::cli {
namespace {

constexpr std::size_t tail_bytes = 4096;
constexpr std::size_t shown_lines = 3;

unsigned terminal_width() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void say(const std::string& text) {
    try {
        write_full(STDERR_FILENO, text);
    } catch (const Error&) {
        // A closed terminal is no reason to fail a build.
    }
}

std::string label(const builder::StepInfo& step) {
    return fmt::format("[{} {}/{}] {}", printable(step.stage), step.number, step.total, printable(step.text));
}

std::vector<std::string> last_lines(const std::string& tail) {
    std::vector<std::string> lines;
    for (std::string& line : split(tail, '\n')) {
        // A program that redraws its own line with \r: the newest state counts.
        if (const std::size_t cr = line.find_last_of('\r', line.size() < 2 ? 0 : line.size() - 2);
            cr != std::string::npos) {
            line.erase(0, cr + 1);
        }
        if (!trim(line).empty()) lines.push_back(printable(trim(line)));
    }
    if (lines.size() > shown_lines) lines.erase(lines.begin(), lines.end() - shown_lines);
    return lines;
}

}  // namespace

TtyProgress::TtyProgress() = default;

TtyProgress::~TtyProgress() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        erase();
    }
    stop_.notify_all();
    if (ticker_.joinable()) ticker_.join();
}

std::string TtyProgress::fitted(const std::string& text) const {
    const std::size_t width = terminal_width() - 1;
    std::string out = text;
    while (display_width(out) > width) {
        out.pop_back();
        while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0U) == 0x80U) out.pop_back();
    }
    return out;
}

void TtyProgress::erase() {
    if (drawn_ != 0) say(fmt::format("\x1b[{}A\r\x1b[J", drawn_));
    drawn_ = 0;
}

void TtyProgress::draw() {
    std::string text;
    const auto now = std::chrono::steady_clock::now();
    for (const auto& [id, running] : running_) {
        const double seconds = std::chrono::duration<double>(now - running.start).count();
        text += fitted(fmt::format(" ⠿ {:>6.1f} s {}", seconds, label(running.step))) + "\n";
        ++drawn_;
        for (const std::string& line : last_lines(running.tail)) {
            text += "\x1b[2m" + fitted("            " + line) + "\x1b[0m\n";
            ++drawn_;
        }
    }
    for (const auto& [key, meter] : transfers_) {
        text += fitted(" ⠿ " + meter.running_line(now)) + "\n";
        ++drawn_;
    }
    if (!text.empty()) say(text);
}

void TtyProgress::above(const std::string& line) {
    erase();
    say(line + "\n");
    draw();
}

void TtyProgress::started(const builder::StepInfo& step) {
    const std::lock_guard lock(mutex_);
    running_[step.id] = {step, std::chrono::steady_clock::now(), {}};
    tick();
}

void TtyProgress::tick() {
    if (ticker_.joinable()) return;
    ticker_ = std::thread([this] {
        std::unique_lock wait(mutex_);
        while (!stop_.wait_for(wait, std::chrono::milliseconds(150), [this] { return stopping_; })) {
            erase();
            draw();
        }
    });
}

void TtyProgress::output(const builder::StepInfo& step, std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    std::string& tail = running_[step.id].tail;
    tail += as_text(bytes);
    if (tail.size() > tail_bytes) tail.erase(0, tail.size() - tail_bytes);
}

void TtyProgress::finished(const builder::StepInfo& step, builder::Outcome outcome, double seconds) {
    const std::lock_guard lock(mutex_);
    running_.erase(step.id);
    if (outcome == builder::Outcome::config_only) return;
    const std::string time = outcome == builder::Outcome::cached ? "  cached" : fmt::format("{:>6.1f} s", seconds);
    above(fitted(fmt::format(" ✔ {} {}", time, label(step))));
}

void TtyProgress::failed(const builder::StepInfo& step, double seconds) {
    const std::lock_guard lock(mutex_);
    running_.erase(step.id);
    above(fitted(fmt::format(" ✘ {:>6.1f} s {}", seconds, label(step))));
}

void TtyProgress::warning(const parser::Warning& warning) {
    const std::lock_guard lock(mutex_);
    std::string place;
    if (warning.where.line != 0) place = fmt::format("{}:{}: ", printable(warning.where.file), warning.where.line);
    above(place + "warning: " + printable(warning.message) + (warning.rule.empty() ? "" : " (" + warning.rule + ")"));
}

void TtyProgress::transfer(const registry::Transfer& transfer) {
    const std::lock_guard lock(mutex_);
    const auto now = TransferMeter::Clock::now();
    const auto key = std::pair(transfer.direction, transfer.digest);
    TransferMeter& meter = transfers_[key];
    meter.update(transfer, now);
    tick();
    if (transfer.state == registry::Transfer::State::running) return;
    const std::string line = meter.ended_line(now);
    const bool failed = transfer.state == registry::Transfer::State::failed;
    transfers_.erase(key);
    above(fitted((failed ? " ✘ " : " ✔ ") + line));
}

void TtyProgress::note(std::string_view text) {
    const std::lock_guard lock(mutex_);
    above(printable(text));
}

}  // namespace mkimg::cli
