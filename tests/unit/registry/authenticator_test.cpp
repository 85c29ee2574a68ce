#include "registry/authenticator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <ctime>
#include <deque>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "base/text.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::registry {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::Not;
using testing::Pair;

constexpr const char* hub_challenge =
    R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/app:pull")";
const Scopes pull{"repository:library/app:pull"};
// printf 'alice:hunter2' | base64
constexpr const char* alice_basic = "Basic YWxpY2U6aHVudGVyMg==";

Response unauthorized(std::initializer_list<std::string> challenges, std::string body = {}) {
    Response response{.status = 401, .body = std::move(body)};
    for (const auto& value : challenges) response.headers.emplace_back("www-authenticate", value);
    return response;
}

// A token server: answers as the test scripts it, or with the tokens T1, T2, … where the script is at its end.
class TokenServer {
  public:
    Response operator()(const Request& request) {
        const std::lock_guard lock(mutex);
        requests.push_back(request);
        if (!script.empty()) {
            Response response = script.front();
            script.pop_front();
            return response;
        }
        return {.status = 200, .body = R"({"token": "T)" + std::to_string(++tokens) + R"(", "expires_in": 300})"};
    }

    std::mutex mutex;
    std::vector<Request> requests;
    std::deque<Response> script;
    int tokens = 0;
};

class AuthenticatorTest : public testing::Test {
  protected:
    std::unique_ptr<Authenticator> make(const std::string& host = "docker.io",
                                        const std::string& url = "https://registry-1.docker.io/") {
        return std::make_unique<Authenticator>(host, Url::parse(url), &keychain,
                                               [this](const Request& request) { return server(request); });
    }
    // For docker.io, as Docker keeps it.
    void log_in(const std::string& fields, const std::string& host = "https://index.docker.io/v1/") const {
        dir.write("config.json", R"({"auths": {")" + host + R"(": {)" + fields + "}}}");
    }
    void log_in_alice() const { log_in(R"("username": "alice", "password": "hunter2")"); }

    template <typename Work>
    Error failure_of(Work work) {
        try {
            work();
        } catch (const Error& error) {
            for (const char* secret : {"hunter2", "YWxpY2U6aHVudGVyMg", "refresh-me", "bear-me", "T1", "T2"}) {
                EXPECT_THAT(render(error), Not(HasSubstr(secret)));
            }
            return error;
        }
        ADD_FAILURE() << "no Error";
        return {ErrorCode::internal, ""};
    }

    TempDir dir;
    Keychain keychain{dir.path("config.json")};
    TokenServer server;
};

TEST_F(AuthenticatorTest, AnonymousTokens) {
    const auto authenticator = make();
    EXPECT_EQ(authenticator->header(pull), std::nullopt);
    EXPECT_EQ(authenticator->answer(unauthorized({hub_challenge}), pull, std::nullopt), "Bearer T1");
    EXPECT_EQ(authenticator->header(pull), "Bearer T1");
    EXPECT_EQ(authenticator->header({"repository:library/other:pull"}), std::nullopt);
    EXPECT_EQ(authenticator->who(), "anonymous");
    ASSERT_EQ(server.requests.size(), 1U);
    EXPECT_EQ(server.requests[0].url.str(),
              "https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Fapp%3Apull");
    EXPECT_THAT(server.requests[0].headers, Not(Contains(Key("authorization"))));
}

TEST_F(AuthenticatorTest, TokensOfAUser) {
    log_in_alice();
    const auto authenticator = make();
    EXPECT_EQ(authenticator->answer(unauthorized({hub_challenge}), pull, std::nullopt), "Bearer T1");
    EXPECT_THAT(server.requests.at(0).headers, Contains(Pair("authorization", alice_basic)));
    EXPECT_EQ(authenticator->who(), "alice");
}

TEST_F(AuthenticatorTest, TokensForAnIdentityToken) {
    log_in(R"("username": "alice", "identitytoken": "refresh-me")");
    EXPECT_EQ(make()->answer(unauthorized({hub_challenge}), pull, std::nullopt), "Bearer T1");
    const Request& request = server.requests.at(0);
    EXPECT_EQ(request.method, "POST");
    EXPECT_THAT(request.headers, Not(Contains(Key("authorization"))));
    EXPECT_EQ(request.url.query, "");
}

