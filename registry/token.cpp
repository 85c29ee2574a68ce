#include "registry/token.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/error.h"
#include "base/text.h"

namespace mkimg::registry {
namespace {

using Json = nlohmann::json;
using std::chrono::seconds;

constexpr std::uint64_t token_limit = 1U << 20U;
constexpr seconds shortest_lifetime{60};  // also the default: servers never give less, says the specification
constexpr seconds longest_lifetime{std::chrono::hours(24)};

std::string joined(const Scopes& scopes) {
    std::string out;
    for (const auto& scope : scopes) out += (out.empty() ? "" : " ") + scope;
    return out;
}

Body form(std::string text) {
    const auto held = std::make_shared<const std::string>(std::move(text));
    return {held->size(), [held] { return std::make_unique<MemorySource>(std::string_view(*held)); }};
}

std::string string_field(const Json& object, const char* name) {
    if (!object.is_object()) return {};
    const auto found = object.find(name);
    return found == object.end() || !found->is_string() ? std::string() : found->get<std::string>();
}

// Counted from when the token was issued, as far as our clock and the server's agree on that.
seconds renewal(const Json& answer, std::int64_t now) {
    constexpr seconds most_ahead{10};
    seconds lifetime = shortest_lifetime;
    if (const auto field = answer.find("expires_in"); field != answer.end() && field->is_number()) {
        lifetime = seconds(
            static_cast<std::int64_t>(std::clamp(field->get<double>(), static_cast<double>(shortest_lifetime.count()),
                                                 static_cast<double>(longest_lifetime.count()))));
    }
    const seconds used = lifetime - std::min(most_ahead, lifetime / 10);
    const auto issued = parse_rfc3339(string_field(answer, "issued_at"));
    if (!issued || *issued > now || now - *issued >= lifetime.count()) return used;
    return used - seconds(now - *issued);
}

}  // namespace

Url token_server(std::string_view host, const Url& registry, std::string_view realm, bool with_credential) {
    const std::string who(host);
    Url url;
    try {
        url = Url::parse(realm);
    } catch (const Error&) {
        throw Error(ErrorCode::corrupt, who + " names a token server that is no http or https URL",
                    "tell whoever runs the registry: the realm of its WWW-Authenticate header is wrong");
    }
    if (url.scheme == "https") return url;
    if (registry.scheme == "https") {
        throw Error(ErrorCode::denied,
                    who + " is reached by https, but names a token server of plain HTTP: " + url.redacted(),
                    "tell whoever runs the registry: tokens must come by https");
    }
    if (with_credential && url.host != registry.host) {
        throw Error(ErrorCode::denied,
                    "the credential for " + who + " is not sent to " + url.redacted() +
                        ": plain HTTP to another host than the registry's",
                    "the token server must speak https or run on the registry's host");
    }
    return url;
}

Request token_request(const TokenQuery& query, const std::optional<Credential>& credential) {
    Request request;
    request.url = query.realm;
    request.limit = token_limit;
    request.headers.emplace_back("accept", "application/json");
    if (credential && !credential->identity_token.empty()) {
        request.method = "POST";
        request.headers.emplace_back("content-type", "application/x-www-form-urlencoded");
        std::string fields = "grant_type=refresh_token";
        if (!query.service.empty()) fields += "&service=" + percent_encode(query.service);
        if (!query.scopes.empty()) fields += "&scope=" + percent_encode(joined(query.scopes));
        fields += "&client_id=mkimg&refresh_token=" + percent_encode(credential->identity_token);
        request.body = form(std::move(fields));
        return request;
    }
    std::string& fields = request.url.query;
    const auto add = [&](const char* name, const std::string& value) {
        fields += (fields.empty() ? "" : "&") + std::string(name) + "=" + percent_encode(value);
    };
    if (!query.service.empty()) add("service", query.service);
    for (const auto& scope : query.scopes) add("scope", scope);
    if (credential) request.headers.emplace_back("authorization", basic_authorization(*credential));
    return request;
}

Token parse_token(std::string_view body, std::int64_t now) {
    const Json answer = Json::parse(body, nullptr, false);
    if (!answer.is_object()) throw Error(ErrorCode::corrupt, "the token server's answer is no JSON object");
    std::string value = string_field(answer, "token");
    if (value.empty()) value = string_field(answer, "access_token");
    if (value.empty()) throw Error(ErrorCode::corrupt, "the token server's answer has no token in it");
    return {bearer_authorization(value), renewal(answer, now)};
}

std::string basic_authorization(const Credential& credential) {
    return "Basic " + base64_encode(credential.username + ":" + credential.password);
}

std::string bearer_authorization(std::string_view token) {
    if (token.empty() || !std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
        throw Error(ErrorCode::corrupt, "a token with blanks or control bytes in it is no token");
    }
    return "Bearer " + std::string(token);
}

std::string server_message(std::string_view body) {
    constexpr std::size_t longest = 300;
    const Json document = Json::parse(body, nullptr, false);
    if (!document.is_object()) return {};
    std::string out;
    if (const auto errors = document.find("errors"); errors != document.end() && errors->is_array()) {
        for (const auto& error : *errors) {
            std::string said = string_field(error, "code");
            const std::string message = string_field(error, "message");
            if (!message.empty()) said += (said.empty() ? "" : ": ") + message;
            if (!said.empty()) out += (out.empty() ? "" : "; ") + said;
            if (out.size() > longest) break;
        }
    }
    for (const char* name : {"error_description", "details", "message", "error"}) {
        if (out.empty()) out = string_field(document, name);
    }
    for (char& c : out) {
        if (c == '\n' || c == '\r' || c == '\t') c = ' ';
    }
    if (out.size() > longest) out = out.substr(0, longest) + "…";
    return printable(out);
}

}  // namespace mkimg::registry
