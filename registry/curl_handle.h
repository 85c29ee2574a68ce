// Owners of what libcurl gives out.
#pragma once

#include <curl/curl.h>

#include <memory>

namespace mkimg::registry {

struct CurlFree {
    void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
    void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
    void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
    void operator()(char* text) const noexcept { curl_free(text); }
};
// CURL and CURLM are the same type, void.
struct CurlMultiFree {
    void operator()(CURLM* multi) const noexcept { curl_multi_cleanup(multi); }
};
using CurlEasy = std::unique_ptr<CURL, CurlFree>;
using CurlUrl = std::unique_ptr<CURLU, CurlFree>;
using CurlList = std::unique_ptr<curl_slist, CurlFree>;
using CurlText = std::unique_ptr<char, CurlFree>;
using CurlMulti = std::unique_ptr<CURLM, CurlMultiFree>;

}  // namespace mkimg::registry
