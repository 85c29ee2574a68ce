// HTTP as the registry code sees it: one request, one response. libcurl stands behind it in the program,
// a script in the unit tests. It knows nothing of authentication, redirects or retries.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/stream.h"
#include "registry/url.h"

namespace mkimg::registry {

using Headers = std::vector<std::pair<std::string, std::string>>;  // names in lower case

// The body of an upload. It is opened again for each try: a document's also where a kept connection turned out to be
// closed; another's never within one send(), for the server may have taken a part of it.
struct Body {
    static constexpr std::uint64_t unknown = UINT64_MAX;  // ends where the source does
    std::uint64_t size = 0;
    std::function<std::unique_ptr<Source>()> open;
};

inline constexpr std::uint64_t document_limit = 8U << 20U;  // manifests, configs, tokens

struct Request {
    std::string method = "GET";
    Url url;
    Headers headers;
    std::optional<Body> body;
    // The whole answer within the time for documents; otherwise it only must not stall.
    bool document = true;
    // Asks no more than whether the other side speaks TLS: its certificate is not looked at, and nothing is sent after
    // the handshake. The response's status is 0.
    bool probe = false;
    // Of the response's body, in bytes; more is Error(corrupt).
    std::uint64_t limit = document_limit;
};

struct Response {
    int status = 0;
    Headers headers;
    std::string body;  // empty where a Receiver took it; of an error at most 64 KiB

    // The first header of that name (in lower case).
    std::optional<std::string_view> header(std::string_view name) const;
    std::vector<std::string_view> headers_named(std::string_view name) const;
};

// Takes the body of a successful (2xx) response as it comes. May throw: send() then stops and throws that.
class Receiver {
  public:
    virtual ~Receiver() = default;
    // Once, before the first byte (also where there is none); `head` has no body.
    virtual void begin(const Response& head) = 0;
    virtual void write(std::span<const std::byte> bytes) = 0;
};

// A failure below HTTP. `temporary`: another try may succeed (reset, timeout, no route), in contrast to a
// certificate that is refused or a name that does not exist.
class TransportError : public Error {
  public:
    TransportError(ErrorCode code, std::string message, std::string hint, bool temporary)
        : Error(code, std::move(message), std::move(hint)), temporary_(temporary) {}
    bool temporary() const noexcept { return temporary_; }
    // The other side spoke no TLS, or did not let us: for hosts that may speak plain HTTP.
    bool not_tls() const noexcept { return not_tls_; }
    TransportError& set_not_tls() {
        not_tls_ = true;
        return *this;
    }

  private:
    bool temporary_;
    bool not_tls_ = false;
};

class Transport {
  public:
    virtual ~Transport() = default;
    // Sends the request and returns the response, whatever its status. Never follows a redirect. May be
    // called from several threads. Throws TransportError; Error(cancelled); Error(corrupt) for too long a
    // body or one shorter than its Content-Length says.
    virtual Response send(const Request& request, Receiver* receiver = nullptr) = 0;
};

}  // namespace mkimg::registry
