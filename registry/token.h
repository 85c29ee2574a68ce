// Token servers: what they are asked and what they answer (distribution's docs/spec/auth: token.md, oauth2.md).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "registry/authenticator.h"

namespace mkimg::registry {

struct TokenQuery {
    Url realm;
    std::string service;  // may be empty
    Scopes scopes;
};

// The token server that `registry` (of references' name `host`) names, where mkimg may ask it. Https realms
// may lie anywhere: the registry answers for them. A realm of plain HTTP is for registries of plain HTTP alone,
// and gets a credential on the registry's own host only. Throws Error(denied), or Error(corrupt) for no URL.
Url token_server(std::string_view host, const Url& registry, std::string_view realm, bool with_credential);

// With an identity token it is sent for an access token (POST); else GET, with Basic where there is a password.
Request token_request(const TokenQuery& query, const std::optional<Credential>& credential);

struct Token {
    std::string authorization;     // the header
    std::chrono::seconds renewal;  // how long from now it is used: to 10 s, or a tenth, before it expires
};
// The body of a 200 answer. Throws Error(corrupt) that shows nothing of it.
Token parse_token(std::string_view body, std::int64_t now);

// The headers "Basic …" and "Bearer …". The latter throws Error(corrupt) for bytes that a header can't bear.
std::string basic_authorization(const Credential& credential);
std::string bearer_authorization(std::string_view token);

// What a registry or token server said in the body of an error, in one printable line: the messages of
// `errors`, `error_description`, `details`, `message`. Empty where nothing of it is understood.
std::string server_message(std::string_view body);

}  // namespace mkimg::registry
