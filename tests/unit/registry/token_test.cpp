#include "registry/token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace mkimg::registry {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::Pair;

// 2024-01-02T03:04:05Z (date -u -d 2024-01-02T03:04:05Z +%s)
constexpr std::int64_t now = 1704164645;

std::string body_of(const Request& request) {
    const auto source = request.body.value().open();
    StringSink sink;
    copy(*source, sink);
    EXPECT_EQ(sink.text().size(), request.body->size);
    return sink.take();
}

ErrorCode code_of(std::string_view body) {
    try {
        parse_token(body, now);
    } catch (const Error& error) {
        EXPECT_THAT(render(error), Not(HasSubstr("secret")));
        return error.code();
    }
    ADD_FAILURE() << "no Error: " << body;
    return ErrorCode::internal;
}

// The query of the example in token.md.
TEST(TokenRequest, AsTheSpecificationHasIt) {
    const TokenQuery query{
        Url::parse("https://auth.docker.io/token"), "registry.docker.io", {"repository:samalba/my-app:pull,push"}};
    const Request request = token_request(query, std::nullopt);
    EXPECT_EQ(request.method, "GET");
    EXPECT_EQ(
        request.url.str(),
        "https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Asamalba%2Fmy-app%3Apull%2Cpush");
    EXPECT_FALSE(request.body);
    EXPECT_TRUE(request.document);
    EXPECT_EQ(request.limit, 1U << 20U);
    EXPECT_THAT(request.headers, Not(Contains(Key("authorization"))));
}

TEST(TokenRequest, ScopesAreRepeated) {
    const TokenQuery query{
        Url::parse("https://a.example/t?account=x"), "a b&c", {"repository:b:pull", "repository:a:pull"}};
    EXPECT_EQ(token_request(query, std::nullopt).url.query,
              "account=x&service=a%20b%26c&scope=repository%3Aa%3Apull&scope=repository%3Ab%3Apull");
    EXPECT_EQ(token_request({Url::parse("https://a.example/t"), "", {}}, std::nullopt).url.str(),
              "https://a.example/t");
}

// RFC 7617 section 2: the example of Aladdin.
TEST(TokenRequest, APasswordGoesAsBasic) {
    const TokenQuery query{Url::parse("https://a.example/t"), "s", {}};
    const Request request = token_request(query, Credential{.username = "Aladdin", .password = "open sesame"});
    EXPECT_THAT(request.headers, Contains(Pair("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")));
    EXPECT_EQ(request.url.query, "service=s");
}

// The fields of oauth2.md.
TEST(TokenRequest, AnIdentityTokenIsPosted) {
    const TokenQuery query{
        Url::parse("https://a.example/t?x=1"), "hub docker", {"repository:b:pull", "repository:a:pull"}};
    const Request request = token_request(query, Credential{.username = "alice", .identity_token = "re+fresh="});
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.url.str(), "https://a.example/t?x=1");
    EXPECT_THAT(request.headers, Contains(Pair("content-type", "application/x-www-form-urlencoded")));
    EXPECT_THAT(request.headers, Not(Contains(Key("authorization"))));
    EXPECT_EQ(body_of(request),
              "grant_type=refresh_token&service=hub%20docker&scope=repository%3Aa%3Apull%20repository%3Ab%3Apull"
              "&client_id=mkimg&refresh_token=re%2Bfresh%3D");
}

TEST(TokenAnswer, EitherFieldHoldsTheToken) {
    EXPECT_EQ(parse_token(R"({"token": "abc.def"})", now).authorization, "Bearer abc.def");
    EXPECT_EQ(parse_token(R"({"access_token": "abc"})", now).authorization, "Bearer abc");
    EXPECT_EQ(parse_token(R"({"token": "", "access_token": "abc", "refresh_token": "x"})", now).authorization,
              "Bearer abc");
    EXPECT_EQ(parse_token(R"({"token": "abc", "access_token": "abc"})", now).authorization, "Bearer abc");
}

