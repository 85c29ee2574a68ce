#include "cli/signals.h"

#include <atomic>
#include <csignal>

namespace mkimg::cli {
namespace {

std::atomic<Cancellation*> target{nullptr};

extern "C" void on_signal(int) {
    if (Cancellation* cancellation = target.load()) cancellation->request();
}

}  // namespace

CancelOnSignal::CancelOnSignal(Cancellation& cancellation) {
    target.store(&cancellation);
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

CancelOnSignal::~CancelOnSignal() {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    target.store(nullptr);
}

}  // namespace mkimg::cli
