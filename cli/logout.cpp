// mkimg logout [REGISTRY]
#include <unistd.h>

#include <CLI/App.hpp>
#include <memory>

#include "base/fd.h"
#include "cli/command.h"
#include "registry/keychain.h"

namespace mkimg::cli {
namespace {

void logout(const std::string& registry) {
    const std::string host = registry::Keychain::host_of(registry);
    const bool found = registry::Keychain().erase(host);
    write_full(STDERR_FILENO, (found ? "logged out of " : "not logged in to ") + host + "\n");
}

}  // namespace

void add_logout(CLI::App& command, Globals&) {
    auto registry = std::make_shared<std::string>("docker.io");
    command.add_option("registry", *registry, "The registry, HOST[:PORT] (default: docker.io)")->type_name("");
    command.callback([registry] { logout(*registry); });
}

}  // namespace mkimg::cli