// 10 s before it expires, or a tenth of its time where that is less.
TEST(TokenAnswer, IsRenewedInTime) {
    const auto renewal = [](const char* fields) {
        return parse_token(R"({"token": "x", )" + std::string(fields) + "}", now).renewal;
    };
    EXPECT_EQ(renewal(R"("a": 1)"), seconds(54));
    EXPECT_EQ(renewal(R"("expires_in": 300)"), seconds(290));
    EXPECT_EQ(renewal(R"("expires_in": 299.9)"), seconds(289));
    EXPECT_EQ(renewal(R"("expires_in": 10)"), seconds(54));
    EXPECT_EQ(renewal(R"("expires_in": 0)"), seconds(54));
    EXPECT_EQ(renewal(R"("expires_in": -1e300)"), seconds(54));
    EXPECT_EQ(renewal(R"("expires_in": "300")"), seconds(54));
    EXPECT_EQ(renewal(R"("expires_in": 1e300)"), seconds(86390));
    EXPECT_EQ(renewal(R"("expires_in": 300, "issued_at": "2024-01-02T03:04:05Z")"), seconds(290));
    EXPECT_EQ(renewal(R"("expires_in": 300, "issued_at": "2024-01-02T03:02:05.123456789Z")"), seconds(170));
    EXPECT_EQ(renewal(R"("expires_in": 300, "issued_at": "2024-01-02T04:02:05+01:00")"), seconds(170));
    EXPECT_EQ(renewal(R"("expires_in": 300, "issued_at": "2024-01-02T02:59:06Z")"), seconds(-9));
    // Clocks that differ by more than the token lives for say nothing.
    EXPECT_EQ(renewal(R"("expires_in": 300, "issued_at": "2024-01-02T02:04:05Z")"), seconds(290));
    EXPECT_EQ(renewal(R"("expires_in": 300, "issued_at": "2024-01-02T03:04:06Z")"), seconds(290));
    EXPECT_EQ(renewal(R"("expires_in": 300, "issued_at": "0001-01-01T00:00:00Z")"), seconds(290));
    EXPECT_EQ(renewal(R"("expires_in": 300, "issued_at": "yesterday")"), seconds(290));
}

TEST(TokenAnswer, WhatIsNone) {
    for (const char* body : {"", "secret", R"(["secret"])", R"({"token": "secret)", R"({"tokens": "secret"})",
                             R"({"token": ""})", R"({"token": ["secret"]})", R"({"token": null, "access_token": 1})"}) {
        EXPECT_EQ(code_of(body), ErrorCode::corrupt) << body;
    }
}

TEST(Bearer, BytesThatNoHeaderBears) {
    EXPECT_EQ(bearer_authorization("mF_9.B5f-4.1JqM"), "Bearer mF_9.B5f-4.1JqM");  // RFC 6750 section 2.1
    for (const std::string_view token : {"", "secret\r\nX: y", "secret x", "secret\x7f", "secret\t", "secr\xc3\xa9t"}) {
        try {
            bearer_authorization(token);
            ADD_FAILURE() << token;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::corrupt);
            EXPECT_THAT(render(error), Not(HasSubstr("secr")));
        }
    }
}

struct RealmCase {
    const char* registry;
    const char* realm;
    bool with_credential;
    std::optional<ErrorCode> error;
};

class Realm : public testing::TestWithParam<RealmCase> {};

TEST_P(Realm, WhereTokensAreAskedFor) {
    const RealmCase& c = GetParam();
    const std::string what = std::string(c.registry) + " names " + c.realm;
    try {
        EXPECT_EQ(token_server("r", Url::parse(c.registry), c.realm, c.with_credential).str(), c.realm) << what;
        EXPECT_FALSE(c.error) << what;
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), c.error) << what << ": " << error.what();
        EXPECT_FALSE(error.hint().empty()) << what;
        EXPECT_THAT(render(error), Not(HasSubstr("secret"))) << what;
    }
}

