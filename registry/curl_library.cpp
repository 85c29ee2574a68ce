#include "registry/curl_library.h"

#include <dlfcn.h>

#include <string>

#include "base/error.h"

namespace mkimg::registry {
namespace {

constexpr const char* soname = "libcurl.so.4";
// CURLOPT_PROTOCOLS_STR came with it.
constexpr unsigned oldest = 0x075500;  // 7.85.0
constexpr const char* install = "install it (Debian and Ubuntu: libcurl4; Fedora: libcurl)";

template <typename Function>
void find(void* library, const char* name, Function& function) {
    void* const symbol = ::dlsym(library, name);
    if (symbol == nullptr) {
        throw Error(ErrorCode::host, std::string(soname) + " has no " + name + ": it is no libcurl of 7.85 or newer",
                    install);
    }
    function = reinterpret_cast<Function>(symbol);
}

CurlLibrary load() {
    // Never closed again: libcurl's threads and connections may live as long as the process.
    void* const library = ::dlopen(soname, RTLD_LAZY | RTLD_LOCAL);
    if (library == nullptr) {
        const char* const why = ::dlerror();
        throw Error(
            ErrorCode::host,
            std::string("cannot load libcurl, which talking to registries needs: ") + (why == nullptr ? soname : why),
            install);
    }
    CurlLibrary c{};
    find(library, "curl_global_init", c.global_init);
    find(library, "curl_version_info", c.version_info);
    find(library, "curl_free", c.free);
    const curl_version_info_data& version = *c.version_info(CURLVERSION_NOW);
    if (version.version_num < oldest) {
        throw Error(ErrorCode::host,
                    std::string("libcurl ") + version.version + " is too old: mkimg needs 7.85 or newer", install);
    }
    find(library, "curl_url", c.url);
    find(library, "curl_url_cleanup", c.url_cleanup);
    find(library, "curl_url_get", c.url_get);
    find(library, "curl_url_set", c.url_set);
    find(library, "curl_url_strerror", c.url_strerror);
    find(library, "curl_slist_append", c.slist_append);
    find(library, "curl_slist_free_all", c.slist_free_all);
    find(library, "curl_easy_init", c.easy_init);
    find(library, "curl_easy_cleanup", c.easy_cleanup);
    find(library, "curl_easy_reset", c.easy_reset);
    find(library, "curl_easy_setopt", c.easy_setopt);
    find(library, "curl_easy_getinfo", c.easy_getinfo);
    find(library, "curl_easy_strerror", c.easy_strerror);
    find(library, "curl_multi_init", c.multi_init);
    find(library, "curl_multi_cleanup", c.multi_cleanup);
    find(library, "curl_multi_add_handle", c.multi_add_handle);
    find(library, "curl_multi_remove_handle", c.multi_remove_handle);
    find(library, "curl_multi_perform", c.multi_perform);
    find(library, "curl_multi_poll", c.multi_poll);
    find(library, "curl_multi_info_read", c.multi_info_read);
    find(library, "curl_multi_strerror", c.multi_strerror);
    if (const CURLcode code = c.global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK) {
        throw Error(ErrorCode::host, std::string("libcurl does not start: ") + c.easy_strerror(code));
    }
    return c;
}

}  // namespace

const CurlLibrary& curl() {
    static const CurlLibrary library = load();
    return library;
}

}  // namespace mkimg::registry
