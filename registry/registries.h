// All registries that one command talks to, by host. Nothing of libcurl or of the user's files is touched before
// the first of them is asked for something.
#pragma once

#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/thread_pool.h"
#include "oci/reference.h"
#include "registry/client.h"
#include "registry/repository.h"

namespace mkimg::registry {

class Registries {
  public:
    // `cancel` is borrowed. With `login`, that is who mkimg is to its host, whatever the files say.
    struct Login {
        std::string host;
        Credential credential;
    };
    Registries(RegistryConfig::Options options, const Cancellation& cancel, std::optional<Login> login = std::nullopt);
    Registries(const Registries&) = delete;
    Registries& operator=(const Registries&) = delete;
    ~Registries();

    Client& client(const std::string& host);
    // Where an image is written to.
    Repository repository(const oci::Reference& name);
    // Where it is read from: the mirrors of its registry, in order, then the registry itself.
    std::vector<Repository> sources(const oci::Reference& name);

    const RegistryConfig& config();
    // For transfers, which wait more than they compute: more threads than CPUs.
    ThreadPool& transfers() noexcept { return transfers_; }
    const Cancellation& cancel() const noexcept { return cancel_; }

  private:
    struct Services;
    Services& services();  // with the lock held

    const RegistryConfig::Options options_;
    const Cancellation& cancel_;
    const std::optional<Login> login_;
    std::mutex mutex_;
    std::unique_ptr<Services> services_;
    std::map<std::string, std::unique_ptr<Client>> clients_;  // by host, mirrors by their URL
    ThreadPool transfers_{6};
};

// Starts libcurl on a thread of its own, which takes as long as to open a store: for commands that are sure to ask a
// registry. Where it fails, the first request says so.
std::future<void> preload();

}  // namespace mkimg::registry
