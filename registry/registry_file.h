// The file registries.json.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "registry/registry_config.h"

namespace mkimg::registry {

struct RegistrySettings {
    std::map<std::string, HostConfig, std::less<>> hosts;
    Timeouts timeouts;
    Retries retries;
};

// Adds what `text`, the content of the file at `path`, says: an entry for a host replaces an earlier one.
// Throws Error(usage) that names the file and the field.
void read_registry_file(const std::string& path, std::string_view text, RegistrySettings& settings);

// How a registry is looked up, whatever way it is written: in lower case, without the port of https; Docker
// Hub's real hosts under the name that references have. Throws Error(usage) for what is no HOST[:PORT].
std::string canonical_host(std::string_view host);

}  // namespace mkimg::registry
