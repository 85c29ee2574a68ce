// Who mkimg is to one registry: answers Basic and Bearer challenges (distribution's token authentication).
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "registry/keychain.h"
#include "registry/transport.h"

namespace mkimg::registry {

// "repository:library/debian:pull", "repository:app:pull,push": what a request needs.
using Scopes = std::set<std::string>;

// Sends one request with retries and no authentication, as the client does for its own; the authenticator
// asks token servers through it.
using SendPlain = std::function<Response(const Request&)>;

class Authenticator {
  public:
    // `host` as references name it, for the keychain; `registry` where it is reached. `keychain` may be null
    // (a mirror that is asked as nobody) and is borrowed.
    Authenticator(std::string host, Url registry, const Keychain* keychain, SendPlain send);
    Authenticator(const Authenticator&) = delete;
    Authenticator& operator=(const Authenticator&) = delete;
    ~Authenticator();

    // The Authorization header for a request that needs `scopes`: a token, got anew where it is about to expire,
    // or Basic once the registry asked for it. Nothing before the first challenge.
    std::optional<std::string> header(const Scopes& scopes);

    // The header that answers a 401, for the same request once more: what its challenges ask for. `used` is the header
    // that was refused: one that another thread has replaced by now is taken from it, not fetched twice. Throws
    // Error(denied) that says who mkimg was and what to do where nothing more can be tried: Basic was refused, a fresh
    // token was refused, no challenge that mkimg knows. Never sends a credential to a realm that is plain HTTP on
    // another host, or plain HTTP at all where the registry is https: Error(denied) says so.
    std::string answer(const Response& challenge, const Scopes& scopes, const std::optional<std::string>& used);

    // "anonymous", or the user's name; for error messages.
    std::string who();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mkimg::registry
