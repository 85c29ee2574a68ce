#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text.h"
#include "cli/tty_progress.h"

namespace mkimg::cli {
namespace {

// Longer output lines are cut into pieces, so that a command can't make mkimg hold them.
constexpr std::size_t line_limit = 64 * 1024;

void say(const std::string& text) {
    try {
        write_full(STDERR_FILENO, text);
    } catch (const Error&) {
        // A closed terminal is no reason to fail a build.
    }
}

// What a terminal would show of a line that its program rewrote with carriage returns.
std::string_view as_shown(std::string_view line) {
    while (line.ends_with('\r')) line.remove_suffix(1);
    return line.substr(line.rfind('\r') + 1);
}

std::string heading(const builder::StepInfo& step) {
    return fmt::format("#{} [{} {}/{}] {}\n", step.id, printable(step.stage), step.number, step.total,
                       printable(step.text));
}

}  // namespace

void PlainProgress::started(const builder::StepInfo& step) {
    const std::lock_guard lock(mutex_);
    running_[step.id] = {std::chrono::steady_clock::now(), {}};
    say(heading(step));
}

void PlainProgress::output(const builder::StepInfo& step, std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    Running& running = running_[step.id];
    running.partial += as_text(bytes);
    print_lines(step, running, running.partial.size() > line_limit);
}

void PlainProgress::print_lines(const builder::StepInfo& step, Running& running, bool all) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - running.start).count();
    std::string text;
    std::string_view rest = running.partial;
    for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
        text += fmt::format("#{} {:.3f} {}\n", step.id, seconds, printable(as_shown(rest.substr(0, end))));
        rest.remove_prefix(end + 1);
    }
    if (all && !rest.empty()) {
        text += fmt::format("#{} {:.3f} {}\n", step.id, seconds, printable(as_shown(rest)));
        rest = {};
    }
    running.partial = std::string(rest);
    if (!text.empty()) say(text);
}

void PlainProgress::flush(const builder::StepInfo& step) {
    const auto found = running_.find(step.id);
    if (found == running_.end()) return;
    print_lines(step, found->second, true);
    running_.erase(found);
}

void PlainProgress::finished(const builder::StepInfo& step, builder::Outcome outcome, double seconds) {
    if (outcome == builder::Outcome::config_only) return;
    const std::lock_guard lock(mutex_);
    flush(step);
    say(outcome == builder::Outcome::cached ? fmt::format("#{} CACHED\n", step.id)
                                            : fmt::format("#{} DONE {:.2f} s\n", step.id, seconds));
}

void PlainProgress::failed(const builder::StepInfo& step, double seconds) {
    const std::lock_guard lock(mutex_);
    flush(step);
    say(fmt::format("#{} FAILED after {:.2f} s\n", step.id, seconds));
}

void PlainProgress::warning(const parser::Warning& warning) {
    const std::lock_guard lock(mutex_);
    std::string place;
    if (warning.where.line != 0) place = fmt::format("{}:{}: ", printable(warning.where.file), warning.where.line);
    const std::string rule = warning.rule.empty() ? "" : " (" + warning.rule + ")";
    say(place + "warning: " + printable(warning.message) + rule + "\n");
}

void PlainProgress::transfer(const registry::Transfer& transfer) {
    constexpr auto between_lines = std::chrono::seconds(10);
    const std::lock_guard lock(mutex_);
    const auto now = TransferMeter::Clock::now();
    const auto key = std::pair(transfer.direction, transfer.digest);
    TransferMeter& meter = transfers_[key];
    if (meter.update(transfer, now)) told_[transfer.digest] = now;
    if (transfer.state != registry::Transfer::State::running) {
        say(meter.ended_line(now) + "\n");
        transfers_.erase(key);
    } else if (now - told_[transfer.digest] >= between_lines) {
        told_[transfer.digest] = now;
        say(meter.running_line(now) + "\n");
    }
}

void PlainProgress::note(std::string_view text) {
    const std::lock_guard lock(mutex_);
    say(printable(text) + "\n");
}

std::unique_ptr<builder::Progress> make_progress(const std::string& kind, bool quiet) {
    if (kind != "auto" && kind != "tty" && kind != "plain" && kind != "quiet") {
        throw Error(ErrorCode::usage, "--progress " + kind + ": unknown kind", "use auto, tty, plain or quiet");
    }
    if (quiet || kind == "quiet") return std::make_unique<QuietProgress>();
    const bool tty = kind == "tty" || (kind == "auto" && ::isatty(STDERR_FILENO) == 1);
    if (tty) return std::make_unique<TtyProgress>();
    return std::make_unique<PlainProgress>();
}

}  // namespace mkimg::cli
