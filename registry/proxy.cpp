#include "registry/proxy.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "registry/curl_options.h"

namespace mkimg::registry {
namespace {

using Variable = std::pair<const char*, const char*>;  // name and value

constexpr std::array<std::string_view, 6> schemes{"http", "https", "socks4", "socks4a", "socks5", "socks5h"};

// In libcurl's order; {nullptr, nullptr} where none is set.
Variable find_variable(const Url& url) {
    const bool tls = url.scheme == "https";
    for (const char* const name :
         {tls ? "https_proxy" : "http_proxy", tls ? "HTTPS_PROXY" : "HTTP_PROXY", "all_proxy", "ALL_PROXY"}) {
        const char* const value = std::getenv(name);
        if (value != nullptr && *value != '\0') return {name, value};
    }
    return {nullptr, nullptr};
}

// libcurl passes over a user or password that it cannot decode, and then reaches the registry without the proxy; of
// other faults it does not say that they are the proxy's.
void check(const Url& url, const char* name, const char* value) {
    const CurlUrl parsed(curl_url());
    if (!parsed) throw std::bad_alloc();
    const auto part = [&](CURLUPart which, unsigned flags) {
        char* raw = nullptr;
        const CURLUcode code = curl_url_get(parsed.get(), which, &raw, flags);
        const CurlText text(raw);
        return std::pair(code, std::string(raw == nullptr ? "" : raw));
    };
    std::string why;
    const CURLUcode code =
        curl_url_set(parsed.get(), CURLUPART_URL, value, CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME);
    if (code != CURLUE_OK) {
        why = curl_url_strerror(code);
    } else {
        const std::string scheme = part(CURLUPART_SCHEME, 0).second;
        if (std::find(schemes.begin(), schemes.end(), to_lower(scheme)) == schemes.end()) {
            why = "its scheme is " + printable(scheme) +
                  ", which is none of http, https, socks4, socks4a, socks5, socks5h";
        }
        if (part(CURLUPART_USER, CURLU_URLDECODE).first == CURLUE_URLDECODE ||
            part(CURLUPART_PASSWORD, CURLU_URLDECODE).first == CURLUE_URLDECODE) {
            why = "its user or password is not well encoded";
        }
    }
    if (why.empty()) return;
    throw Error(ErrorCode::usage, std::string(name) + " names no proxy: " + why, "check " + proxy_setting(url));
}

}  // namespace

void set_proxy(CURL* easy, const Url& url) {
    if (is_loopback(url.host)) {
        set_option(easy, CURLOPT_PROXY, "");
    } else if (const auto [name, value] = find_variable(url); name != nullptr) {
        check(url, name, value);
        set_option(easy, CURLOPT_PROXY, value);
    }
}

std::string proxy_setting(const Url& url) {
    const auto [name, value] = find_variable(url);
    if (name == nullptr || is_loopback(url.host)) return {};
    std::string_view proxy = value;
    if (const auto scheme = proxy.find("://"); scheme != std::string_view::npos) proxy.remove_prefix(scheme + 3);
    if (const auto user = proxy.rfind('@'); user != std::string_view::npos) proxy.remove_prefix(user + 1);
    return printable(std::string(name) + "=" + std::string(proxy.substr(0, proxy.find_first_of("/?#"))));
}

}  // namespace mkimg::registry
