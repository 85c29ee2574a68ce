#include "registry/backoff.h"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>
#include <string>

#include "base/error.h"
#include "base/text.h"

namespace mkimg::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Between half of `longest` and all of it, so that many builds that failed together don't come back together.
milliseconds jittered(milliseconds longest) {
    thread_local std::minstd_rand random{std::random_device{}()};
    std::uniform_int_distribution<milliseconds::rep> between(longest.count() / 2, longest.count());
    return milliseconds(between(random));
}

void sleep(milliseconds duration, const Cancellation& cancel) {
    const auto end = std::chrono::steady_clock::now() + duration;
    for (;;) {
        cancel.check();
        const auto left = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
        if (left <= milliseconds(0)) return;
        pollfd cancelled{cancel.event_fd(), POLLIN, 0};
        const int timeout = static_cast<int>(std::min<milliseconds::rep>(left.count(), 60'000));
        if (::poll(&cancelled, 1, timeout) < 0 && errno != EINTR) throw_errno("wait");
    }
}

// The three forms of RFC 7231 section 7.1.1.1.
std::optional<std::int64_t> parse_http_date(const std::string& text) {
    constexpr std::array forms{"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};
    for (const char* const form : forms) {
        std::tm utc{};
        const char* const end = ::strptime(text.c_str(), form, &utc);
        if (end != nullptr && *end == '\0') return ::timegm(&utc);
    }
    return std::nullopt;
}

}  // namespace

milliseconds backoff_delay(const Retries& retries, unsigned tries) {
    milliseconds delay = std::min(retries.delay, retries.most);
    for (unsigned i = 1; i < tries && delay < retries.most; ++i) delay = std::min(delay * 2, retries.most);
    return delay;
}

Backoff::Backoff(const Retries& retries, const Cancellation& cancel) : retries_(retries), cancel_(cancel) {}

bool Backoff::wait(std::optional<seconds> retry_after) {
    cancel_.check();
    if (tries_ >= retries_.attempts) return false;
    if (retry_after && *retry_after > retries_.most) return false;
    sleep(retry_after ? milliseconds(*retry_after) : jittered(backoff_delay(retries_, tries_)), cancel_);
    ++tries_;
    return true;
}

std::optional<seconds> parse_retry_after(std::string_view value) {
    const std::string_view text = trim(value);
    constexpr std::int64_t longest = 100LL * 365 * 24 * 3600;  // more is the same: nobody waits for it
    const bool number = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
    if (number) {
        const auto count = parse_u64(text).value_or(longest);
        return seconds(std::min<std::uint64_t>(count, longest));
    }
    const auto date = parse_http_date(std::string(text));
    if (!date) return std::nullopt;
    return seconds(std::clamp<std::int64_t>(*date - ::time(nullptr), 0, longest));
}

bool is_temporary_status(int status) {
    constexpr std::array temporary{408, 429, 500, 502, 503, 504};
    return std::find(temporary.begin(), temporary.end(), status) != temporary.end();
}

}  // namespace mkimg::registry
