#include "registry/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/registry/fake_transport.h"

namespace mkimg::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* blob = "GET https://r.example/v2/app/blobs/x";
constexpr const char* alice_basic = "Basic YWxpY2U6aHVudGVyMg==";

Response asks_for_basic() {
    return {.status = 401, .headers = {{"www-authenticate", R"(Basic realm="r")"}}};
}
Response redirect(const std::string& where, int status = 307) {
    return {.status = status, .headers = {{"location", where}}};
}
FakeTransport::Answer no_tls() {
    return [](const Request&) -> Response {
        TransportError error(ErrorCode::unavailable, "that is no TLS", "", false);
        throw TransportError(error.set_not_tls());
    };
}

class ClientTest : public testing::Test {
  protected:
    Response get(const std::string& host = "r.example") {
        return registry.client(host).send("/v2/app/blobs/x", {}, {.scopes = {"repository:app:pull"}});
    }
    template <typename Failure = Error>
    Failure failure(const std::string& host = "r.example") {
        try {
            get(host);
        } catch (const Failure& error) {
            EXPECT_THAT(render(error), Not(HasSubstr("hunter2")));
            EXPECT_THAT(render(error), Not(HasSubstr("YWxpY2U6")));
            return error;
        }
        throw std::logic_error("nothing failed");
    }

    FakeRegistry registry;
    FakeTransport& transport = registry.transport;
};

TEST_F(ClientTest, NobodyIsToldAPasswordUnasked) {
    transport.on(blob, {.status = 200});
    get();
    EXPECT_THAT(transport.lines(), ElementsAre(blob));
    for (const auto& request : transport.sent()) EXPECT_EQ(request.header("authorization"), "");
}

TEST_F(ClientTest, TheRegistryThatAsksIsAnswered) {
    transport.on(blob, asks_for_basic()).on(blob, {.status = 200});
    get();
    get();
    std::vector<std::string> told;
    for (const auto& request : transport.sent()) told.push_back(request.header("authorization"));
    EXPECT_THAT(told, ElementsAre("", alice_basic, alice_basic));
}

TEST_F(ClientTest, ARedirectLeavesThePasswordBehind) {
    const char* elsewhere = "GET https://cdn.example/x?sig=S";
    transport.on(blob, asks_for_basic()).on(blob, redirect("https://cdn.example/x?sig=S"));
    transport.on(elsewhere, {.status = 200, .body = "bytes"});
    EXPECT_EQ(get().body, "bytes");
    EXPECT_EQ(transport.sent().back().line, elsewhere);
    EXPECT_EQ(transport.sent().back().header("authorization"), "");
}

TEST_F(ClientTest, AnotherPortOrSchemeIsAnotherHost) {
    for (const char* where : {"https://r.example:444/x", "https://a.r.example/x"}) {
        FakeRegistry one;
        one.transport.on(blob, asks_for_basic()).on(blob, redirect(where));
        one.transport.on("GET " + std::string(where), {.status = 200});
        one.client().send("/v2/app/blobs/x", {}, {});
        EXPECT_EQ(one.transport.sent().back().header("authorization"), "") << where;
    }
}

TEST_F(ClientTest, AHostThatWasRedirectedToIsNotAnsweredWhenItAsks) {
    transport.on(blob, redirect("https://thief.example/x"));
    transport.on("GET https://thief.example/x", asks_for_basic());
    const auto error = failure<HttpError>();
    EXPECT_EQ(error.status(), 401);
    EXPECT_EQ(transport.sent().size(), 2U);
}

TEST_F(ClientTest, HttpsIsNeverLeft) {
    for (const char* where : {"http://r.example/x", "http://cdn.example/x", "http://127.0.0.1/x"}) {
        FakeRegistry one;
        one.transport.on(blob, redirect(where));
        EXPECT_THROW(one.client().send("/v2/app/blobs/x", {}, {}), Error) << where;
        EXPECT_THAT(one.transport.lines(), ElementsAre(blob)) << where;
    }
}

TEST_F(ClientTest, RedirectsEnd) {
    transport.on(blob, redirect("/v2/app/blobs/x"));
    EXPECT_THAT(failure().message(), HasSubstr("more than 5 redirects"));
}