constexpr auto denied = ErrorCode::denied;
constexpr auto corrupt = ErrorCode::corrupt;

INSTANTIATE_TEST_SUITE_P(Https, Realm,
                         testing::Values(RealmCase{"https://r.example/", "https://r.example/token", true, {}},
                                         RealmCase{"https://r.example/", "https://auth.other.example/token", true, {}},
                                         RealmCase{"http://r.example/", "https://auth.other.example/token", true, {}}));

INSTANTIATE_TEST_SUITE_P(
    PlainHttp, Realm,
    testing::Values(RealmCase{"https://r.example/", "http://r.example/token?secret=1", true, denied},
                    RealmCase{"https://r.example/", "http://r.example/token", false, denied},
                    RealmCase{"https://r.example/", "http://auth.example/token", false, denied},
                    RealmCase{"http://localhost:5000/", "http://localhost:5001/token", true, {}},
                    RealmCase{"http://localhost:5000/", "http://localhost:5000/token", true, {}},
                    RealmCase{"http://localhost:5000/", "http://localhost:5001/token?x=1", true, {}},
                    RealmCase{"http://localhost:5000/", "http://127.0.0.1:5001/token?secret=1", true, denied},
                    RealmCase{"http://r.example/", "http://auth.r.example/token?secret=1", true, denied},
                    RealmCase{"http://r.example/", "http://r.example.evil.example/token", true, denied},
                    RealmCase{"http://r.example/", "http://evil.example/token", true, denied},
                    RealmCase{"http://r.example/", "http://other.example/token", false, {}}));

INSTANTIATE_TEST_SUITE_P(NoUrl, Realm,
                         testing::Values(RealmCase{"https://r.example/", "", true, corrupt},
                                         RealmCase{"https://r.example/", "Registry Realm", true, corrupt},
                                         RealmCase{"https://r.example/", "/token", true, corrupt},
                                         RealmCase{"https://r.example/", "//auth.example/token", true, corrupt},
                                         RealmCase{"https://r.example/", "https://", true, corrupt},
                                         RealmCase{"https://r.example/", "ftp://auth.example/token", true, corrupt},
                                         RealmCase{"https://r.example/", "file:///etc/passwd", true, corrupt},
                                         RealmCase{"https://r.example/", "https://u:secret@a.example/", true, corrupt},
                                         RealmCase{"https://r.example/", "https://a.example/\r\nX: secret", true,
                                                   corrupt}));

TEST(ServerMessage, OfTheSpecificationAndOfOthers) {
    // The distribution specification's errors.
    EXPECT_EQ(server_message(R"({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required",
                                 "detail": null}, {"code": "DENIED"}]})"),
              "UNAUTHORIZED: authentication required; DENIED");
    EXPECT_EQ(server_message(R"({"details": "incorrect username or password"})"), "incorrect username or password");
    EXPECT_EQ(server_message(R"({"error": "invalid_grant", "error_description": "it has expired"})"), "it has expired");
    EXPECT_EQ(server_message(R"({"error": "invalid_grant"})"), "invalid_grant");
    EXPECT_EQ(server_message(R"({"message": "no"})"), "no");
    for (const char* body :
         {"", "<html>", "[]", R"({"errors": {}})", R"({"errors": ["x", 1, {}]})", R"({"message": 1})"}) {
        EXPECT_EQ(server_message(body), "") << body;
    }
    EXPECT_EQ(server_message("{\"message\": \"a\\u001b[2Jb\\r\\nc\"}"), "a\\x1b[2Jb  c");
    EXPECT_EQ(server_message(R"({"message": ")" + std::string(5000, 'x') + "\"}"), std::string(300, 'x') + "…");
}

}  // namespace
}  // namespace mkimg::registry
