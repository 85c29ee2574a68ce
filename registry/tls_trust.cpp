#include "registry/tls_trust.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "base/atomic_file.h"
#include "base/error.h"
#include "registry/curl_options.h"

namespace mkimg::registry {
namespace {

constexpr std::uint64_t largest_bundle = 16U << 20U;

// Where distributions keep the CAs that they trust.
constexpr std::array bundles{
    "/etc/ssl/certs/ca-certificates.crt",  // Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",              // openSUSE
    "/etc/ssl/cert.pem",                   // Alpine
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
};

// $SSL_CERT_FILE, else the first bundle that there is. Where there is none, the first, for a message to name.
std::string system_bundle() {
    const char* const named = std::getenv("SSL_CERT_FILE");
    if (named != nullptr && *named != '\0') return named;
    const auto there =
        std::find_if(bundles.begin(), bundles.end(), [](const char* bundle) { return ::access(bundle, F_OK) == 0; });
    return there == bundles.end() ? bundles.front() : *there;
}

std::string read_certificates(const std::string& file) {
    const std::string text = read_file(file, largest_bundle);
    if (text.find("-----BEGIN CERTIFICATE-----") == std::string_view::npos &&
        text.find("-----BEGIN TRUSTED CERTIFICATE-----") == std::string_view::npos) {
        throw Error(ErrorCode::usage, file + " holds no certificate in PEM form",
                    "a certificate in DER form is converted by: openssl x509 -inform der -in FILE");
    }
    return text + "\n";
}

}  // namespace

const TlsTrust::Trust& TlsTrust::find(const std::string& authority) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Trust>& trust = trusts_[authority];
    if (trust) return *trust;
    auto made = std::make_unique<Trust>();
    made->host = config_.host(authority);
    if (!made->host.ca_files.empty()) {
        const std::string system = system_bundle();
        // A container may have no CAs of its own.
        if (::access(system.c_str(), F_OK) == 0) made->bundle = read_certificates(system);
        for (const std::string& file : made->host.ca_files) made->bundle += read_certificates(file);
    }
    trust = std::move(made);
    return *trust;
}

void TlsTrust::apply(CURL* easy, const Request& request) {
    const std::string system = system_bundle();
    set_option(easy, CURLOPT_PROXY_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set_option(easy, CURLOPT_PROXY_CAPATH, static_cast<char*>(nullptr));
    set_option(easy, CURLOPT_PROXY_CAINFO, system.c_str());
    if (request.url.scheme != "https") return;
    const Trust& trust = find(request.url.authority());
    set_option(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!trust.host.client_certificate.empty()) {
        set_option(easy, CURLOPT_SSLCERT, trust.host.client_certificate.c_str());
        set_option(easy, CURLOPT_SSLKEY, trust.host.client_key.c_str());
    }
    // $SSL_CERT_FILE is all that is trusted; and without a directory libcurl reads the file once, not for each
    // connection.
    set_option(easy, CURLOPT_CAPATH, static_cast<char*>(nullptr));
    if (trust.host.insecure || request.probe) {
        set_option(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        set_option(easy, CURLOPT_SSL_VERIFYHOST, 0L);
        // Reading all CAs takes longer than a request.
        set_option(easy, CURLOPT_CAINFO, static_cast<char*>(nullptr));
    } else if (!trust.bundle.empty()) {
        curl_blob blob{const_cast<char*>(trust.bundle.data()), trust.bundle.size(), CURL_BLOB_NOCOPY};
        set_option(easy, CURLOPT_CAINFO_BLOB, &blob);
    } else {
        set_option(easy, CURLOPT_CAINFO, system.c_str());
    }
}

}  // namespace mkimg::registry
