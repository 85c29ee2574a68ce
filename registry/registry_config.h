// What the user and the host say about registries: the file registries.json, certs.d, the command line.
// docs/registries.md documents it.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mkimg::registry {

// Of one registry: "host[:port]", exactly as a reference names it.
struct HostConfig {
    // May speak plain HTTP, and TLS with any certificate. Loopback hosts may speak plain HTTP, but their
    // certificates are checked.
    bool insecure = false;
    std::vector<std::string> ca_files;  // trusted besides the system's, PEM
    std::string client_certificate;     // PEM; both or neither
    std::string client_key;
    // Asked first, in this order, for manifests and blobs: "https://mirror.example.com[/prefix]".
    std::vector<std::string> mirrors;
};

struct Timeouts {
    std::chrono::milliseconds connect{15'000};
    std::chrono::milliseconds document{60'000};  // a manifest, config or token, whole
    std::chrono::milliseconds stall{30'000};     // a transfer that moves less than 1 KiB/s for so long has stalled
};

struct Retries {
    unsigned attempts = 5;                   // of one request, the first one included
    std::chrono::milliseconds delay{500};    // before the second; doubled each time, with jitter
    std::chrono::milliseconds most{30'000};  // also of what Retry-After asks for
};

class RegistryConfig {
  public:
    struct Options {
        std::set<std::string> insecure;     // --insecure-registry HOST[:PORT]
        std::vector<std::string> ca_files;  // --registry-ca FILE: for every registry
    };
    // Reads $MKIMG_REGISTRIES, or else /etc/mkimg/registries.json and then $XDG_CONFIG_HOME/mkimg/registries.json
    // (~/.config), whose entries win. Throws Error(usage) that names the file and the field for what it can't
    // mean. Missing files are no error, but for a named one.
    static RegistryConfig load(const Options& options);

    // With what /etc/docker/certs.d/HOST/ (for a user also ~/.config/docker/certs.d) holds: *.crt are CAs,
    // NAME.cert and NAME.key the client's.
    HostConfig host(std::string_view host) const;
    const Timeouts& timeouts() const noexcept { return timeouts_; }
    const Retries& retries() const noexcept { return retries_; }

  private:
    Options options_;
    std::map<std::string, HostConfig, std::less<>> hosts_;
    Timeouts timeouts_;
    Retries retries_;
};

}  // namespace mkimg::registry
