#include "registry/curl_error.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "registry/curl_options.h"
#include "registry/proxy.h"

namespace mkimg::registry {
namespace {

// X509_V_ERR_* of OpenSSL, as CURLINFO_SSL_VERIFYRESULT gives them.
constexpr long not_yet_valid = 9;
constexpr long has_expired = 10;

constexpr long proxy_authentication_required = 407;

// CURLE_TOO_LARGE, which came after the oldest libcurl that mkimg is made with.
constexpr auto too_large = static_cast<CURLcode>(100);

class Diagnosis {
  public:
    Diagnosis(CURL* easy, const std::string& details, const Request& request, const CurlExchange& exchange,
              const Timeouts& timeouts)
        : easy_(easy), details_(details), request_(request), exchange_(exchange), timeouts_(timeouts) {}

    [[noreturn]] void raise(CURLcode code) const {
        switch (code) {
            case CURLE_COULDNT_RESOLVE_HOST:
                temporary("cannot resolve the name " + request_.url.host, "check its spelling and this host's DNS");
            case CURLE_COULDNT_RESOLVE_PROXY:
                temporary("cannot resolve the proxy's name", "check " + proxy_setting(request_.url));
            case CURLE_PROXY: permanent("the proxy refused the connection", "check " + proxy_setting(request_.url));
            case CURLE_URL_MALFORMAT:  // not the registry's: libcurl has taken that apart for Url
                permanent("the proxy's address can't be used", "check " + proxy_setting(request_.url));
            case CURLE_COULDNT_CONNECT: unreachable();
            case CURLE_OPERATION_TIMEDOUT: timed_out();
            case CURLE_GOT_NOTHING: temporary("the connection was closed without an answer");
            case CURLE_PARTIAL_FILE:
                temporary(fmt::format("the answer ended too early, after {}", human_size(exchange_.received())));
            case CURLE_SEND_ERROR:
            case CURLE_RECV_ERROR:
            case CURLE_SEND_FAIL_REWIND: broken_off();
            case CURLE_SSL_CONNECT_ERROR: no_tls();
            case CURLE_PEER_FAILED_VERIFICATION: untrusted();
            case CURLE_SSL_CERTPROBLEM:
                permanent("the client certificate can't be used: " + tls_reason(), client_certificate_hint());
            case CURLE_SSL_CACERT_BADFILE:
                permanent("the CAs to trust can't be read: " + tls_reason(),
                          "install the package ca-certificates, or check $SSL_CERT_FILE");
            case CURLE_UNSUPPORTED_PROTOCOL:
            case CURLE_WEIRD_SERVER_REPLY:
                permanent("the answer is no HTTP", "does something else listen at " + request_.url.authority() + "?");
            case CURLE_OUT_OF_MEMORY:
            case too_large:
                if (!exchange_.has_head()) {
                    throw Error(ErrorCode::corrupt, exchange_.describe() + ": the answer has too long a header");
                }
                [[fallthrough]];
            default: permanent(curl_easy_strerror(code), "");
        }
    }

  private:
    [[noreturn]] void temporary(const std::string& what, const std::string& hint = "") const {
        throw TransportError(ErrorCode::unavailable, message(what), hint, true);
    }
    [[noreturn]] void permanent(const std::string& what, const std::string& hint) const {
        throw TransportError(ErrorCode::unavailable, message(what), hint, false);
    }
    std::string message(const std::string& what) const { return exchange_.describe() + ": " + printable(what); }

    std::string proxy_hint() const {
        const std::string proxy = proxy_setting(request_.url);
        return proxy.empty() ? "" : "check the proxy of " + proxy;
    }

    [[noreturn]] void unreachable() const {
        const int error = static_cast<int>(get_info<long>(easy_, CURLINFO_OS_ERRNO));
        const std::string proxy = proxy_hint();
        temporary(error == 0 ? "cannot connect" : std::string("cannot connect: ") + std::strerror(error),
                  !proxy.empty()          ? proxy
                  : error == ECONNREFUSED ? "nothing listens at " + request_.url.authority() + ": is the port right?"
                                          : "");
    }

    [[noreturn]] void timed_out() const {
        const auto seconds = [](std::chrono::milliseconds time) {
            return fmt::format("{:g} s", static_cast<double>(time.count()) / 1000);
        };
        if (get_info<curl_off_t>(easy_, CURLINFO_PRETRANSFER_TIME_T) == 0) {
            const auto limit = request_.document ? std::min(timeouts_.connect, timeouts_.document) : timeouts_.connect;
            temporary("no connection within " + seconds(limit), proxy_hint());
        }
        if (request_.document) temporary("no whole answer within " + seconds(timeouts_.document));
        temporary("stalled: less than 1 KiB/s for " + seconds(timeouts_.stall));
    }

