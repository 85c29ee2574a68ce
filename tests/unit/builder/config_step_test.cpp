#include "builder/config_step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "builder/config_values.h"

namespace mkimg::builder {
namespace {

using parser::Form;
using parser::Instruction;
using parser::Keyword;
using testing::ElementsAre;

class ConfigStep : public testing::Test {
  protected:
    void apply(const Instruction& line) { apply_config_step(line, state_, {'\\', args_, globals_, predefined_}); }

    static Instruction line(Keyword keyword, std::vector<std::string> arguments, Form form = Form::none) {
        Instruction out;
        out.keyword = keyword;
        out.arguments = std::move(arguments);
        out.form = form;
        return out;
    }
    static Instruction pairs(Keyword keyword, std::vector<parser::Pair> pairs) {
        Instruction out;
        out.keyword = keyword;
        out.pairs = std::move(pairs);
        return out;
    }

    BuildRequest request_;
    BuildArgs args_{request_};
    ArgScope globals_;
    std::map<std::string, std::string, std::less<>> predefined_{{"TARGETARCH", "amd64"}};
    StageState state_;
};

TEST_F(ConfigStep, EnvKeepsItsOrderAndReplacesInPlace) {
    apply(pairs(Keyword::env, {{"B", "1"}, {"A", "2"}}));
    apply(pairs(Keyword::env, {{"B", "3"}}));
    EXPECT_THAT(state_.config.env, ElementsAre("B=3", "A=2"));
}

TEST_F(ConfigStep, AssignmentsOfOneLineDontSeeEachOther) {
    // The Dockerfile reference's own example: abc=hello; abc=bye def=$abc; ghi=$abc.
    apply(pairs(Keyword::env, {{"abc", "hello"}}));
    apply(pairs(Keyword::env, {{"abc", "bye"}, {"def", "$abc"}}));
    apply(pairs(Keyword::env, {{"ghi", "$abc"}}));
    EXPECT_THAT(state_.config.env, ElementsAre("abc=bye", "def=hello", "ghi=bye"));
}

TEST_F(ConfigStep, EnvWinsOverArg) {
    apply(pairs(Keyword::arg, {{"V", "arg"}}));
    EXPECT_EQ(expand_word("$V", state_, '\\'), "arg");
    apply(pairs(Keyword::env, {{"V", "env"}}));
    EXPECT_EQ(expand_word("$V", state_, '\\'), "env");
}

TEST_F(ConfigStep, ArgTakesGlobalAndPlatformValuesOnlyWhenDeclared) {
    globals_.declare("BASE", "12");
    EXPECT_EQ(expand_word("[$BASE$TARGETARCH]", state_, '\\'), "[]");
    apply(pairs(Keyword::arg, {{"BASE", std::nullopt}, {"TARGETARCH", std::nullopt}}));
    EXPECT_EQ(expand_word("[$BASE$TARGETARCH]", state_, '\\'), "[12amd64]");
}

TEST_F(ConfigStep, ABuildArgBeatsTheDefault) {
    request_.build_args = {{"V", "given"}, {"OTHER", "x"}};
    BuildArgs args(request_);
    apply_config_step(pairs(Keyword::arg, {{"V", "default"}}), state_, {'\\', args, globals_, predefined_});
    EXPECT_EQ(expand_word("$V", state_, '\\'), "given");
    EXPECT_THAT(args.unused(), ElementsAre("OTHER"));
}

TEST_F(ConfigStep, EntrypointClearsAnInheritedCmdOnly) {
    state_.config.cmd = std::vector<std::string>{"inherited"};
    apply(line(Keyword::entrypoint, {"/e"}, Form::exec));
    EXPECT_FALSE(state_.config.cmd.has_value());
    apply(line(Keyword::cmd, {"own"}, Form::exec));
    apply(line(Keyword::entrypoint, {"/f"}, Form::exec));
    EXPECT_THAT(state_.config.cmd.value(), ElementsAre("own"));
}

TEST_F(ConfigStep, ShellFormUsesTheShellOfThatPoint) {
    apply(line(Keyword::cmd, {"echo $HOME"}, Form::shell));
    EXPECT_THAT(state_.config.cmd.value(), ElementsAre("/bin/sh", "-c", "echo $HOME"));
    apply(line(Keyword::shell, {"/bin/bash", "-ec"}, Form::exec));
    apply(line(Keyword::entrypoint, {"run me"}, Form::shell));
    EXPECT_THAT(state_.config.entrypoint.value(), ElementsAre("/bin/bash", "-ec", "run me"));
}

TEST_F(ConfigStep, ExposeExpandsRangesAndVariables) {
    apply(pairs(Keyword::env, {{"PORT", "8080"}}));
    apply(line(Keyword::expose, {"$PORT", "53/UDP", "9000-9002/tcp", "8080"}));
    EXPECT_THAT(state_.config.exposed_ports, ElementsAre("53/udp", "8080/tcp", "9000/tcp", "9001/tcp", "9002/tcp"));
}

TEST_F(ConfigStep, ExposeRefusesWhatIsNoPort) {
    for (const char* wrong : {"http", "70000", "9-3", "80/icmp", "", "-1"}) {
        EXPECT_THROW(expand_ports(wrong), Error) << wrong;
    }
}

TEST_F(ConfigStep, HealthcheckForms) {
    Instruction check = line(Keyword::healthcheck, {"CMD", "curl -f http://localhost/ || exit 1"}, Form::shell);
    check.flags = {{"interval", "5m", {}}, {"timeout", "3s", {}}, {"retries", "4", {}}};
    apply(check);
    const auto& health = state_.config.healthcheck.value();
    EXPECT_THAT(health.test, ElementsAre("CMD-SHELL", "curl -f http://localhost/ || exit 1"));
    EXPECT_EQ(health.interval, 300'000'000'000);
    EXPECT_EQ(health.timeout, 3'000'000'000);
    EXPECT_EQ(health.retries, 4);
    apply(line(Keyword::healthcheck, {"CMD", "/check", "-q"}, Form::exec));
    EXPECT_THAT(state_.config.healthcheck->test, ElementsAre("CMD", "/check", "-q"));
    apply(line(Keyword::healthcheck, {"NONE"}));
    EXPECT_THAT(state_.config.healthcheck->test, ElementsAre("NONE"));
}

TEST(Duration, AsGoParsesIt) {
    EXPECT_EQ(parse_duration("1h2m3s"), 3'723'000'000'000);
    EXPECT_EQ(parse_duration("1.5h"), 5'400'000'000'000);
    EXPECT_EQ(parse_duration("500ms"), 500'000'000);
    EXPECT_EQ(parse_duration("0"), 0);
    EXPECT_EQ(parse_duration("10us"), 10'000);
    for (const char* wrong : {"", "5", "s", "5 s", "1x", "--1s", "1..5s", "."}) {
        EXPECT_THROW(parse_duration(wrong), Error) << wrong;
    }
}

TEST(StopSignal, NamesAndNumbers) {
    for (const char* good : {"SIGTERM", "TERM", "9", "SIGRTMIN+3", "sigint", "64"})
        EXPECT_NO_THROW(check_signal(good)) << good;
    for (const char* wrong : {"SIGNOPE", "0", "65", "", "TERMINATE"}) EXPECT_THROW(check_signal(wrong), Error) << wrong;
}

TEST(UserNumber, OutOfRangeIsRefused) {
    for (const char* wrong : {"4294967296", "4294967295", "-1", "+1", "1:4294967295"}) {
        EXPECT_THROW(check_user_number(wrong), Error) << wrong;
    }
    for (const char* good : {"0", "4294967294", "bob", "bob:1000", "65534:65534"})
        EXPECT_NO_THROW(check_user_number(good)) << good;
}

}  // namespace
}  // namespace mkimg::builder
