#include "registry/challenge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace mkimg::registry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::vector<Challenge> parse(std::string_view value) {
    const std::array values{value};
    return parse_challenges(values);
}

// The one challenge of a value.
Challenge only(std::string_view value) {
    const auto challenges = parse(value);
    EXPECT_EQ(challenges.size(), 1U) << value;
    return challenges.empty() ? Challenge() : challenges.front();
}

TEST(Challenges, TheExampleOfRfc7235) {
    const auto challenges = parse(R"(Newauth realm="apps", type=1, title="Login to \"apps\"", Basic realm="simple")");
    ASSERT_EQ(challenges.size(), 2U);
    EXPECT_EQ(challenges[0].scheme, "newauth");
    EXPECT_THAT(challenges[0].parameters,
                ElementsAre(Pair("realm", "apps"), Pair("title", R"(Login to "apps")"), Pair("type", "1")));
    EXPECT_EQ(challenges[1].scheme, "basic");
    EXPECT_THAT(challenges[1].parameters, ElementsAre(Pair("realm", "simple")));
}

TEST(Challenges, TheExamplesOfOtherRfcs) {
    // RFC 7616 section 3.9.1: a list within quotes.
    const Challenge digest = only(
        R"(Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, )"
        R"(nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS")");
    EXPECT_EQ(digest.parameters.at("qop"), "auth, auth-int");
    EXPECT_EQ(digest.parameters.at("opaque"), "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS");
    // RFC 6750 section 3.
    EXPECT_THAT(only(R"(Bearer realm="example", error="invalid_token", error_description="The access token expired")")
                    .parameters,
                ElementsAre(Pair("error", "invalid_token"), Pair("error_description", "The access token expired"),
                            Pair("realm", "example")));
    // RFC 4559 section 5: a token68.
    const Challenge negotiate = only("Negotiate a87421000492aa874209af8bc028==");
    EXPECT_EQ(negotiate.scheme, "negotiate");
    EXPECT_EQ(negotiate.token68, "a87421000492aa874209af8bc028==");
    EXPECT_THAT(negotiate.parameters, IsEmpty());
}