TEST_F(AuthenticatorTest, ARegistryTokenIsSentAsItIs) {
    log_in(R"("registrytoken": "bear-me")");
    const auto authenticator = make();
    EXPECT_EQ(authenticator->answer(unauthorized({hub_challenge}), pull, std::nullopt), "Bearer bear-me");
    EXPECT_EQ(authenticator->header(pull), "Bearer bear-me");
    EXPECT_THAT(server.requests, IsEmpty());
    const Error error =
        failure_of([&] { authenticator->answer(unauthorized({hub_challenge}), pull, "Bearer bear-me"); });
    EXPECT_EQ(error.code(), ErrorCode::denied);
    log_in(R"("registrytoken": "bear-me\r\nX-Evil: 1")");
    EXPECT_EQ(failure_of([&] { make()->answer(unauthorized({hub_challenge}), pull, std::nullopt); }).code(),
              ErrorCode::corrupt);
}

TEST_F(AuthenticatorTest, ScopesAreThoseOfTheRequestAndOfTheChallenge) {
    const Scopes mount{"repository:base:pull", "repository:app:pull,push"};
    make()->answer(
        unauthorized({R"(Bearer realm="https://a.example/t",scope="repository:app:pull  repository:x:pull")"}), mount,
        std::nullopt);
    EXPECT_EQ(server.requests.at(0).url.query,
              "scope=repository%3Aapp%3Apull&scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%3Apull"
              "&scope=repository%3Ax%3Apull");
}

TEST_F(AuthenticatorTest, BasicWhereThereIsNothingElse) {
    log_in_alice();
    const auto authenticator = make();
    EXPECT_EQ(authenticator->header(pull), std::nullopt);
    EXPECT_EQ(authenticator->answer(unauthorized({R"(Basic realm="x")"}), pull, std::nullopt), alice_basic);
    EXPECT_EQ(authenticator->header({"repository:other:pull"}), alice_basic);
    EXPECT_THAT(server.requests, IsEmpty());
}

TEST_F(AuthenticatorTest, BearerBeforeBasic) {
    log_in_alice();
    EXPECT_EQ(make()->answer(unauthorized({R"(Basic realm="x")", hub_challenge}), pull, std::nullopt), "Bearer T1");
    // A Bearer challenge that names nobody to ask can't be answered.
    EXPECT_EQ(make()->answer(unauthorized({R"(Bearer service="x", Basic realm="x")"}), pull, std::nullopt),
              alice_basic);
}

TEST_F(AuthenticatorTest, CredentialsAreThoseOfTheRepository) {
    dir.write("config.json", R"({"auths": {
        "r.example": {"username": "all", "password": "x"},
        "r.example/team": {"username": "team", "password": "x"},
        "r.example/to": {"username": "to", "password": "x"}}})");
    const auto authenticator = make("r.example", "https://r.example/");
    const auto who = [&](const Scopes& scopes) {
        authenticator->answer(unauthorized({R"(Basic realm="x")"}), scopes, std::nullopt);
        return authenticator->who();
    };
    EXPECT_EQ(who({}), "all");
    EXPECT_EQ(who({"repository:app:pull"}), "all");
    EXPECT_EQ(who({"repository:team/app:pull,push"}), "team");
    EXPECT_EQ(who({"repository:team/app:pull", "repository:to/app:pull,push"}), "to");
}

TEST_F(AuthenticatorTest, NoKeychainIsNobody) {
    log_in_alice();
    Authenticator authenticator("docker.io", Url::parse("https://mirror.example/"), nullptr,
                                [this](const Request& request) { return server(request); });
    authenticator.answer(unauthorized({hub_challenge}), pull, std::nullopt);
    EXPECT_THAT(server.requests.at(0).headers, Not(Contains(Key("authorization"))));
    EXPECT_EQ(authenticator.who(), "anonymous");
}

