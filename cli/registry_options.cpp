#include "cli/registry_options.h"

#include <CLI/App.hpp>

namespace mkimg::cli {

void RegistryOptions::add_to(CLI::App& command) {
    command
        .add_option("--insecure-registry", insecure,
                    "A registry that may speak plain HTTP, or TLS with any certificate; repeatable")
        ->type_name("HOST[:PORT]")
        ->allow_extra_args(false);
    command
        .add_option("--registry-ca", ca_files,
                    "Trust these certificates for registries, besides the system's; repeatable")
        ->type_name("FILE")
        ->allow_extra_args(false);
}

registry::RegistryConfig::Options RegistryOptions::config() const {
    return {{insecure.begin(), insecure.end()}, ca_files};
}

}  // namespace mkimg::cli