TEST(Challenges, WhatRegistriesSend) {
    // Docker Hub
    EXPECT_THAT(only(R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",)"
                     R"(scope="repository:library/debian:pull")")
                    .parameters,
                ElementsAre(Pair("realm", "https://auth.docker.io/token"),
                            Pair("scope", "repository:library/debian:pull"), Pair("service", "registry.docker.io")));
    // GitHub's
    EXPECT_THAT(
        only(R"(Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:user/image:pull")").parameters,
        ElementsAre(Pair("realm", "https://ghcr.io/token"), Pair("scope", "repository:user/image:pull"),
                    Pair("service", "ghcr.io")));
    // GitLab's
    EXPECT_THAT(only(R"(Bearer realm="https://gitlab.com/jwt/auth",service="container_registry",)"
                     R"(scope="repository:group/project:pull",error="invalid_token")")
                    .parameters,
                ElementsAre(Pair("error", "invalid_token"), Pair("realm", "https://gitlab.com/jwt/auth"),
                            Pair("scope", "repository:group/project:pull"), Pair("service", "container_registry")));
    // Harbor
    EXPECT_THAT(
        only(R"(Bearer realm="https://demo.goharbor.io/service/token",service="harbor-registry")").parameters,
        ElementsAre(Pair("realm", "https://demo.goharbor.io/service/token"), Pair("service", "harbor-registry")));
    // Amazon's
    const Challenge ecr = only(R"(Basic realm="https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",)"
                               R"(service="ecr.amazonaws.com")");
    EXPECT_EQ(ecr.scheme, "basic");
    EXPECT_EQ(ecr.parameters.at("service"), "ecr.amazonaws.com");
    // Artifactory: two fields, one challenge each.
    const std::array<std::string_view, 2> two{R"(Bearer realm="https://a.example/v2/token",service="a.example")",
                                              R"(Basic realm="Artifactory Realm")"};
    const auto challenges = parse_challenges(two);
    ASSERT_EQ(challenges.size(), 2U);
    EXPECT_EQ(challenges[0].scheme, "bearer");
    EXPECT_EQ(challenges[1].scheme, "basic");
}

TEST(Challenges, BlanksAndEmptyElements) {
    const auto challenges = parse(" ,\t, Basic \t realm = \"a\" , ,charset\t=UTF-8,,NTLM ,Negotiate, Bearer realm=b ,");
    ASSERT_EQ(challenges.size(), 4U);
    EXPECT_THAT(challenges[0].parameters, ElementsAre(Pair("charset", "UTF-8"), Pair("realm", "a")));
    EXPECT_EQ(challenges[1].scheme, "ntlm");
    EXPECT_EQ(challenges[2].scheme, "negotiate");
    EXPECT_THAT(challenges[3].parameters, ElementsAre(Pair("realm", "b")));
    EXPECT_THAT(only("Basic ,realm=x").parameters, ElementsAre(Pair("realm", "x")));
    EXPECT_THAT(parse(""), IsEmpty());
    EXPECT_THAT(parse(" , "), IsEmpty());
}

TEST(Challenges, NamesAreTheSameInAnyCase) {
    const Challenge challenge = only(R"(bEaReR REALM="X", Service=Y)");
    EXPECT_EQ(challenge.scheme, "bearer");
    EXPECT_THAT(challenge.parameters, ElementsAre(Pair("realm", "X"), Pair("service", "Y")));
}

TEST(Challenges, QuotedStrings) {
    EXPECT_EQ(only(R"(B a="")").parameters.at("a"), "");
    EXPECT_EQ(only(R"(B a="x,y=z, Basic realm=q")").parameters.at("a"), "x,y=z, Basic realm=q");
    EXPECT_EQ(only(R"(B a="\\\"\a")").parameters.at("a"), R"(\"a)");
    EXPECT_EQ(only("B a=\"tab\there \xc3\xa9\"").parameters.at("a"), "tab\there \xc3\xa9");
}

TEST(Challenges, Token68NextToParameters) {
    const auto challenges = parse("A abc=, B abc==, C abc, D abc=d, E -._~+/9");
    ASSERT_EQ(challenges.size(), 5U);
    EXPECT_EQ(challenges[0].token68, "abc=");
    EXPECT_EQ(challenges[1].token68, "abc==");
    EXPECT_EQ(challenges[2].token68, "abc");
    EXPECT_EQ(challenges[3].token68, "");
    EXPECT_THAT(challenges[3].parameters, ElementsAre(Pair("abc", "d")));
    EXPECT_EQ(challenges[4].token68, "-._~+/9");
}

TEST(Challenges, TheFirstOfTwoParametersOfOneNameCounts) {
    EXPECT_THAT(only(R"(Bearer realm="https://a.example", REALM="https://b.example")").parameters,
                ElementsAre(Pair("realm", "https://a.example")));
}

// What was whole before the fault stays.
TEST(Challenges, EndAtAFault) {
    struct Case {
        std::string_view value;
        std::size_t challenges;
        std::size_t parameters;  // of the last challenge
    };
    for (const Case& c : std::initializer_list<Case>{
             {R"(realm="x", Basic realm="y")", 0, 0},        // a parameter of no scheme
             {R"("Basic realm=x")", 0, 0},                   // no token
             {"Basic@", 0, 0},                               //
             {R"(Bearer realm="https://a.example)", 1, 0},   // never closed
             {R"(Bearer realm="a\)", 1, 0},                  //
             {"Bearer realm=https://a.example", 1, 0},       // must be quoted
             {"Bearer realm=, service=x", 1, 0},             // "realm=" is a token68; no parameters after one
             {R"(Bearer a="1", b=, c="3")", 1, 1},           // no value
             {R"(Bearer a="1", b="2"c="3")", 1, 1},          // no comma
             {R"(Bearer a="1" b="2")", 1, 0},                //
             {R"(Bearer a="1", Basic x y)", 2, 0},           //
             {R"(Basic a="1", abc==, Bearer b="2")", 1, 1},  // a token68 where none may be
             {"Basic a=\"x\r\nSet-Cookie: y\"", 1, 0},       // control bytes
             {"Basic a=\"x\x7f\"", 1, 0},                    //
             {R"(Basic a="1", b ? "2")", 2, 0},              //
         }) {
        const auto challenges = parse(c.value);
        ASSERT_EQ(challenges.size(), c.challenges) << c.value;
        EXPECT_EQ(challenges.empty() ? 0 : challenges.back().parameters.size(), c.parameters) << c.value;
    }
    EXPECT_THAT(only(std::string_view("Basic a=b, c=\"\0\"", 17)).parameters, ElementsAre(Pair("a", "b")));
}

TEST(Challenges, AFaultyFieldLeavesTheOthersAlone) {
    const std::array<std::string_view, 2> values{"Bearer realm=\"x", R"(Basic realm="y")"};
    const auto challenges = parse_challenges(values);
    ASSERT_EQ(challenges.size(), 2U);
    EXPECT_EQ(challenges[1].parameters.at("realm"), "y");
}

}  // namespace
}  // namespace mkimg::registry
