// One registry: every request goes out with who mkimg is, is repeated where that can help, follows redirects
// without taking credentials along, and fails with an error that says what happened.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "registry/authenticator.h"
#include "registry/registry_config.h"
#include "registry/transport.h"

namespace mkimg::registry {

// An answer that was not asked for. What the registry said stands in its message, printable and cut.
class HttpError : public Error {
  public:
    HttpError(ErrorCode code, std::string message, std::string hint, int status,
              std::optional<std::chrono::seconds> retry_after)
        : Error(code, std::move(message), std::move(hint)), status_(status), retry_after_(retry_after) {}
    int status() const noexcept { return status_; }
    std::optional<std::chrono::seconds> retry_after() const noexcept { return retry_after_; }

  private:
    int status_;
    std::optional<std::chrono::seconds> retry_after_;
};

// All borrowed.
struct ClientServices {
    Transport& transport;
    const RegistryConfig& config;
    const Keychain& keychain;
    const Cancellation& cancel;
};

class Client {
  public:
    // `host` as references name it: "docker.io", "localhost:5000". `prefix` is the path that a mirror may have.
    Client(std::string host, const ClientServices& services, std::string prefix = {});
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client();

    const std::string& host() const noexcept;

    struct Options {
        Scopes scopes;
        std::vector<int> accepted{200};  // statuses that are answers; 401 and redirects never come through
        bool retry = true;               // repeat for what is temporary; false where the caller does it
        Receiver* receiver = nullptr;    // must bear being begun again where `retry` is true
    };
    // Where a request goes: "/v2/…" below the registry's root, or a Location that the registry gave. Https; for
    // loopback and insecure hosts that speak no TLS, http. Credentials go to the registry's own origin only.
    Response send(const std::string& path, Request request, const Options& options);
    Response send(const Url& url, Request request, const Options& options);

    // The registry's root: scheme and authority once known.
    Url root();
    // Where "/v2/…" lies: a Location in the answer may be relative to that.
    Url url(const std::string& path);
    std::string who();

  private:
    // `first`, where there is one, is what the first try, as nobody, was answered.
    Response send(const Url& url, Request request, const Options& options, std::optional<Response> first);

    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mkimg::registry
