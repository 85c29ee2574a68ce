// libcurl's options, checked.
#pragma once

#include <string>

#include "base/error.h"
#include "registry/curl_handle.h"

namespace mkimg::registry {

// The type must be exactly the one that the option is documented with: long, curl_off_t, a pointer.
template <typename Value>
void set_option(CURL* easy, CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(easy, option, value);
    if (code == CURLE_OK) return;
    throw Error(ErrorCode::internal,
                "libcurl refuses option " + std::to_string(option) + ": " + curl_easy_strerror(code));
}

template <typename Value>
Value get_info(CURL* easy, CURLINFO info) {
    Value value{};
    curl_easy_getinfo(easy, info, &value);
    return value;
}

}  // namespace mkimg::registry
