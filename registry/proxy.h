// The proxy of the environment, as far as libcurl leaves it to us.
#pragma once

#include <string>

#include "registry/curl_handle.h"
#include "registry/url.h"

namespace mkimg::registry {

// libcurl reads http_proxy, https_proxy, all_proxy and no_proxy itself. It leaves out HTTP_PROXY, for in a CGI
// program a request's "Proxy:" header sets that; mkimg is none. Loopback hosts are never reached by a proxy. Throws
// Error(usage) where the variable names no proxy that libcurl can use.
void set_proxy(CURL* easy, const Url& url);

// "https_proxy=proxy.example.com:3128", the variable that counts for `url`, without user information; empty
// where none is set. no_proxy may still exempt the host.
std::string proxy_setting(const Url& url);

}  // namespace mkimg::registry
