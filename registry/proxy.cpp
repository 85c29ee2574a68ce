#include "registry/proxy.h"

#include <array>
#include <cstdlib>
#include <utility>

#include "base/text.h"
#include "registry/curl_options.h"

namespace mkimg::registry {
namespace {

using Variable = std::pair<const char*, const char*>;  // name and value

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

}  // namespace

void set_proxy(CURL* easy, const Url& url) {
    if (is_loopback(url.host)) {
        set_option(easy, CURLOPT_PROXY, "");
    } else if (const auto [name, value] = find_variable(url); name != nullptr) {
        set_option(easy, CURLOPT_PROXY, value);
    }
}

std::string proxy_setting(const Url& url) {
    const auto [name, value] = find_variable(url);
    if (name == nullptr || is_loopback(url.host)) return {};
    std::string_view proxy = value;
    if (const auto scheme = proxy.find("://"); scheme != proxy.npos) proxy.remove_prefix(scheme + 3);
    if (const auto user = proxy.rfind('@'); user != proxy.npos) proxy.remove_prefix(user + 1);
    return printable(std::string(name) + "=" + std::string(proxy.substr(0, proxy.find_first_of("/?#"))));
}

}  // namespace mkimg::registry
