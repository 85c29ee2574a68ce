#include "registry/curl_transport.h"

#include <algorithm>
#include <thread>

#include "tests/unit/registry/transport_fixture.h"

namespace mkimg::registry {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using CurlTransportTest = TransportTest;

// The heads of the requests that a server saw.
class Log {
  public:
    void add(std::string head) {
        const std::lock_guard lock(mutex_);
        heads_.push_back(std::move(head));
    }
    std::vector<std::string> heads() const {
        const std::lock_guard lock(mutex_);
        return heads_;
    }

  private:
    mutable std::mutex mutex_;
    std::vector<std::string> heads_;
};

std::string ok(const std::string& body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST_F(CurlTransportTest, AnswersWithStatusHeadersAndBody) {
    const HttpServer server(
        answering("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-One:  a \r\nx-one: b\r\n"
                  "X-Empty:\r\nX-Folded: c\r\n  d\r\n\r\nnone"));
    const Response response = get(server.url("/v2/a?b=c"));
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(response.body, "none");
    EXPECT_EQ(response.header("x-one"), "a");
    EXPECT_THAT(response.headers_named("x-one"), ElementsAre("a", "b"));
    EXPECT_EQ(response.header("x-empty"), "");
    EXPECT_EQ(response.header("x-folded"), "c d");
    EXPECT_EQ(response.header("x-none"), std::nullopt);
}

TEST_F(CurlTransportTest, SendsWhatTheRequestSaysAndNoMore) {
    Log log;
    const HttpServer server([&](Connection& connection) {
        for (std::string head; !(head = connection.read_request()).empty();) {
            log.add(head);
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\n\r\n");
        }
    });
    Request first = request(server.url("/v2/%2e%2E/x?n=1&last="));
    first.headers = {{"accept", "a/b, c/d"}, {"x-none", ""}};
    transport_->send(first);
    transport_->send(request(server.url("/v2/")));
    const std::string host = "127.0.0.1:" + std::to_string(server.port());
    EXPECT_THAT(log.heads(), ElementsAre("GET /v2/%2e%2E/x?n=1&last= HTTP/1.1\r\nHost: " + host +
                                             "\r\nUser-Agent: mkimg/0.1.0\r\naccept: a/b, c/d\r\nx-none:\r\n\r\n",
                                         "GET /v2/ HTTP/1.1\r\nHost: " + host +
                                             "\r\nUser-Agent: mkimg/0.1.0\r\nAccept: */*\r\n\r\n"));
}

TEST_F(CurlTransportTest, AHeaderCannotCarryAnother) {
    const HttpServer server(answering(ok("")));
    Request bad = request(server.url());
    bad.headers = {{"authorization", "Bearer s3cret\r\nX-Evil: 1"}};
    try {
        transport_->send(bad);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::corrupt);
        EXPECT_THAT(e.message(), HasSubstr("authorization"));
        EXPECT_THAT(e.message(), Not(HasSubstr("s3cret")));
    }
}

TEST_F(CurlTransportTest, RedirectsAreAnswers) {
    const HttpServer server(
        answering("HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"));
    const Response response = get(server.url());
    EXPECT_EQ(response.status, 307);
    EXPECT_EQ(response.header("location"), "/elsewhere");
}

TEST_F(CurlTransportTest, KeepsConnections) {
    const HttpServer server(answering(ok("x")));
    for (int i = 0; i < 10; ++i) EXPECT_EQ(get(server.url()).body, "x");
    transport_->send(upload(server.url(), "PUT", "some"));
    transport_->send(request(server.url(), "DELETE"));
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlTransportTest, AskedAgainWhereAKeptConnectionWasClosed) {
    Log log;
    const HttpServer server([&](Connection& connection) {
        std::string body;
        const std::string head = connection.read_request(&body);
        log.add(head.substr(0, 3) + body);
        connection.write(ok("x"));  // and closes, without having said so
    });
    for (int i = 0; i < 3; ++i) EXPECT_EQ(transport_->send(upload(server.url(), "PUT", "content")).body, "x");
    EXPECT_THAT(log.heads(), ElementsAre("PUTcontent", "PUTcontent", "PUTcontent"));
}

TEST_F(CurlTransportTest, ReceiversTakeSuccessfulBodies) {
    const std::string large(3'000'000, 'x');
    const HttpServer server([&](Connection& connection) {
        for (std::string head; !(head = connection.read_request()).empty();) {
            if (head.starts_with("GET /large")) connection.write(ok(large));
            if (head.starts_with("GET /empty")) connection.write(ok(""));
            if (head.starts_with("GET /204")) connection.write("HTTP/1.1 204 No Content\r\n\r\n");
            if (head.starts_with("GET /206")) {
                connection.write("HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\nab");
            }
            if (head.starts_with("GET /503")) {
                connection.write("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
            }
        }
    });
    const auto receive = [&](const std::string& path) {
        Collector collector;
        const Response response = transport_->send(request(server.url(path)), &collector);
        EXPECT_EQ(collector.begun == 0 ? 503 : collector.status, response.status);
        return std::tuple(collector.begun, collector.text, response.body);
    };
    EXPECT_EQ(receive("/large"), std::tuple(1, large, ""));
    EXPECT_EQ(receive("/empty"), std::tuple(1, "", ""));
    EXPECT_EQ(receive("/204"), std::tuple(1, "", ""));
    EXPECT_EQ(receive("/206"), std::tuple(1, "ab", ""));
    EXPECT_EQ(receive("/503"), std::tuple(0, "", "busy"));
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlTransportTest, WhatAReceiverThrowsComesOut) {
    struct Full final : Receiver {
        void begin(const Response&) override {}
        void write(std::span<const std::byte>) override { throw Error(ErrorCode::conflict, "full"); }
    };
    struct Unwilling final : Receiver {
        void begin(const Response&) override { throw Error(ErrorCode::conflict, "unwilling"); }
        void write(std::span<const std::byte>) override { ADD_FAILURE(); }
    };
    const HttpServer server(answering(ok("x")));
    Full full;
    Unwilling unwilling;
    EXPECT_THAT([&] { transport_->send(request(server.url()), &full); },
                testing::ThrowsMessage<Error>(StartsWith("full")));
    EXPECT_THAT([&] { transport_->send(request(server.url()), &unwilling); },
                testing::ThrowsMessage<Error>(StartsWith("unwilling")));
    EXPECT_EQ(get(server.url()).body, "x");
}

TEST_F(CurlTransportTest, ChunksAreJoinedAndTrailersLeftOut) {
    const HttpServer server(
        answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Trailer: t\r\n\r\n"));
    Collector collector;
    const Response response = transport_->send(request(server.url()), &collector);
    EXPECT_EQ(collector.text, "abcdefg");
    EXPECT_EQ(collector.begun, 1);
    EXPECT_EQ(response.header("x-trailer"), std::nullopt);
    EXPECT_EQ(get(server.url()).body, "abcdefg");
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlTransportTest, InterimAnswersAreLeftOut) {
    const HttpServer server(answering("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + ok("x")));
    const Response response = get(server.url());
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.header("link"), std::nullopt);
}

TEST_F(CurlTransportTest, HeadHasNoBodyWhateverItsLength) {
    const HttpServer server(answering("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"));
    const Response response = transport_->send(request(server.url(), "HEAD"));
    EXPECT_EQ(response.header("content-length"), "99999999999");
    EXPECT_EQ(response.body, "");
    transport_->send(request(server.url(), "HEAD"));
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlTransportTest, EightThreadsAtOnce) {
    const HttpServer server([](Connection& connection) {
        for (std::string body; !connection.read_request(&body).empty();) connection.write(ok(body));
    });
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (int thread = 0; thread < 8; ++thread) {
        threads.emplace_back([&, thread] {
            for (int i = 0; i < 20; ++i) {
                const std::string content(static_cast<std::size_t>(10'000 * thread + i), static_cast<char>('a' + i));
                if (transport_->send(upload(server.url(), "PUT", content)).body == content) ++right;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right, 160);
    EXPECT_LE(server.connections(), 8);
}

// Uploads.

TEST_F(CurlTransportTest, BodiesAreSentWithTheirMethodAndLength) {
    Log log;
    const HttpServer server([&](Connection& connection) {
        std::string body;
        for (std::string head; !(head = connection.read_request(&body)).empty();) {
            log.add(head.substr(0, head.find(' ')) + " " + std::to_string(body.size()));
            EXPECT_THAT(to_lower(head), HasSubstr("\r\ncontent-length: " + std::to_string(body.size()) + "\r\n"));
            EXPECT_THAT(to_lower(head), Not(HasSubstr("content-type")));
            EXPECT_THAT(to_lower(head), Not(HasSubstr("chunked")));
            connection.write(ok(body));
            body.clear();
        }
    });
    const std::string large(5'000'000, 'l');
    for (const char* const method : {"PUT", "PATCH", "POST"}) {
        EXPECT_EQ(transport_->send(upload(server.url(), method, "abc")).body, "abc");
        EXPECT_EQ(transport_->send(upload(server.url(), method, large)).body, large);
        EXPECT_EQ(transport_->send(upload(server.url(), method, "")).body, "");
        EXPECT_EQ(transport_->send(request(server.url(), method)).body, "");
    }
    EXPECT_THAT(log.heads(), ElementsAre("PUT 3", "PUT 5000000", "PUT 0", "PUT 0", "PATCH 3", "PATCH 5000000",
                                         "PATCH 0", "PATCH 0", "POST 3", "POST 5000000", "POST 0", "POST 0"));
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlTransportTest, OnlyLargeBodiesWaitForLeave) {
    Log log;
    const HttpServer server([&](Connection& connection) {
        for (std::string head; !(head = connection.read_request()).empty();) {
            log.add(to_lower(head).find("\r\nexpect: 100-continue\r\n") == std::string::npos ? "sent" : "asked");
            connection.write(ok(""));
        }
    });
    transport_->send(upload(server.url(), "PUT", std::string(100'000, 'x')));
    transport_->send(upload(server.url(), "PUT", std::string(2'000'000, 'x')));
    EXPECT_THAT(log.heads(), ElementsAre("sent", "asked"));
}

TEST_F(CurlTransportTest, BodiesAreOpenedOncePerSend) {
    const HttpServer server(answering(ok("")));
    Request put = upload(server.url(), "PUT", "abc");
    int opened = 0;
    put.body->open = [&, open = put.body->open] {
        ++opened;
        return open();
    };
    transport_->send(put);
    EXPECT_EQ(opened, 1);
    transport_->send(put);
    EXPECT_EQ(opened, 2);
}

TEST_F(CurlTransportTest, ABodyThatIsTooShortIsNoUpload) {
    const HttpServer server(answering(ok("")));
    Request put = upload(server.url(), "PUT", "abc");
    put.body->size = 4;
    EXPECT_THAT([&] { transport_->send(put); }, testing::ThrowsMessage<Error>(HasSubstr("shorter")));
    put.body->open = []() -> std::unique_ptr<Source> {
        struct Broken final : Source {
            std::size_t read(std::span<std::byte>) override { throw Error(ErrorCode::corrupt, "bad blob"); }
        };
        return std::make_unique<Broken>();
    };
    EXPECT_THAT([&] { transport_->send(put); }, testing::ThrowsMessage<Error>(StartsWith("bad blob")));
}

// A server that refuses need not read what it refuses: before the body, in its middle, closing or not.
TEST_F(CurlTransportTest, EarlyRefusalsOfUploadsAreAnswers) {
    const std::string refusal = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"x\"\r\n";
    const HttpServer server([&](Connection& connection) {
        const std::string head = connection.read_head();
        const bool middle = head.find("/middle") != head.npos;
        if (to_lower(head).find("expect:") != std::string::npos && middle) {
            connection.write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        if (middle) connection.read_bytes(1'000'000);
        const bool says_close = head.find("/close") != head.npos;
        connection.write(refusal + (says_close ? "Connection: close\r\n" : "") + "Content-Length: 6\r\n\r\ndenied");
        if (head.find("/keep") != head.npos) connection.hang();
        connection.pause(100);  // then closes with much unread: the connection is reset
    });
    const std::string content(20'000'000, 'x');  // more than the sockets' buffers take
    for (const char* const path : {"/keep", "/silent", "/close", "/keep/middle", "/silent/middle", "/close/middle"}) {
        const Response response = transport_->send(upload(server.url(path), "PATCH", content));
        EXPECT_EQ(response.status, 401) << path;
        EXPECT_EQ(response.header("www-authenticate"), "Bearer realm=\"x\"") << path;
    }
}

// Cancelling.

TEST_F(CurlTransportTest, CancelsWhileWaitingForAnAnswer) {
    HttpServer server([&](Connection& connection) {
        connection.read_request();
        cancel_.request();
        connection.hang();
    });
    EXPECT_THAT([&] { get(server.url()); }, testing::ThrowsMessage<Error>(StartsWith("cancelled")));
    EXPECT_THAT([&] { get(server.url()); }, testing::ThrowsMessage<Error>(StartsWith("cancelled")));
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlTransportTest, CancelsInTheMiddleOfABody) {
    const HttpServer server([&](Connection& connection) {
        connection.read_request();
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc");
        cancel_.request();
        connection.hang();
    });
    Collector collector;
    EXPECT_THAT([&] { transport_->send(request(server.url()), &collector); },
                testing::ThrowsMessage<Error>(StartsWith("cancelled")));
}

TEST_F(CurlTransportTest, CancelsInTheMiddleOfAnUpload) {
    const HttpServer server([&](Connection& connection) {
        connection.read_head();
        connection.write("HTTP/1.1 100 Continue\r\n\r\n");
        connection.read_bytes(100'000);
        cancel_.request();
        while (connection.pause(1000)) continue;
    });
    EXPECT_THAT([&] { transport_->send(upload(server.url(), "PUT", std::string(20'000'000, 'x'))); },
                testing::ThrowsMessage<Error>(StartsWith("cancelled")));
}

TEST_F(CurlTransportTest, CancelsWhileConnecting) {
    const FullListener listener;
    std::thread canceller([&] {
        ::usleep(100'000);
        cancel_.request();
    });
    EXPECT_THAT([&] { get(listener.url()); }, testing::ThrowsMessage<Error>(StartsWith("cancelled")));
    canceller.join();
}

}  // namespace
}  // namespace mkimg::registry
