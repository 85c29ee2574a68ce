#include "cli/password.h"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.h"
#include "base/fd.h"

namespace mkimg::cli {
namespace {

// While it lives, the terminal at stdin shows nothing of what is typed. Signals that would end or stop mkimg
// without a chance to undo that can't be typed meanwhile; SIGINT can, and cancels.
class HiddenInput {
  public:
    HiddenInput() {
        if (::tcgetattr(STDIN_FILENO, &before_) != 0) throw_errno("read the settings of", "the terminal");
        termios hidden = before_;
        hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        hidden.c_cc[VQUIT] = _POSIX_VDISABLE;
        hidden.c_cc[VSUSP] = _POSIX_VDISABLE;
        if (::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) != 0) throw_errno("hide what is typed on", "the terminal");
    }
    HiddenInput(const HiddenInput&) = delete;
    HiddenInput& operator=(const HiddenInput&) = delete;
    ~HiddenInput() {
        ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
        constexpr char line_end = '\n';  // the one that was typed was not shown
        if (::write(STDERR_FILENO, &line_end, 1) != 1) errno = 0;
    }

  private:
    termios before_{};
};

std::string read_line(const Cancellation& cancel) {
    std::string line;
    for (;;) {
        std::array<pollfd, 2> files{{{STDIN_FILENO, POLLIN, 0}, {cancel.event_fd(), POLLIN, 0}}};
        if (::poll(files.data(), files.size(), -1) < 0 && errno != EINTR) throw_errno("wait for", "the terminal");
        cancel.check();
        if (files[0].revents == 0) continue;
        char c = 0;
        const ssize_t count = ::read(STDIN_FILENO, &c, 1);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) throw_errno("read", "the terminal");
        if (count == 0 || c == '\n') return line;
        line += c;
    }
}

}  // namespace

std::string ask(std::string_view prompt, Echo echo, const Cancellation& cancel) {
    if (::isatty(STDIN_FILENO) != 1) {
        throw Error(ErrorCode::usage, "there is no terminal to ask for a user name and password on",
                    "give -u USER and --password-stdin, with the password on stdin");
    }
    if (echo == Echo::on) {
        write_full(STDERR_FILENO, prompt);
        return read_line(cancel);
    }
    const HiddenInput hidden;
    write_full(STDERR_FILENO, prompt);
    return read_line(cancel);
}

std::string read_password() {
    constexpr std::uint64_t longest = 64U << 10U;
    std::string text = read_all(STDIN_FILENO, longest, "the password");
    if (text.ends_with('\n')) text.pop_back();
    if (text.ends_with('\r')) text.pop_back();
    return text;
}

}  // namespace mkimg::cli
