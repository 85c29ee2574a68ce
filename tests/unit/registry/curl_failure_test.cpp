// Servers that behave badly, and what is said of them.
#include <algorithm>

#include "tests/unit/registry/transport_fixture.h"

namespace mkimg::registry {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class CurlFailureTest : public TransportTest {
  protected:
    // What is thrown as Error(corrupt): an answer that no further try makes better.
    std::string corruption(const Request& request, Receiver* receiver = nullptr) {
        try {
            transport_->send(request, receiver);
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::corrupt) << e.message();
            return e.message();
        }
        ADD_FAILURE() << "answered";
        return {};
    }
};

// After the request, writes `answer` and closes.
HttpServer::Script closing(std::string answer) {
    return [answer = std::move(answer)](Connection& connection) {
        connection.read_request();
        connection.write(answer);
    };
}

TEST_F(CurlFailureTest, Refused) {
    std::uint16_t port = 0;
    {
        const HttpServer server(closing(""));
        port = server.port();
    }
    const std::string authority = "127.0.0.1:" + std::to_string(port);
    const TransportError error = failure(request("http://" + authority + "/v2/?token=s3cret"));
    EXPECT_EQ(error.message(), "GET http://" + authority + "/v2/: cannot connect: Connection refused");
    EXPECT_THAT(error.hint(), HasSubstr(authority));
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_TRUE(error.temporary());
    EXPECT_FALSE(error.not_tls());
}

// RFC 6761: no name below "invalid" exists.
TEST_F(CurlFailureTest, UnknownName) {
    const TransportError error = failure(request("https://registry.invalid/v2/", "HEAD"));
    EXPECT_EQ(error.message(), "HEAD https://registry.invalid/v2/: cannot resolve the name registry.invalid");
    EXPECT_TRUE(error.temporary());
}

TEST_F(CurlFailureTest, ClosedWithoutAnAnswer) {
    const HttpServer server(closing(""));
    const TransportError error = failure(request(server.url()));
    EXPECT_EQ(error.message(), "GET " + server.url() + ": the connection was closed without an answer");
    EXPECT_TRUE(error.temporary());
}

TEST_F(CurlFailureTest, ResetBeforeTheAnswer) {
    const HttpServer server([](Connection& connection) {
        connection.read_request();
        connection.reset();
    });
    const TransportError error = failure(request(server.url()));
    EXPECT_THAT(error.message(), HasSubstr("broke off before the answer"));
    EXPECT_TRUE(error.temporary());
}

TEST_F(CurlFailureTest, ResetInTheMiddleOfTheAnswer) {
    Collector collector;
    const HttpServer server([&](Connection& connection) {
        connection.read_request();
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
        connection.pause(200);  // what has not been read yet is lost with a reset
        connection.reset();
    });
    const TransportError error = failure(request(server.url()), &collector);
    EXPECT_THAT(error.message(), HasSubstr("broke off in the middle of the answer"));
    EXPECT_TRUE(error.temporary());
    EXPECT_EQ(collector.text, "abc");
}