    [[noreturn]] void broken_off() const {
        // With TLS 1.3 the refusal of a client's certificate comes after the handshake.
        if (details_.find("alert") != std::string_view::npos) {
            permanent("the other side refused TLS: " + tls_reason(), client_certificate_hint());
        }
        const long proxy_status = get_info<long>(easy_, CURLINFO_HTTP_CONNECTCODE);
        if (proxy_status >= 300) {
            TransportError error(ErrorCode::unavailable,
                                 message(fmt::format("the proxy refused to connect: status {}", proxy_status)),
                                 "check " + proxy_setting(request_.url), false);
            if (proxy_status != proxy_authentication_required) error.set_not_tls();
            throw error;
        }
        temporary(exchange_.has_head() ? "the connection broke off in the middle of the answer"
                                       : "the connection broke off before the answer");
    }

    [[noreturn]] void no_tls() const {
        const std::string reason = tls_reason();
        for (const char* const sign : {"wrong version number", "packet length too long", "unknown protocol"}) {
            if (reason.find(sign) == std::string_view::npos) continue;
            TransportError error(
                ErrorCode::unavailable, message("the other side does not speak TLS"),
                "a registry without TLS must be named: --insecure-registry " + request_.url.authority(), false);
            throw error.set_not_tls();
        }
        if (reason.find("alert") != std::string_view::npos) {
            permanent("the other side refused TLS: " + reason, client_certificate_hint());
        }
        // Where its algorithms are not to be had.
        for (const char* const sign : {"Insufficient randomness", "couldn't create a context"}) {
            if (details_.find(sign) == std::string_view::npos) continue;
            permanent("OpenSSL can't begin TLS on this host: " + reason, "check its openssl.cnf, or $OPENSSL_CONF");
        }
        // Reset or closed by a server that is overloaded or about to start.
        if (details_.find("routines:") == std::string_view::npos ||
            reason.find("unexpected eof") != std::string_view::npos) {
            TransportError error(ErrorCode::unavailable, message("the connection broke off before TLS was agreed on"),
                                 "", true);
            throw error.set_not_tls();
        }
        permanent("TLS failed: " + reason, "");
    }

    [[noreturn]] void untrusted() const {
        if (get_info<long>(easy_, CURLINFO_PROXY_SSL_VERIFYRESULT) != 0) {
            throw TransportError(ErrorCode::denied, message("the proxy's certificate is not trusted: " + tls_reason()),
                                 "check " + proxy_setting(request_.url) +
                                     "; its CA must be one of the system's, or of those in $SSL_CERT_FILE",
                                 false);
        }
        const std::string host = request_.url.authority();
        const long result = get_info<long>(easy_, CURLINFO_SSL_VERIFYRESULT);
        std::string what = "the certificate is not trusted: " + tls_reason();
        std::string hint =
            "if it is your registry's own, give its CA: --registry-ca FILE, or /etc/docker/certs.d/" + host + "/ca.crt";
        if (details_.find("target host name") != std::string_view::npos) {
            what = "the certificate is for another host: " + tls_reason();
            hint = "name the registry as its certificate does, or give it one for " + request_.url.host;
        } else if (result == has_expired || result == not_yet_valid) {
            hint = "is this host's clock right? Otherwise the registry needs a new certificate";
        }
        throw TransportError(ErrorCode::denied, message(what), hint, false);
    }

    // "error:0A00010B:SSL routines::wrong version number, errno 0" -> "wrong version number".
    std::string tls_reason() const {
        std::string_view text = details_;
        if (const auto at = text.rfind("::"); at != std::string_view::npos) {
            text.remove_prefix(at + 2);
            text = text.substr(0, text.find(", errno"));
        }
        for (const std::string_view prefix : {"SSL certificate problem: ", "SSL: "}) {
            if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
        }
        return text.empty() ? "no reason given" : std::string(text);
    }

    std::string client_certificate_hint() const {
        return "if the registry asks for a certificate: /etc/docker/certs.d/" + request_.url.authority() +
               "/client.cert, with its key client.key";
    }

    CURL* easy_;
    const std::string& details_;
    const Request& request_;
    const CurlExchange& exchange_;
    const Timeouts& timeouts_;
};

}  // namespace

void throw_transfer_error(CURL* easy, CURLcode code, const std::string& details, const Request& request,
                          const CurlExchange& exchange, const Timeouts& timeouts) {
    Diagnosis(easy, details, request, exchange, timeouts).raise(code);
}

}  // namespace mkimg::registry
