// The options that every command has which talks to registries.
#pragma once

#include <string>
#include <vector>

#include "registry/registry_config.h"

namespace CLI {
class App;
}

namespace mkimg::cli {

struct RegistryOptions {
    std::vector<std::string> insecure;
    std::vector<std::string> ca_files;

    void add_to(CLI::App& command);
    registry::RegistryConfig::Options config() const;
};

}  // namespace mkimg::cli