TEST_F(CurlFailureTest, ShorterThanItsContentLength) {
    const HttpServer server(closing("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + std::string(2048, 'x')));
    const TransportError error = failure(request(server.url()));
    EXPECT_THAT(error.message(), HasSubstr("ended too early, after 2.0 KiB"));
    EXPECT_TRUE(error.temporary());
}

TEST_F(CurlFailureTest, ChunksThatEndTooEarly) {
    const HttpServer server(closing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
    const TransportError error = failure(request(server.url()));
    EXPECT_THAT(error.message(), HasSubstr("ended too early, after 3 B"));
    EXPECT_TRUE(error.temporary());
}

TEST_F(CurlFailureTest, LongerThanItsContentLength) {
    const HttpServer server(closing("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n"));
    EXPECT_EQ(get(server.url()).body, "abc");
    EXPECT_EQ(get(server.url()).body, "abc");  // what came after it is no answer to this
}

TEST_F(CurlFailureTest, NoHttp) {
    const HttpServer server([](Connection& connection) {
        connection.write("SSH-2.0-OpenSSH_9.2\r\n");
        connection.read_request();
    });
    const TransportError error = failure(request(server.url()));
    EXPECT_THAT(error.message(), HasSubstr("the answer is no HTTP"));
    EXPECT_FALSE(error.temporary());
}

TEST_F(CurlFailureTest, TooLongByItsContentLength) {
    const HttpServer server([](Connection& connection) {
        connection.read_request();
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1025\r\n\r\n");
        connection.hang();
    });
    Request limited = request(server.url("/v2/?s3cret"));
    limited.limit = 1024;
    Collector collector;
    EXPECT_EQ(corruption(limited, &collector),
              "GET " + server.url("/v2/") + ": the answer is larger than the 1.0 KiB allowed");
    EXPECT_EQ(collector.begun, 0);
}

TEST_F(CurlFailureTest, EndlessBodies) {
    const std::string piece(65536, 'x');
    const HttpServer server([&](Connection& connection) {
        const bool chunked = connection.read_request().find("/chunked") != std::string::npos;
        connection.write(chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" : "HTTP/1.1 200 OK\r\n\r\n");
        while (connection.write(chunked ? "10000\r\n" + piece + "\r\n" : piece)) continue;
    });
    for (const char* const path : {"/", "/chunked"}) {
        EXPECT_THAT(corruption(request(server.url(path))), HasSubstr("larger than the 8.0 MiB allowed"));
        Request limited = request(server.url(path));
        limited.limit = 100'000;
        Collector collector;
        EXPECT_THAT(corruption(limited, &collector), HasSubstr("larger than the 97.7 KiB allowed"));
        EXPECT_LE(collector.text.size(), 100'000U);
    }
}

TEST_F(CurlFailureTest, ExactlyTheLimitIsAllowed) {
    const HttpServer server(closing("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n" + std::string(1024, 'x')));
    Request limited = request(server.url());
    limited.limit = 1024;
    EXPECT_EQ(transport_->send(limited).body.size(), 1024U);
}

TEST_F(CurlFailureTest, EndlessErrorsAreCut) {
    const HttpServer server([](Connection& connection) {
        connection.read_request();
        connection.write("HTTP/1.1 500 Internal Server Error\r\n\r\n");
        while (connection.write(std::string(65536, 'e'))) continue;
    });
    const Response response = get(server.url());
    EXPECT_EQ(response.status, 500);
    EXPECT_EQ(response.body, std::string(65536, 'e'));
    EXPECT_EQ(get(server.url()).status, 500);
}

TEST_F(CurlFailureTest, EndlessHeaders) {
    const HttpServer server([](Connection& connection) {
        const std::string head = connection.read_request();
        connection.write("HTTP/1.1 200 OK\r\n");
        if (head.starts_with("GET /one")) {
            connection.write("x: ");
            while (connection.write(std::string(4096, 'h'))) continue;
        }
        if (head.starts_with("GET /interim")) {
            while (connection.write("\r\nHTTP/1.1 103 Early Hints\r\nx: y\r\n")) continue;
        }
        while (connection.write("x: " + std::string(1000, 'h') + "\r\n")) continue;
    });
    EXPECT_THAT(corruption(request(server.url("/many"))), HasSubstr("more than 256.0 KiB of headers"));
    EXPECT_THAT(corruption(request(server.url("/one"))), HasSubstr("header"));
}

TEST_F(CurlFailureTest, EndlessInterimAnswers) {
    const HttpServer server([](Connection& connection) {
        connection.read_request();
        while (connection.write("HTTP/1.1 103 Early Hints\r\nx: " + std::string(1000, 'y') + "\r\n\r\n")) continue;
    });
    EXPECT_THAT(corruption(request(server.url())), HasSubstr("more than 256.0 KiB of headers"));
}

TEST_F(CurlFailureTest, DocumentsHaveATimeForTheWhole) {
    configure(R"({"timeouts": {"document": 0.5}})");
    const HttpServer server([](Connection& connection) {
        connection.read_request();
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        while (connection.pause(10) && connection.write(std::string(1000, 'x'))) continue;  // slow, but no stall
    });
    Request slow = request(server.url());
    slow.limit = 1U << 30U;
    const TransportError error = failure(slow);
    EXPECT_EQ(error.message(), "GET " + server.url() + ": no whole answer within 0.5 s");
    EXPECT_TRUE(error.temporary());
}

TEST_F(CurlFailureTest, TransfersMustNotStall) {
    configure(R"({"timeouts": {"stall": 1, "document": 0.5}})");
    const HttpServer server([](Connection& connection) {
        const std::string head = connection.read_head();
        if (head.starts_with("GET /silent")) connection.hang();
        if (head.starts_with("PUT")) {
            connection.write("HTTP/1.1 100 Continue\r\n\r\n");
            while (connection.pause(1000)) continue;  // reads nothing
        }
        connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while (connection.pause(50) && connection.write("x")) continue;
    });
    for (const Request& made : {request(server.url("/silent")), request(server.url("/drip")),
                                upload(server.url("/up"), "PUT", std::string(20'000'000, 'x'))}) {
        Request transfer = made;
        transfer.document = false;
        const TransportError error = failure(transfer);
        EXPECT_EQ(error.message(), transfer.method + " " + transfer.url.str() + ": stalled: less than 1 KiB/s for 1 s");
        EXPECT_TRUE(error.temporary());
    }
}

TEST_F(CurlFailureTest, ConnectingHasATime) {
    configure(R"({"timeouts": {"connect": 0.2}})");
    const FullListener listener;
    const TransportError error = failure(request(listener.url()));
    EXPECT_EQ(error.message(), "GET " + listener.url() + ": no connection within 0.2 s");
    EXPECT_TRUE(error.temporary());
}

// Proxies.

class ProxyTest : public CurlFailureTest {
  protected:
    // Other variables of the environment that the tests run in must not count.
    Environment http_{"http_proxy", ""}, https_{"https_proxy", ""}, upper_{"HTTP_PROXY", ""},
        upper_https_{"HTTPS_PROXY", ""}, all_{"all_proxy", ""}, upper_all_{"ALL_PROXY", ""}, no_{"no_proxy", ""},
        upper_no_{"NO_PROXY", ""};
};

TEST_F(ProxyTest, HttpGoesThroughEitherSpelling) {
    const HttpServer proxy([](Connection& connection) {
        for (std::string head; !(head = connection.read_request()).empty();) {
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" + head);
        }
    });
    const std::string address = "http://user:s3cret@127.0.0.1:" + std::to_string(proxy.port());
    for (const char* const name : {"http_proxy", "HTTP_PROXY", "all_proxy"}) {
        const Environment set(name, address);
        const std::string head = get("http://registry.invalid/v2/").body;
        EXPECT_THAT(head, StartsWith("GET http://registry.invalid/v2/ HTTP/1.1\r\n")) << name;
        EXPECT_THAT(head, HasSubstr("\r\nProxy-Authorization: Basic dXNlcjpzM2NyZXQ=\r\n"));  // user:s3cret
    }
    const Environment set("http_proxy", address);
    const Environment exempt("no_proxy", ".invalid");
    EXPECT_THAT(failure(request("http://registry.invalid/v2/")).message(), HasSubstr("cannot resolve"));
}

TEST_F(ProxyTest, LoopbackHostsAreReachedDirectly) {
    const HttpServer server(answering("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ndirect"));
    const Environment set("http_proxy", "http://proxy.invalid:3128");
    EXPECT_EQ(get(server.url()).body, "direct");
}

TEST_F(ProxyTest, ARefusedTunnelNamesTheProxyAndNoPassword) {
    const HttpServer proxy(answering("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"));
    const std::string authority = "127.0.0.1:" + std::to_string(proxy.port());
    const Environment set("https_proxy", "http://user:s3cret@" + authority);
    const TransportError error = failure(request("https://registry.invalid/v2/"));
    EXPECT_EQ(error.message(), "GET https://registry.invalid/v2/: the proxy refused to connect: status 407");
    EXPECT_EQ(error.hint(), "check https_proxy=" + authority);
    EXPECT_FALSE(error.temporary());
}

TEST_F(ProxyTest, AProxyThatIsNotThereIsNamedWithoutItsPassword) {
    for (const char* const address : {"http://user:s3cret@proxy.invalid:3128", "user:s3cret@proxy.invalid:3128",
                                      "http://us/er:s3cret@proxy.invalid:3128", "nonsense://user:s3cret@proxy.invalid",
                                      "http://user:s3cret@proxy.invalid:99999"}) {
        const Environment set("https_proxy", address);
        try {
            get("https://registry.invalid/v2/");
            FAIL();
        } catch (const Error& e) {
            EXPECT_THAT(render(e), Not(HasSubstr("s3cret"))) << address;
            EXPECT_THAT(e.hint(), HasSubstr("https_proxy=proxy.invalid")) << address << ": " << e.message();
        }
    }
}

}  // namespace
}  // namespace mkimg::registry