// 95 of its 100 seconds have passed: it is renewed 10 before its end, without another challenge.
TEST_F(AuthenticatorTest, TokensAreRenewedBeforeTheyExpire) {
    const auto authenticator = make();
    server.script = {
        {.status = 200,
         .body = R"({"token": "old", "expires_in": 100, "issued_at": ")" + rfc3339(std::time(nullptr) - 95) + "\"}"}};
    EXPECT_EQ(authenticator->answer(unauthorized({hub_challenge}), pull, std::nullopt), "Bearer old");
    EXPECT_EQ(authenticator->header(pull), "Bearer T1");
    EXPECT_EQ(authenticator->header(pull), "Bearer T1");
    ASSERT_EQ(server.requests.size(), 2U);
    EXPECT_EQ(server.requests[0].url.str(), server.requests[1].url.str());
}

TEST_F(AuthenticatorTest, ATokenThatServedIsReplaced) {
    const auto authenticator = make();
    authenticator->answer(unauthorized({hub_challenge}), pull, std::nullopt);
    ASSERT_EQ(authenticator->header(pull), "Bearer T1");
    EXPECT_EQ(authenticator->answer(unauthorized({hub_challenge}), pull, "Bearer T1"), "Bearer T2");
    EXPECT_EQ(authenticator->answer(unauthorized({hub_challenge}), pull, "Bearer T1"), "Bearer T2")
        << "another thread has replaced it";
    EXPECT_EQ(server.requests.size(), 2U);
}

TEST_F(AuthenticatorTest, AFreshTokenThatIsRefusedIsTheEnd) {
    const auto authenticator = make();
    const std::string body = R"({"errors": [{"code": "DENIED", "message": "requested access is denied"}]})";
    const std::string token = authenticator->answer(unauthorized({hub_challenge}), pull, std::nullopt);
    const Error error = failure_of([&] { authenticator->answer(unauthorized({hub_challenge}, body), pull, token); });
    EXPECT_EQ(error.code(), ErrorCode::denied);
    EXPECT_EQ(
        error.message(),
        "docker.io denies pull of library/app to anonymous: 401 unauthorized: DENIED: requested access is denied");
    EXPECT_EQ(error.hint(), "the repository may not exist, or may need `mkimg login docker.io`");
    EXPECT_EQ(server.requests.size(), 1U);
}

TEST_F(AuthenticatorTest, TheErrorOfTheChallengeWhereThereIsNoOther) {
    log_in_alice();
    const auto authenticator = make();
    const std::string token = authenticator->answer(unauthorized({hub_challenge}), pull, std::nullopt);
    const Error error = failure_of([&] {
        authenticator->answer(unauthorized({std::string(hub_challenge) + R"(,error="insufficient_scope")"}), pull,
                              token);
    });
    EXPECT_EQ(error.message(), "docker.io denies pull of library/app to alice: 401 unauthorized: insufficient_scope");
    EXPECT_THAT(error.hint(), HasSubstr("`mkimg login docker.io`"));
}

TEST_F(AuthenticatorTest, RefusedBasicIsTheEnd) {
    log_in_alice();
    const auto authenticator = make();
    authenticator->answer(unauthorized({R"(Basic realm="x")"}), {}, std::nullopt);
    for (int i = 0; i < 2; ++i) {
        const Error error =
            failure_of([&] { authenticator->answer(unauthorized({R"(Basic realm="x")"}), {}, alice_basic); });
        EXPECT_EQ(error.code(), ErrorCode::denied);
        EXPECT_EQ(error.message(), "docker.io denies access to alice: 401 unauthorized");
    }
    EXPECT_EQ(authenticator->header({}), std::nullopt);
}

TEST_F(AuthenticatorTest, ARegistryThatKeepsChangingItsMindIsLeft) {
    log_in_alice();
    const auto authenticator = make();
    std::optional<std::string> used;
    int tries = 0;
    const Error error = failure_of([&] {
        for (; tries < 20; ++tries) {
            used = authenticator->answer(unauthorized({tries % 2 == 0 ? hub_challenge : R"(Basic realm="x")"}), pull,
                                         used);
        }
    });
    EXPECT_EQ(error.code(), ErrorCode::denied);
    EXPECT_LT(tries, 5);
}

