// Whom mkimg believes, and to whom it shows a certificate.
#include <filesystem>

#include "tests/unit/registry/tls_peer.h"
#include "tests/unit/registry/transport_fixture.h"

namespace mkimg::registry {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

class TlsTest : public TransportTest {
  protected:
    struct Certificates {
        TempDir directory;
        Authority ours{directory, "ours"};
        Authority other{directory, "other"};
        Certificates() {
            ours.issue("server", "IP:127.0.0.1,DNS:localhost");
            ours.issue("elsewhere", "DNS:elsewhere.example.com");
            ours.issue("expired", "IP:127.0.0.1", -1);
            ours.issue("client", "DNS:client");
            other.issue("stranger", "DNS:client");
        }
    };
    static void SetUpTestSuite() { certificates_ = std::make_unique<Certificates>(); }
    static void TearDownTestSuite() { certificates_.reset(); }

    static const TempDir& files() { return certificates_->directory; }
    static std::string ca() { return certificates_->ours.certificate(); }
    void trust_ours() { configure("{}", {.insecure = {}, .ca_files = {ca()}}); }

    static std::unique_ptr<Certificates> certificates_;
    Environment user_{"XDG_CONFIG_HOME", directory_.path("config")};
};
std::unique_ptr<TlsTest::Certificates> TlsTest::certificates_;

TEST_F(TlsTest, AnUnknownCaIsNotTrusted) {
    const TlsServer server(files(), "server");
    for (const char* const host : {"127.0.0.1", "localhost"}) {
        const TransportError error = failure(request(server.url(host)));
        EXPECT_THAT(error.message(), HasSubstr("GET " + server.url(host) + ": the certificate is not trusted: "));
        EXPECT_THAT(error.hint(), AllOf(HasSubstr("--registry-ca FILE"),
                                        HasSubstr("/etc/docker/certs.d/" + server.authority(host) + "/ca.crt")));
        EXPECT_EQ(error.code(), ErrorCode::denied);
        EXPECT_FALSE(error.temporary());
        EXPECT_FALSE(error.not_tls());
    }
}

TEST_F(TlsTest, AProbeTrustsNobodyAndLeavesNothingToGoOnWith) {
    const TlsServer server(files(), "server");
    Request probe = request(server.url());
    probe.probe = true;
    const Response response = transport_->send(probe);
    EXPECT_EQ(response.status, 0);  // nothing was asked
    EXPECT_TRUE(response.body.empty());
    EXPECT_THAT(failure(request(server.url())).message(), HasSubstr("not trusted"));
    const HttpServer plain([](Connection& connection) { connection.write("HTTP/1.0 400 Bad Request\r\n\r\n"); });
    probe.url = Url::parse("https://127.0.0.1:" + std::to_string(plain.port()) + "/v2/");
    EXPECT_TRUE(failure(probe).not_tls());
}

TEST_F(TlsTest, CasComeFromTheCommandLineTheFileCertsDAndTheEnvironment) {
    const TlsServer server(files(), "server");
    trust_ours();
    EXPECT_EQ(get(server.url()).body, "hello nobody");
    EXPECT_EQ(get(server.url("localhost")).body, "hello nobody");

    configure(R"({"registries": {")" + server.authority() + R"(": {"ca": [")" + ca() + R"("]}}})");
    EXPECT_EQ(get(server.url()).body, "hello nobody");
    EXPECT_THAT(failure(request(server.url("localhost"))).message(), HasSubstr("not trusted"));

    configure("{}");
    std::filesystem::create_directories(directory_.path("config/docker/certs.d/" + server.authority()));
    directory_.write("config/docker/certs.d/" + server.authority() + "/any.crt", files().read("ours.crt"));
    EXPECT_EQ(get(server.url()).body, "hello nobody");
    EXPECT_THAT(failure(request(server.url("localhost"))).message(), HasSubstr("not trusted"));

    configure("{}");
    const Environment bundle("SSL_CERT_FILE", ca());
    EXPECT_EQ(get(server.url("localhost")).body, "hello nobody");
}

TEST_F(TlsTest, SslCertFileIsAllThatIsTrusted) {
    const TlsServer server(files(), "server");
    const Environment bundle("SSL_CERT_FILE", certificates_->other.certificate());
    EXPECT_THAT(failure(request(server.url())).message(), HasSubstr("not trusted"));
    trust_ours();  // besides it
    EXPECT_EQ(get(server.url()).body, "hello nobody");
}

TEST_F(TlsTest, AnotherCaIsNotTrusted) {
    const TlsServer server(files(), "server");
    configure("{}", {.insecure = {}, .ca_files = {certificates_->other.certificate()}});
    EXPECT_THAT(failure(request(server.url())).message(), HasSubstr("not trusted"));
}

TEST_F(TlsTest, TheCertificateMustBeTheHosts) {
    const TlsServer server(files(), "elsewhere");
    trust_ours();
    const TransportError error = failure(request(server.url("localhost")));
    EXPECT_THAT(error.message(), AllOf(HasSubstr("the certificate is for another host"), HasSubstr("'localhost'")));
    EXPECT_EQ(error.code(), ErrorCode::denied);
    EXPECT_THAT(failure(request(server.url())).message(), HasSubstr("the certificate is for another host"));
}

TEST_F(TlsTest, ExpiredCertificatesAreRefused) {
    const TlsServer server(files(), "expired");
    trust_ours();
    const TransportError error = failure(request(server.url()));
    EXPECT_THAT(error.message(), HasSubstr("certificate has expired"));
    EXPECT_THAT(error.hint(), HasSubstr("clock"));
}

TEST_F(TlsTest, InsecureRegistriesMayShowAnything) {
    for (const char* const name : {"server", "elsewhere", "expired"}) {
        const TlsServer server(files(), name);
        configure("{}", {.insecure = {server.authority()}, .ca_files = {}});
        EXPECT_EQ(get(server.url()).status, 200) << name;
        EXPECT_EQ(failure(request(server.url("localhost"))).code(), ErrorCode::denied) << "only the one that was named";
    }
}

TEST_F(TlsTest, ClientsShowTheCertificateThatTheRegistryAsksFor) {
    for (const char* const version : {"1.2", "1.3"}) {
        const TlsServer server(files(), "server", {"--client-ca", ca(), "--version", version});
        trust_ours();
        const TransportError none = failure(request(server.url()));
        EXPECT_THAT(none.message(), HasSubstr("refused TLS")) << version;
        EXPECT_THAT(none.hint(), HasSubstr("/etc/docker/certs.d/" + server.authority() + "/client.cert"));
        EXPECT_FALSE(none.temporary());

        const std::string certs = "config/docker/certs.d/" + server.authority();
        std::filesystem::create_directories(directory_.path(certs));
        directory_.write(certs + "/me.cert", files().read("stranger.crt"));
        directory_.write(certs + "/me.key", files().read("stranger.key"));
        trust_ours();
        EXPECT_THAT(failure(request(server.url())).message(), HasSubstr("refused TLS")) << version;

        directory_.write(certs + "/me.cert", files().read("client.crt"));
        directory_.write(certs + "/me.key", files().read("client.key"));
        trust_ours();
        EXPECT_EQ(get(server.url()).body, "hello client");

        directory_.write(certs + "/me.key", files().read("stranger.key"));
        trust_ours();
        EXPECT_THAT(failure(request(server.url())).message(), HasSubstr("the client certificate can't be used"));
    }
}

TEST_F(TlsTest, OldVersionsAreRefused) {
    const TlsServer server(files(), "server", {"--version", "1.1"});
    trust_ours();
    const TransportError error = failure(request(server.url()));
    EXPECT_THAT(error.message(), HasSubstr("TLS"));
    EXPECT_FALSE(error.temporary());
    EXPECT_FALSE(error.not_tls());
}

TEST_F(TlsTest, PlainHttpIsTold) {
    const HttpServer go(
        answering("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
                  "400 Bad Request"));
    const HttpServer hasty([](Connection& connection) { connection.write("HTTP/1.0 400 Bad Request\r\n\r\n"); });
    const HttpServer other([](Connection& connection) { connection.write("220 smtp.example.com ESMTP\r\n"); });
    const HttpServer first_bytes([](Connection& connection) {
        connection.read_bytes(5);
        connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    for (const HttpServer* const server : {&hasty, &other, &first_bytes}) {
        const std::string authority = "127.0.0.1:" + std::to_string(server->port());
        const TransportError error = failure(request("https://" + authority + "/v2/"));
        EXPECT_EQ(error.message(), "GET https://" + authority + "/v2/: the other side does not speak TLS");
        EXPECT_THAT(error.hint(), HasSubstr("--insecure-registry " + authority));
        EXPECT_TRUE(error.not_tls());
        EXPECT_FALSE(error.temporary());
    }
}

TEST_F(TlsTest, BrokenHandshakesAreTemporary) {
    const HttpServer closing([](Connection& connection) { connection.read_bytes(5); });
    const HttpServer resetting([](Connection& connection) {
        connection.read_bytes(5);
        connection.reset();
    });
    for (const HttpServer* const server : {&closing, &resetting}) {
        const TransportError error = failure(request("https://127.0.0.1:" + std::to_string(server->port()) + "/"));
        EXPECT_THAT(error.message(), HasSubstr("broke off before TLS was agreed on"));
        EXPECT_TRUE(error.temporary());
        EXPECT_TRUE(error.not_tls());
    }
}

TEST_F(TlsTest, HttpToATlsPortFails) {
    const TlsServer server(files(), "server");
    try {
        EXPECT_GE(get("http://" + server.authority() + "/v2/").status, 400);
    } catch (const TransportError& e) {
        EXPECT_EQ(e.code(), ErrorCode::unavailable);
    }
}

TEST_F(TlsTest, CaFilesThatAreNoneAreNamed) {
    const TlsServer server(files(), "server");
    directory_.write("ca.der", "\x30\x82");
    configure("{}", {.insecure = {}, .ca_files = {directory_.path("ca.der")}});
    try {
        get(server.url());
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::usage);
        EXPECT_THAT(e.message(), HasSubstr(directory_.path("ca.der") + " holds no certificate"));
    }
    configure("{}", {.insecure = {}, .ca_files = {directory_.path("none.crt")}});
    try {
        get(server.url());
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::not_found);
        EXPECT_THAT(e.message(), HasSubstr(directory_.path("none.crt")));
    }
    const Environment bundle("SSL_CERT_FILE", directory_.path("none.crt"));
    configure("{}");
    EXPECT_THAT(failure(request(server.url())).hint(), HasSubstr("SSL_CERT_FILE"));
}

}  // namespace
}  // namespace mkimg::registry
