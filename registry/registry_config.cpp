#include "registry/registry_config.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"
#include "registry/registry_file.h"

namespace mkimg::registry {
namespace {

constexpr const char* system_file = "/etc/mkimg/registries.json";
constexpr const char* system_certificates = "/etc/docker/certs.d";
constexpr std::uint64_t longest_file = 1U << 20U;

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// $XDG_CONFIG_HOME or ~/.config; empty where there is no home. A relative one is to be ignored, as the
// specification has it.
std::string user_config() {
    if (std::string xdg = variable("XDG_CONFIG_HOME"); xdg.starts_with('/')) return xdg;
    const std::string home = variable("HOME");
    return home.starts_with('/') ? home + "/.config" : "";
}

void read_if_there(const std::string& path, RegistrySettings& settings) {
    if (::access(path.c_str(), F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) return;
    read_registry_file(path, read_file(path, longest_file), settings);
}

// One directory as Docker has them: *.crt are CAs; NAME.cert and NAME.key are the client's.
void add_certificates(const std::string& directory, HostConfig& host) {
    // Most registries have none, and Docker's may be its own: what can't be read then isn't trusted either.
    const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return;
    const auto missing = [&](const std::string& name, const std::string& partner) {
        return Error(ErrorCode::usage, directory + "/" + name + " has no " + partner + " beside it",
                     "a client's certificate is NAME.cert with its key NAME.key; a CA's is NAME.crt");
    };
    const auto entries = list_directory(fd.get());
    const auto is_there = [&](const std::string& name) {
        for (const DirEntry& entry : entries) {
            if (entry.name == name) return true;
        }
        return false;
    };
    for (const auto& entry : entries) {
        const std::string stem = entry.name.substr(0, entry.name.rfind('.'));
        if (entry.name.ends_with(".crt")) {
            host.ca_files.push_back(directory + "/" + entry.name);
        } else if (entry.name.ends_with(".cert")) {
            if (!is_there(stem + ".key")) throw missing(entry.name, stem + ".key");
            if (!host.client_certificate.empty()) continue;
            host.client_certificate = directory + "/" + entry.name;
            host.client_key = directory + "/" + stem + ".key";
        } else if (entry.name.ends_with(".key") && !is_there(stem + ".cert")) {
            throw missing(entry.name, stem + ".cert");
        }
    }
}

}  // namespace

RegistryConfig RegistryConfig::load(const Options& options) {
    RegistrySettings settings;
    if (const std::string named = variable("MKIMG_REGISTRIES"); !named.empty()) {
        read_registry_file(named, read_file(named, longest_file), settings);
    } else {
        read_if_there(system_file, settings);
        if (const std::string user = user_config(); !user.empty()) {
            read_if_there(user + "/mkimg/registries.json", settings);
        }
    }
    RegistryConfig config;
    config.hosts_ = std::move(settings.hosts);
    config.timeouts_ = settings.timeouts;
    config.retries_ = settings.retries;
    config.options_.ca_files = options.ca_files;
    for (const std::string& host : options.insecure) config.options_.insecure.insert(canonical_host(host));
    return config;
}

HostConfig RegistryConfig::host(std::string_view host) const {
    const std::string name = canonical_host(host);
    const auto found = hosts_.find(name);
    HostConfig config = found == hosts_.end() ? HostConfig{} : found->second;
    if (options_.insecure.contains(name)) config.insecure = true;
    config.ca_files.insert(config.ca_files.end(), options_.ca_files.begin(), options_.ca_files.end());

    std::vector<std::string> spellings{name};
    if (name == "docker.io") {
        spellings.insert(spellings.end(), {"registry-1.docker.io", "index.docker.io"});
    } else if (name.ends_with(']') || name.find(':') == std::string_view::npos) {
        spellings.push_back(name + ":443");
    }
    std::vector<std::string> roots{system_certificates};
    if (const std::string user = user_config(); !user.empty()) roots.push_back(user + "/docker/certs.d");
    for (const std::string& root : roots) {
        for (const std::string& spelling : spellings) add_certificates(root + "/" + spelling, config);
    }
    return config;
}

}  // namespace mkimg::registry
