#include "registry/backoff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace mkimg::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Retries quick(unsigned attempts) {
    return {.attempts = attempts, .delay = milliseconds(1), .most = milliseconds(2)};
}

TEST(Backoff, GivesUpAfterTheAttempts) {
    const Retries retries = quick(3);
    const Cancellation cancel;
    Backoff backoff(retries, cancel);
    EXPECT_TRUE(backoff.wait());
    EXPECT_TRUE(backoff.wait(seconds(0)));
    EXPECT_FALSE(backoff.wait());
    EXPECT_FALSE(backoff.wait(seconds(0)));
    backoff.reset();
    EXPECT_TRUE(backoff.wait());
    EXPECT_TRUE(backoff.wait());
    EXPECT_FALSE(backoff.wait());
}

TEST(Backoff, OneAttemptIsNoneMore) {
    const Retries retries = quick(1);
    const Cancellation cancel;
    EXPECT_FALSE(Backoff(retries, cancel).wait());
}

TEST(Backoff, DoublesUpToTheMost) {
    const Retries retries{.attempts = 9, .delay = milliseconds(500), .most = milliseconds(3000)};
    std::vector<milliseconds::rep> delays;
    for (unsigned tries = 1; tries <= 5; ++tries) delays.push_back(backoff_delay(retries, tries).count());
    EXPECT_THAT(delays, testing::ElementsAre(500, 1000, 2000, 3000, 3000));
    EXPECT_EQ(backoff_delay(retries, 4'000'000'000).count(), 3000);
    EXPECT_EQ(backoff_delay({.attempts = 2, .delay = milliseconds(500), .most = milliseconds(100)}, 1).count(), 100);
    EXPECT_EQ(backoff_delay({.attempts = 2, .delay = milliseconds(0), .most = milliseconds(100)}, 7).count(), 0);
}

TEST(Backoff, WaitsForNoServerThatAsksForTooMuch) {
    const Retries retries = quick(9);
    const Cancellation cancel;
    Backoff backoff(retries, cancel);
    EXPECT_FALSE(backoff.wait(seconds(1)));
    EXPECT_TRUE(backoff.wait());  // that was no try
}

TEST(Backoff, IsCancelled) {
    const Retries retries{.attempts = 2, .delay = seconds(3600), .most = seconds(3600)};
    Cancellation cancel;
    Backoff backoff(retries, cancel);
    std::thread canceller([&] { cancel.request(); });
    EXPECT_THROW(backoff.wait(), Error);
    EXPECT_THROW(backoff.wait(seconds(3600)), Error);
    canceller.join();
}

TEST(RetryAfter, Seconds) {
    EXPECT_EQ(parse_retry_after("120"), seconds(120));  // RFC 7231 section 7.1.3
    EXPECT_EQ(parse_retry_after(" 0 "), seconds(0));
    const auto huge = parse_retry_after("99999999999999999999999999");
    ASSERT_TRUE(huge);
    EXPECT_GT(*huge, seconds(1'000'000'000));
    EXPECT_GT(std::chrono::duration_cast<milliseconds>(*huge), *huge - seconds(1));  // no overflow
}

TEST(RetryAfter, Dates) {
    // The example of RFC 7231 section 7.1.3, long past, and its forms in section 7.1.1.1.
    EXPECT_EQ(parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), seconds(0));
    EXPECT_EQ(parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT"), seconds(0));
    EXPECT_EQ(parse_retry_after("Sun Nov  6 08:49:37 1994"), seconds(0));
    const std::time_t soon = std::time(nullptr) + 3600;
    char text[64];
    std::tm utc{};
    ::gmtime_r(&soon, &utc);
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    const auto wait = parse_retry_after(text);
    ASSERT_TRUE(wait);
    EXPECT_LE(*wait, seconds(3600));
    EXPECT_GT(*wait, seconds(1800));
}

TEST(RetryAfter, NeitherIsNothing) {
    for (const char* const text : {"", "-1", "1.5", "soon", "12 s", "Fri, 31 Dec 1999",
                                   "Fri, 31 Dec 1999 23:59:59 GMT x", "1999-12-31T23:59:59Z", "+5", "0x10"}) {
        EXPECT_EQ(parse_retry_after(text), std::nullopt) << text;
    }
}

TEST(TemporaryStatus, IsWhatMayPass) {
    for (const int status : {408, 429, 500, 502, 503, 504}) EXPECT_TRUE(is_temporary_status(status)) << status;
    for (const int status : {200, 307, 400, 401, 403, 404, 405, 409, 413, 416, 501, 505}) {
        EXPECT_FALSE(is_temporary_status(status)) << status;
    }
}

}  // namespace
}  // namespace mkimg::registry
