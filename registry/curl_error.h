// What libcurl's failures mean to a person.
#pragma once

#include <string>

#include "registry/curl_exchange.h"
#include "registry/curl_handle.h"
#include "registry/registry_config.h"
#include "registry/transport.h"

namespace mkimg::registry {

// Throws the error of a transfer that ended with `code`: a TransportError, or Error(corrupt). Of `details`, libcurl's
// error buffer, only what is said of TLS is shown: elsewhere libcurl may quote a proxy with its password.
[[noreturn]] void throw_transfer_error(CURL* easy, CURLcode code, const std::string& details, const Request& request,
                                       const CurlExchange& exchange, const Timeouts& timeouts);

}  // namespace mkimg::registry
