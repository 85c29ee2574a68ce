// HTTP by libcurl.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "registry/registry_config.h"
#include "registry/tls_trust.h"
#include "registry/transport.h"

namespace mkimg::registry {

// Once, from any thread; CurlTransport does it too. Throws Error(host).
void start_libcurl();

class CurlTransport final : public Transport {
  public:
    // Both borrowed.
    CurlTransport(const RegistryConfig& config, const Cancellation& cancel);
    ~CurlTransport() override;

    Response send(const Request& request, Receiver* receiver = nullptr) override;

  private:
    // libcurl's handles, with the connections that they keep open. Only one thread at a time has a line.
    struct Line;
    std::unique_ptr<Line> take(const std::string& authority);
    void give_back(std::unique_ptr<Line> line);
    void set_options(Line& line, const Request& request);
    // Drives the transfer to its end.
    CURLcode perform(Line& line);

    const RegistryConfig& config_;
    const Cancellation& cancel_;
    TlsTrust trust_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Line>> idle_;
};

}  // namespace mkimg::registry