TEST_F(ClientTest, ABodyIsNotLedElsewhere) {
    const char* put = "PUT https://r.example/v2/app/blobs/x";
    transport.on(put, redirect("https://cdn.example/x"));
    Request request;
    request.method = "PUT";
    EXPECT_THROW(registry.client().send("/v2/app/blobs/x", request, {}), HttpError);
    EXPECT_THAT(transport.lines(), ElementsAre(put));
}

TEST_F(ClientTest, WhatPassesIsTriedAgain) {
    transport.on(blob, {.status = 503}).on(blob, failing(true)).on(blob, {.status = 200, .body = "there"});
    EXPECT_EQ(get().body, "there");
}

TEST_F(ClientTest, ThreeTimesAndNoMore) {
    transport.on(blob, {.status = 500});
    EXPECT_EQ(failure<HttpError>().status(), 500);
    EXPECT_THAT(transport.lines(), ElementsAre(blob, blob, blob));
}

TEST_F(ClientTest, WhatDoesNotPassIsNot) {
    for (const int status : {400, 403, 404, 416, 501}) {
        FakeRegistry one;
        one.transport.on(blob, {.status = status});
        EXPECT_THROW(one.client().send("/v2/app/blobs/x", {}, {}), HttpError);
        EXPECT_THAT(one.transport.lines(), ElementsAre(blob)) << status;
    }
    FakeRegistry one;
    one.transport.on(blob, failing(false));
    EXPECT_THROW(one.client().send("/v2/app/blobs/x", {}, {}), TransportError);
    EXPECT_THAT(one.transport.lines(), ElementsAre(blob));
}

TEST_F(ClientTest, ARegistryThatWantsTooLongAWaitIsNotWaitedFor) {
    transport.on(blob, {.status = 429, .headers = {{"retry-after", "3600"}}});
    EXPECT_EQ(failure<HttpError>().retry_after(), std::chrono::seconds(3600));
    EXPECT_THAT(transport.lines(), ElementsAre(blob));
}

