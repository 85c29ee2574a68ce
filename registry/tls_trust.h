// Whom mkimg believes to be a registry: the system's CAs, those that are configured for it, and the
// certificate that mkimg shows in turn.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "registry/curl_handle.h"
#include "registry/registry_config.h"
#include "registry/transport.h"

namespace mkimg::registry {

class TlsTrust {
  public:
    explicit TlsTrust(const RegistryConfig& config) : config_(config) {}  // borrowed

    // Sets what the connection for the request needs. The strings stay as long as this object. Throws Error(usage) for
    // a file that holds no certificate.
    void apply(CURL* easy, const Request& request);

  private:
    struct Trust {
        HostConfig host;
        std::string bundle;  // all CAs, where the host has some of its own
    };
    const Trust& find(const std::string& authority);

    const RegistryConfig& config_;
    std::mutex mutex_;
    std::map<std::string, std::unique_ptr<Trust>, std::less<>> trusts_;  // by authority
};

}  // namespace mkimg::registry
