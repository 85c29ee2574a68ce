// libcurl, loaded when the network is first needed: it brings some 30 libraries, whose loading a build that
// has nothing to do must not pay for. The only way to libcurl's functions; its headers are used as they are.
#pragma once

#include <curl/curl.h>

#include <memory>

namespace mkimg::registry {

struct CurlLibrary {
    decltype(&curl_global_init) global_init;
    decltype(&curl_version_info) version_info;
    decltype(&curl_free) free;

    decltype(&curl_url) url;
    decltype(&curl_url_cleanup) url_cleanup;
    decltype(&curl_url_get) url_get;
    decltype(&curl_url_set) url_set;
    decltype(&curl_url_strerror) url_strerror;

    decltype(&curl_slist_append) slist_append;
    decltype(&curl_slist_free_all) slist_free_all;

    decltype(&curl_easy_init) easy_init;
    decltype(&curl_easy_cleanup) easy_cleanup;
    decltype(&curl_easy_reset) easy_reset;
    decltype(&curl_easy_setopt) easy_setopt;
    decltype(&curl_easy_getinfo) easy_getinfo;
    decltype(&curl_easy_strerror) easy_strerror;

    decltype(&curl_multi_init) multi_init;
    decltype(&curl_multi_cleanup) multi_cleanup;
    decltype(&curl_multi_add_handle) multi_add_handle;
    decltype(&curl_multi_remove_handle) multi_remove_handle;
    decltype(&curl_multi_perform) multi_perform;
    decltype(&curl_multi_poll) multi_poll;
    decltype(&curl_multi_info_read) multi_info_read;
    decltype(&curl_multi_strerror) multi_strerror;
};

// Loads and initialises libcurl at the first call; from any thread. Throws Error(host) that says what to
// install where it is missing or too old.
const CurlLibrary& curl();

struct CurlFree {
    void operator()(CURL* easy) const noexcept { curl().easy_cleanup(easy); }
    void operator()(CURLU* url) const noexcept { curl().url_cleanup(url); }
    void operator()(curl_slist* list) const noexcept { curl().slist_free_all(list); }
    void operator()(char* text) const noexcept { curl().free(text); }
};
// CURL and CURLM are the same type, void.
struct CurlMultiFree {
    void operator()(CURLM* multi) const noexcept { curl().multi_cleanup(multi); }
};
using CurlEasy = std::unique_ptr<CURL, CurlFree>;
using CurlUrl = std::unique_ptr<CURLU, CurlFree>;
using CurlList = std::unique_ptr<curl_slist, CurlFree>;
using CurlText = std::unique_ptr<char, CurlFree>;
using CurlMulti = std::unique_ptr<CURLM, CurlMultiFree>;

}  // namespace mkimg::registry