TEST_F(ClientTest, ErrorsSayWhatWhereWhoAndWhy) {
    transport.on(blob, asks_for_basic());
    transport.on(blob,
                 {.status = 403, .body = R"({"errors": [{"code": "DENIED", "message": "not\u001b[31m yours"}]})"});
    const auto error = failure<HttpError>();
    EXPECT_EQ(error.message(),
              "GET https://r.example/v2/app/blobs/x as alice: 403 forbidden: DENIED: not\\x1b[31m yours");
    EXPECT_THAT(error.hint(), HasSubstr("mkimg login r.example"));
}

TEST_F(ClientTest, PlainHttpIsForLoopbackAndWhatTheUserNames) {
    for (const char* host : {"127.0.0.1:5000", "localhost:5000", "insecure.example"}) {
        FakeRegistry one;
        one.transport.on("GET https://" + std::string(host) + "/v2/", no_tls());
        one.transport.on("GET http://" + std::string(host) + "/v2/app/blobs/x", {.status = 200});
        EXPECT_EQ(one.client(host).send("/v2/app/blobs/x", {}, {}).status, 200) << host;
    }
    for (const char* host : {"other.example", "localhost.example", "127.0.0.1.example"}) {
        FakeRegistry one;
        const std::string line = "GET https://" + std::string(host) + "/v2/app/blobs/x";
        one.transport.on(line, no_tls());
        EXPECT_THROW(one.client(host).send("/v2/app/blobs/x", {}, {}), TransportError) << host;
        for (const std::string& sent : one.transport.lines()) EXPECT_THAT(sent, HasSubstr("https://"));
    }
}

TEST_F(ClientTest, TlsOnLoopbackIsFound) {
    // As servers that speak TLS answer plain HTTP: by a status, with a redirect, or by closing the connection.
    std::vector<FakeTransport::Answer> answers{failing(true), failing(false)};
    answers.emplace_back([](const Request&) { return redirect("https://localhost/"); });
    for (const int status : {400, 403, 404, 421, 426, 497, 503}) {
        answers.emplace_back([status](const Request&) {
            return Response{.status = status, .headers = {{"content-type", "text/html"}}};
        });
    }
    for (const auto& answer : answers) {
        FakeRegistry one;
        one.transport.on("GET http://localhost:5000/v2/app/blobs/x", answer);
        one.transport.on("GET https://localhost:5000/v2/", {.status = 200});
        one.transport.on("GET https://localhost:5000/v2/app/blobs/x", {.status = 200});
        EXPECT_EQ(one.client("localhost:5000").send("/v2/app/blobs/x", {}, {}).status, 200);
        EXPECT_THAT(one.transport.lines().back(), HasSubstr("https://"));
    }
}

TEST_F(ClientTest, PlainHttpOnLoopbackIsFoundByTheRequestItself) {
    const char* plain = "GET http://localhost:5000/v2/app/blobs/x";
    transport.on(plain, {.status = 200, .body = "there"});
    EXPECT_EQ(get("localhost:5000").body, "there");
    EXPECT_THAT(transport.lines(), ElementsAre(plain));
    get("localhost:5000");
    EXPECT_THAT(transport.lines(), ElementsAre(plain, plain));
}

TEST_F(ClientTest, WhatTheFindingRequestIsAnsweredCounts) {
    const char* plain = "GET http://localhost:5000/v2/app/blobs/x";
    FakeRegistry none;
    none.transport.on(plain, {.status = 404, .headers = {{"docker-distribution-api-version", "registry/2.0"}}});
    EXPECT_THROW(none.client("localhost:5000").send("/v2/app/blobs/x", {}, {}), HttpError);
    EXPECT_THAT(none.transport.lines(), ElementsAre(plain));

    // Where nobody speaks TLS, also what has no mark of a registry.
    FakeRegistry page;
    page.transport.on(plain, {.status = 404, .headers = {{"content-type", "text/html"}}});
    page.transport.on("GET https://localhost:5000/v2/", no_tls());
    EXPECT_THROW(page.client("localhost:5000").send("/v2/app/blobs/x", {}, {}), HttpError);
    EXPECT_THAT(page.transport.lines(), ElementsAre(plain, "GET https://localhost:5000/v2/"));

    FakeRegistry busy;
    busy.transport.on(plain, {.status = 503, .headers = {{"content-type", "application/json; charset=utf-8"}}});
    EXPECT_THROW(busy.client("localhost:5000").send("/v2/app/blobs/x", {}, {}), HttpError);
    EXPECT_THAT(busy.transport.lines(), ElementsAre(plain, plain, plain));

    FakeRegistry asking;
    asking.transport.on(plain, asks_for_basic()).on(plain, {.status = 200});
    EXPECT_EQ(asking.client("localhost:5000").send("/v2/app/blobs/x", {}, {}).status, 200);
    EXPECT_THAT(asking.transport.lines(), ElementsAre(plain, plain));
    EXPECT_EQ(asking.transport.sent()[0].header("authorization"), "");
    EXPECT_EQ(asking.transport.sent()[1].header("authorization"), alice_basic);
}

TEST_F(ClientTest, WhatChangesSomethingIsNotSentToFindOut) {
    const char* put = "PUT http://localhost:5000/v2/app/manifests/1";
    transport.on("GET http://localhost:5000/v2/", {.status = 200});
    transport.on(put, {.status = 201});
    Request request;
    request.method = "PUT";
    registry.client("localhost:5000").send("/v2/app/manifests/1", request, {.accepted = {201}});
    EXPECT_THAT(transport.lines(), ElementsAre("GET http://localhost:5000/v2/", put));
}

TEST_F(ClientTest, ThePortOfHttpsIsAskedForTls) {
    transport.on("GET https://localhost/v2/app/blobs/x", {.status = 200});
    get("localhost:443");
    for (const std::string& line : transport.lines()) EXPECT_THAT(line, HasSubstr("https://"));
}

TEST_F(ClientTest, ACertificateThatIsRefusedIsNoReasonForPlainHttp) {
    transport.on("GET http://localhost:5000/v2/app/blobs/x", {.status = 400});
    transport.on("GET https://localhost:5000/v2/", failing(false));
    EXPECT_THROW(get("localhost:5000"), TransportError);
    EXPECT_THAT(transport.lines(),
                ElementsAre("GET http://localhost:5000/v2/app/blobs/x", "GET https://localhost:5000/v2/"));
}

TEST_F(ClientTest, DockerHubIsWhereItIs) {
    transport.on("GET https://registry-1.docker.io/v2/app/blobs/x", {.status = 200});
    EXPECT_EQ(get("docker.io").status, 200);
}

}  // namespace
}  // namespace mkimg::registry
