#include "base/cancel.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/error.h"

namespace mkimg {

Cancellation::Cancellation() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (!event_) throw_errno("make an event descriptor");
}

void Cancellation::request() noexcept {
    const int saved = errno;
    requested_.store(true, std::memory_order_relaxed);
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(event_.get(), &one, sizeof one);
    errno = saved;
}

void Cancellation::check() const {
    if (requested()) throw Error(ErrorCode::cancelled, "cancelled");
}

}  // namespace mkimg
