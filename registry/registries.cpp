#include "registry/registries.h"

#include "registry/curl_transport.h"

namespace mkimg::registry {

struct Registries::Services {
    Services(const RegistryConfig::Options& options, const Cancellation& cancel)
        : config(RegistryConfig::load(options)), transport(config, cancel) {}

    RegistryConfig config;
    Keychain keychain;
    CurlTransport transport;
};

Registries::Registries(RegistryConfig::Options options, const Cancellation& cancel, std::optional<Login> login)
    : options_(std::move(options)), cancel_(cancel), login_(std::move(login)) {}

Registries::~Registries() = default;

Registries::Services& Registries::services() {
    if (!services_) {
        services_ = std::make_unique<Services>(options_, cancel_);
        if (login_) services_->keychain.hold(login_->host, login_->credential);
    }
    return *services_;
}

const RegistryConfig& Registries::config() {
    const std::lock_guard lock(mutex_);
    return services().config;
}

Client& Registries::client(const std::string& host) {
    const std::lock_guard lock(mutex_);
    auto& client = clients_[host];
    if (!client) {
        Services& with = services();
        client = std::make_unique<Client>(host, ClientServices{with.transport, with.config, with.keychain, cancel_});
    }
    return *client;
}

Repository Registries::repository(const oci::Reference& name) {
    return {client(name.registry), name.repository};
}

std::vector<Repository> Registries::sources(const oci::Reference& name) {
    std::vector<Repository> found;
    for (const std::string& mirror : config().host(name.registry).mirrors) {
        const Url url = Url::parse(mirror);
        const std::lock_guard lock(mutex_);
        auto& client = clients_[mirror];
        if (!client) {
            const Services& with = services();
            std::string prefix = url.path;
            while (prefix.ends_with('/')) prefix.pop_back();
            client = std::make_unique<Client>(url.authority(),
                                              ClientServices{services().transport, with.config, with.keychain, cancel_},
                                              std::move(prefix));
        }
        found.emplace_back(*client, name.repository);
    }
    found.push_back(repository(name));
    return found;
}

std::future<void> preload() {
    return std::async(std::launch::async, start_libcurl);
}

}  // namespace mkimg::registry