TEST_F(AuthenticatorTest, NobodyCanAnswerBasic) {
    const Error error = failure_of([&] { make()->answer(unauthorized({R"(Basic realm="x")"}), pull, std::nullopt); });
    EXPECT_EQ(error.code(), ErrorCode::denied);
    EXPECT_EQ(error.message(), "docker.io denies pull of library/app to anonymous: 401 unauthorized");
    EXPECT_THAT(error.hint(), HasSubstr("mkimg login docker.io"));
    log_in(R"("identitytoken": "refresh-me")");
    EXPECT_EQ(failure_of([&] { make()->answer(unauthorized({R"(Basic realm="x")"}), pull, std::nullopt); }).code(),
              ErrorCode::denied);
}

TEST_F(AuthenticatorTest, ChallengesThatNobodyKnows) {
    log_in_alice();
    for (const auto& response : {unauthorized({}), unauthorized({"Negotiate abc=="}), unauthorized({"Bearer"}),
                                 unauthorized({R"(Bearer realm="never closed)"})}) {
        const Error error = failure_of([&] { make()->answer(response, {}, std::nullopt); });
        EXPECT_EQ(error.code(), ErrorCode::denied);
        EXPECT_THAT(error.message(), HasSubstr("names no way to log in that mkimg knows"));
    }
}

TEST_F(AuthenticatorTest, CredentialsStayOffPlainHttpElsewhere) {
    log_in_alice();
    const auto refused = [&](const char* realm) {
        const auto error = failure_of([&] {
            make()->answer(unauthorized({R"(Bearer realm=")" + std::string(realm) + "\""}), pull, std::nullopt);
        });
        EXPECT_EQ(error.code(), ErrorCode::denied) << realm;
    };
    refused("http://auth.docker.io/token");
    refused("http://registry-1.docker.io/token");
    log_in(R"("username": "alice", "password": "hunter2")", "localhost:5000");
    const auto plain = make("localhost:5000", "http://localhost:5000/");
    EXPECT_EQ(failure_of([&] {
                  plain->answer(unauthorized({R"(Bearer realm="http://127.0.0.1:5001/t")"}), pull, std::nullopt);
              }).code(),
              ErrorCode::denied);
    EXPECT_THAT(server.requests, IsEmpty());
    plain->answer(unauthorized({R"(Bearer realm="http://localhost:5001/t")"}), pull, std::nullopt);
    EXPECT_THAT(server.requests.at(0).headers, Contains(Pair("authorization", alice_basic)));
}

TEST_F(AuthenticatorTest, TheCredentialOfOneRegistryIsNotThatOfAnother) {
    log_in_alice();
    // A hostile registry that names Docker Hub's token server gets what nobody gets.
    make("evil.example", "https://evil.example/")->answer(unauthorized({hub_challenge}), pull, std::nullopt);
    EXPECT_THAT(server.requests.at(0).headers, Not(Contains(Key("authorization"))));
}

TEST_F(AuthenticatorTest, ATokenServerThatRefuses) {
    log_in_alice();
    for (const int status : {401, 403}) {
        server.script = {{.status = status, .body = R"({"details": "incorrect username or password"})"}};
        const Error error = failure_of([&] { make()->answer(unauthorized({hub_challenge}), pull, std::nullopt); });
        EXPECT_EQ(error.code(), ErrorCode::denied);
        EXPECT_EQ(error.message(), "auth.docker.io gives no token to alice: incorrect username or password");
        EXPECT_THAT(error.what(), HasSubstr("asking https://auth.docker.io/token for a token for docker.io"));
        EXPECT_THAT(error.hint(), HasSubstr("`mkimg login docker.io`"));
    }
    // One that says back what it was sent.
    for (const char* said : {"bad password hunter2", "bad header YWxpY2U6aHVudGVyMg=="}) {
        server.script = {{.status = 401, .body = R"({"message": ")" + std::string(said) + "\"}"}};
        const Error error = failure_of([&] { make()->answer(unauthorized({hub_challenge}), pull, std::nullopt); });
        EXPECT_EQ(error.message(), "auth.docker.io gives no token to alice");
    }
}

TEST_F(AuthenticatorTest, ATokenServerInTrouble) {
    struct Case {
        Response response;
        ErrorCode code;
    };
    for (const Case& c : std::initializer_list<Case>{
             {{.status = 302, .headers = {{"location", "https://evil.example/"}}}, ErrorCode::corrupt},
             {{.status = 307, .headers = {{"location", "/elsewhere"}}}, ErrorCode::corrupt},
             {{.status = 404}, ErrorCode::corrupt},
             {{.status = 429}, ErrorCode::unavailable},
             {{.status = 503}, ErrorCode::unavailable},
             {{.status = 200, .body = "<html>"}, ErrorCode::corrupt},
             {{.status = 200, .body = R"({"token": "a\r\nX: y"})"}, ErrorCode::corrupt},
             {{.status = 204}, ErrorCode::corrupt},
         }) {
        server.requests.clear();
        server.script = {c.response};
        const auto authenticator = make();
        const Error error =
            failure_of([&] { authenticator->answer(unauthorized({hub_challenge}), pull, std::nullopt); });
        EXPECT_EQ(error.code(), c.code) << c.response.status;
        EXPECT_THAT(error.what(), HasSubstr("auth.docker.io")) << c.response.status;
        EXPECT_EQ(server.requests.size(), 1U) << "followed a redirect";
        // The next request may have more luck.
        EXPECT_EQ(authenticator->answer(unauthorized({hub_challenge}), pull, std::nullopt).substr(0, 8), "Bearer T");
    }
}

TEST_F(AuthenticatorTest, RegistriesThatSayBackWhatTheyWereSent) {
    log_in_alice();
    const auto authenticator = make();
    const std::string token = authenticator->answer(unauthorized({hub_challenge}), pull, std::nullopt);
    const Error error = failure_of([&] {
        authenticator->answer(unauthorized({hub_challenge}, R"({"errors": [{"message": "bad token T1"}]})"), pull,
                              token);
    });
    EXPECT_EQ(error.message(), "docker.io denies pull of library/app to alice: 401 unauthorized");
}

TEST_F(AuthenticatorTest, ThreadsThatNeedATokenAtOnceFetchItOnce) {
    constexpr int threads = 8;
    std::atomic<int> waiting{0};
    Authenticator authenticator("docker.io", Url::parse("https://registry-1.docker.io/"), &keychain,
                                [&](const Request& request) {
                                    // Until all others are on their way into answer().
                                    while (waiting < threads) std::this_thread::yield();
                                    return server(request);
                                });
    std::vector<std::string> headers(threads);
    {
        std::vector<std::jthread> workers;
        for (int i = 0; i < threads; ++i) {
            workers.emplace_back([&, i] {
                ++waiting;
                headers[static_cast<std::size_t>(i)] =
                    authenticator.answer(unauthorized({hub_challenge}), pull, std::nullopt);
            });
        }
    }
    EXPECT_THAT(headers, testing::Each("Bearer T1"));
    EXPECT_EQ(server.requests.size(), 1U);
}

TEST_F(AuthenticatorTest, AFailureReachesAllThatWait) {
    constexpr int threads = 8;
    for (int i = 0; i < threads; ++i) {
        server.script.push_back({.status = 401, .body = R"({"message": "not now"})"});
    }
    std::atomic<int> waiting{0};
    std::atomic<int> failures{0};
    Authenticator authenticator("docker.io", Url::parse("https://registry-1.docker.io/"), &keychain,
                                [&](const Request& request) {
                                    while (waiting < threads) std::this_thread::yield();
                                    return server(request);
                                });
    {
        std::vector<std::jthread> workers;
        for (int i = 0; i < threads; ++i) {
            workers.emplace_back([&] {
                ++waiting;
                try {
                    authenticator.answer(unauthorized({hub_challenge}), pull, std::nullopt);
                } catch (const Error& error) {
                    if (error.message().ends_with("not now")) ++failures;
                }
            });
        }
    }
    EXPECT_EQ(failures, threads);
}

}  // namespace
}  // namespace mkimg::registry
