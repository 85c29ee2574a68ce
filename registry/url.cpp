#include "registry/url.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <initializer_list>
#include <new>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "registry/curl_handle.h"

namespace mkimg::registry {
namespace {

constexpr std::string_view digits = "0123456789";
constexpr std::string_view lower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

bool is_in(char c, std::initializer_list<std::string_view> sets) {
    return std::any_of(sets.begin(), sets.end(),
                       [c](std::string_view set) { return set.find(c) != std::string_view::npos; });
}

// What may be shown of a text that is no URL mkimg takes: no query, no user information.
std::string shown(std::string_view text) {
    constexpr std::size_t longest = 200;
    text = text.substr(0, text.find_first_of("?#"));
    const std::size_t at = text.rfind('@');
    const std::string cut = at == std::string_view::npos ? std::string(text) : "…" + std::string(text.substr(at));
    return printable(cut.size() <= longest ? cut : cut.substr(0, longest) + "…");
}

[[noreturn]] void reject(std::string_view text, std::string_view why) {
    throw Error(ErrorCode::corrupt, fmt::format("\"{}\" is no URL that mkimg takes: {}", shown(text), why));
}

// Nothing where the URL has no such part.
std::optional<std::string> part(CURLU* url, CURLUPart which, unsigned flags = 0) {
    char* raw = nullptr;
    if (curl_url_get(url, which, &raw, flags) != CURLUE_OK) return std::nullopt;
    const CurlText text(raw);
    return std::string(text.get());
}

// Where a reference has a scheme, its length without the colon (RFC 3986 section 3.1), else 0.
std::size_t scheme_length(std::string_view reference) {
    if (reference.empty() || !is_in(reference[0], {lower, upper})) return 0;
    const auto end = std::find_if(reference.begin(), reference.end(), [](char c) {
        return !is_in(c, {lower, upper, digits, "+-."});
    });
    return end != reference.end() && *end == ':' ? static_cast<std::size_t>(end - reference.begin()) : 0;
}

bool is_default_port(const Url& url) {
    return url.port == (url.scheme == "https" ? 443 : 80);
}

}  // namespace

Url Url::parse(std::string_view text) {
    const auto forbidden = [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == '\x7f'; };
    if (std::any_of(text.begin(), text.end(), forbidden)) reject(text, "it holds a blank or a control byte");
    const CurlUrl url(curl_url());
    if (!url) throw std::bad_alloc();
    // CURLU_NON_SUPPORT_SCHEME, so that an unknown scheme is told apart from a broken URL.
    constexpr unsigned flags = CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME;
    const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), flags);
    if (code == CURLUE_USER_NOT_ALLOWED) reject(text, "it holds user information");
    if (code != CURLUE_OK) reject(text, curl_url_strerror(code));

    Url out;
    out.scheme = to_lower(part(url.get(), CURLUPART_SCHEME).value_or(""));
    if (out.scheme != "http" && out.scheme != "https") reject(text, "its scheme is neither https nor http");
    // libcurl is lenient about the number of slashes.
    const std::string_view after = text.substr(out.scheme.size());
    if (!after.starts_with("://") || after.starts_with(":///")) reject(text, "it has no host");
    if (part(url.get(), CURLUPART_ZONEID)) reject(text, "its address has a zone");
    out.host = to_lower(part(url.get(), CURLUPART_HOST).value_or(""));
    if (out.host.starts_with('[') && out.host.ends_with(']')) {
        out.host = out.host.substr(1, out.host.size() - 2);
    } else if (out.host.empty() || !std::all_of(out.host.begin(), out.host.end(), [](char c) {
                   return is_in(c, {lower, digits, "-._"});
               })) {
        reject(text, "its host is no name of letters, digits, '-', '_' and '.'");
    }
    const auto port = parse_u64(part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT).value_or(""));
    if (!port || *port == 0 || *port > UINT16_MAX) reject(text, "its port is no number from 1 to 65535");
    out.port = static_cast<std::uint16_t>(*port);
    out.path = part(url.get(), CURLUPART_PATH).value_or("/");
    out.query = part(url.get(), CURLUPART_QUERY).value_or("");
    return out;
}

Url Url::resolve(std::string_view reference) const {
    const std::string origin = scheme + "://" + authority();
    const std::string_view target = reference.substr(0, reference.find('#'));
    if (scheme_length(target) != 0) return parse(target);
    if (target.starts_with("//")) return parse(scheme + ":" + std::string(target));
    if (target.empty()) return *this;
    if (target.starts_with('/')) return parse(origin + std::string(target));
    if (target.starts_with('?')) return parse(origin + path + std::string(target));
    // parse() removes the dot segments.
    return parse(origin + path.substr(0, path.rfind('/') + 1) + std::string(target));
}

std::string Url::str() const {
    return redacted() + (query.empty() ? "" : "?" + query);
}

std::string Url::redacted() const {
    return scheme + "://" + authority() + path;
}

std::string Url::authority() const {
    const std::string name = host.find(':') == std::string_view::npos ? host : "[" + host + "]";
    return is_default_port(*this) ? name : fmt::format("{}:{}", name, port);
}

bool is_loopback(std::string_view host) {
    const std::string name = to_lower(host);
    in_addr v4{};
    if (::inet_pton(AF_INET, name.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24U == IN_LOOPBACKNET;
    in6_addr v6{};
    if (::inet_pton(AF_INET6, name.c_str(), &v6) == 1) return IN6_IS_ADDR_LOOPBACK(&v6);
    return name == "localhost" || name.ends_with(".localhost");
}

std::string percent_encode(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (is_in(c, {lower, upper, digits, "-._~"})) {
            out += c;
        } else {
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

}  // namespace mkimg::registry
