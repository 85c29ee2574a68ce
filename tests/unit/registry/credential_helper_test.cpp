#include "registry/credential_helper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "base/error.h"
#include "tests/unit/registry/fake_helpers.h"

namespace mkimg::registry {
namespace {

using testing::HasSubstr;
using testing::Not;

template <typename Work>
Error failure_of(Work work) {
    try {
        work();
    } catch (const Error& error) {
        return error;
    }
    ADD_FAILURE() << "no Error";
    return {ErrorCode::internal, ""};
}

TEST(CredentialHelper, GetsAUserAndPassword) {
    const FakeHelpers helpers;
    helpers.add("fake", R"(echo '{"ServerURL":"reg.example","Username":"alice","Secret":"pa:ss\"w"}')");
    const auto credential = CredentialHelper("fake").get("reg.example");
    ASSERT_TRUE(credential);
    EXPECT_EQ(credential->username, "alice");
    EXPECT_EQ(credential->password, "pa:ss\"w");
    EXPECT_EQ(credential->identity_token, "");
    EXPECT_EQ(helpers.log("fake"), "get reg.example\n");
}

TEST(CredentialHelper, TheUserTokenMeansAnIdentityToken) {
    const FakeHelpers helpers;
    helpers.add("fake", R"(echo '{"ServerURL":"reg.example","Username":"<token>","Secret":"refresh"}')");
    const auto credential = CredentialHelper("fake").get("reg.example");
    ASSERT_TRUE(credential);
    EXPECT_EQ(credential->username, "");
    EXPECT_EQ(credential->password, "");
    EXPECT_EQ(credential->identity_token, "refresh");
}

TEST(CredentialHelper, HavingNothingIsNoError) {
    const FakeHelpers helpers;
    helpers.add("fake", "echo 'credentials not found in native keychain'; exit 1");
    helpers.add("stderr", "echo 'credentials not found in native keychain' >&2; exit 1");
    helpers.add("empty", R"(echo '{"ServerURL":"","Username":"","Secret":""}')");
    EXPECT_EQ(CredentialHelper("fake").get("reg.example"), std::nullopt);
    EXPECT_EQ(CredentialHelper("stderr").get("reg.example"), std::nullopt);
    EXPECT_EQ(CredentialHelper("empty").get("reg.example"), std::nullopt);
    EXPECT_NO_THROW(CredentialHelper("fake").erase("reg.example"));
}

TEST(CredentialHelper, StoresAndErases) {
    const FakeHelpers helpers;
    helpers.add("fake", "");
    CredentialHelper("fake").store("reg.example", {.username = "alice", .password = "pa\"ss"});
    CredentialHelper("fake").store("reg.example", {.identity_token = "refresh"});
    CredentialHelper("fake").erase("reg.example");
    EXPECT_EQ(helpers.log("fake"), R"(store {"Secret":"pa\"ss","ServerURL":"reg.example","Username":"alice"}
store {"Secret":"refresh","ServerURL":"reg.example","Username":"<token>"}
erase reg.example
)");
}

TEST(CredentialHelper, SaysWhatTheHelperSaid) {
    const FakeHelpers helpers;
    helpers.add("out", "printf 'the store is locked\\nmore\\n'; echo other >&2; exit 1");
    helpers.add("err", "printf 'no\\033[2Jstore' >&2; exit 3");
    helpers.add("mute", "exit 4");
    helpers.add("dead", "kill -9 $$");
    const auto message = [](const char* name) {
        const Error error = failure_of([&] { CredentialHelper(name).get("reg.example"); });
        EXPECT_EQ(error.code(), ErrorCode::denied);
        return error.message();
    };
    EXPECT_EQ(message("out"), "the credential helper docker-credential-out get failed: the store is locked");
    EXPECT_EQ(message("err"), "the credential helper docker-credential-err get failed: no\\x1b[2Jstore");
    EXPECT_EQ(message("mute"), "the credential helper docker-credential-mute get failed: exit status 4");
    EXPECT_EQ(message("dead"), "the credential helper docker-credential-dead get failed: killed by signal 9");
}

TEST(CredentialHelper, NeverShowsASecret) {
    const FakeHelpers helpers;
    helpers.add("json", R"(echo '{"Username":"alice","Secret":"hunter2"}'; exit 1)");
    helpers.add("half", R"(echo '{"Username":"alice","Secret":"hunter2"')");
    helpers.add("other", R"(echo '{"Username":["hunter2"],"Secret":"hunter2"}')");
    helpers.add("list", R"(echo '["hunter2"]')");
    helpers.add("plain", "echo 'hunter2'");
    helpers.add("echoes", "echo 'can not store hunter2'; exit 1");
    for (const char* name : {"json", "half", "other", "list", "plain"}) {
        const Error error = failure_of([&] { CredentialHelper(name).get("reg.example"); });
        EXPECT_EQ(error.code(), ErrorCode::denied);
        EXPECT_THAT(render(error), Not(HasSubstr("hunter2")));
        EXPECT_THAT(render(error), HasSubstr("docker-credential-"));
    }
    const Error error = failure_of(
        [] { CredentialHelper("echoes").store("reg.example", {.username = "alice", .password = "hunter2"}); });
    EXPECT_THAT(render(error), Not(HasSubstr("hunter2")));
    EXPECT_THAT(error.message(), HasSubstr("exit status 1"));
    EXPECT_EQ(failure_of([] {
                  CredentialHelper("echoes").store("r", {.username = "alice", .password = "hunter2\xff"});
              }).code(),
              ErrorCode::usage);
}

TEST(CredentialHelper, AMissingProgramIsTheHostsFault) {
    const Error error = failure_of([] { CredentialHelper("no-such-helper").get("reg.example"); });
    EXPECT_EQ(error.code(), ErrorCode::host);
    EXPECT_THAT(error.message(), HasSubstr("docker-credential-no-such-helper"));
}

TEST(CredentialHelper, NamesAreChecked) {
    for (const char* name : {"", "../x", "a/b", "a b", "a;b", "$(a)", "a\n"}) {
        EXPECT_EQ(failure_of([&] { CredentialHelper helper(name); }).code(), ErrorCode::usage) << name;
    }
    EXPECT_EQ(CredentialHelper("ecr-login_2.0").program(), "docker-credential-ecr-login_2.0");
}

TEST(CredentialHelper, ASlowOneIsKilled) {
    const FakeHelpers helpers;
    helpers.add("slow", "echo $$ > '" + helpers.dir.path("pid") + "'; exec sleep 1000");
    const Error error = failure_of([] { CredentialHelper("slow", std::chrono::milliseconds(500)).get("reg.example"); });
    EXPECT_EQ(error.code(), ErrorCode::denied);
    EXPECT_THAT(error.message(), HasSubstr("did not answer within"));
    EXPECT_EQ(::kill(std::stoi(helpers.dir.read("pid")), 0), -1);
}

TEST(CredentialHelper, WhoeverItLeavesBehindIsNotWaitedFor) {
    const FakeHelpers helpers;
    helpers.add("daemon", "sleep 1000 & echo $! > '" + helpers.dir.path("pid") +
                              R"('; echo '{"ServerURL":"r","Username":"a","Secret":"b"}')");
    const auto credential = CredentialHelper("daemon").get("r");
    EXPECT_EQ(::kill(std::stoi(helpers.dir.read("pid")), SIGKILL), 0) << "it has ended, and proves nothing";
    ASSERT_TRUE(credential);
    EXPECT_EQ(credential->password, "b");
}

TEST(CredentialHelper, EndlessOutputIsRefused) {
    const FakeHelpers helpers;
    helpers.add("endless", "exec yes");
    helpers.add("noisy", "exec yes >&2");
    for (const char* name : {"endless", "noisy"}) {
        const Error error = failure_of([&] { CredentialHelper(name).get("reg.example"); });
        EXPECT_THAT(error.message(), HasSubstr("wrote more than 1.0 MiB")) << name;
    }
}

TEST(CredentialHelper, NeedNotReadItsInputNorKeepItsOutput) {
    const FakeHelpers helpers;
    helpers.dir.write("docker-credential-deaf", "#!/bin/sh\nexec >&- 2>&-\nsleep 0.1\nexit 0\n", 0755);
    EXPECT_NO_THROW(CredentialHelper("deaf").store("reg.example", {.username = "a", .password = "b"}));
}

// mkimg ignores SIGPIPE; a program started by it must die of it like any other.
TEST(CredentialHelper, HasTheUsualSignals) {
    const FakeHelpers helpers;
    helpers.add("signals", R"(grep -E '^Sig(Blk|Ign)' /proc/self/status >&2; exit 1)");
    const auto before = std::signal(SIGPIPE, SIG_IGN);
    const Error error = failure_of([] { CredentialHelper("signals").get("r"); });
    std::signal(SIGPIPE, before);
    EXPECT_THAT(error.message(), HasSubstr("SigBlk:"));
    helpers.add("ignored", R"(grep '^SigIgn' /proc/self/status | grep -q '1...$' && echo ignored; exit 1)");
    std::signal(SIGPIPE, SIG_IGN);
    const Error other = failure_of([] { CredentialHelper("ignored").get("r"); });
    std::signal(SIGPIPE, before);
    EXPECT_THAT(other.message(), HasSubstr("exit status 1"));
}

}  // namespace
}  // namespace mkimg::registry
