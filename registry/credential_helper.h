// docker-credential-NAME: a program that keeps credentials (the protocol of docker-credential-helpers).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "registry/keychain.h"

namespace mkimg::registry {

class CredentialHelper {
  public:
    // Throws Error(usage) for a name that could mean something else than a program in PATH.
    explicit CredentialHelper(std::string_view name, std::chrono::milliseconds time_limit = std::chrono::seconds(30));

    // `server` as docker_key() has it. Each throws Error(host) where the program is missing, Error(denied) with
    // what it said where it fails. Nothing that may be a secret is shown.
    std::optional<Credential> get(const std::string& server) const;
    void store(const std::string& server, const Credential& credential) const;
    void erase(const std::string& server) const;

    const std::string& program() const noexcept { return program_; }

  private:
    struct Outcome;
    Outcome run(const char* action, const std::string& input) const;
    [[noreturn]] void fail(const char* action, const Outcome& outcome, std::string_view secret = {}) const;

    std::string program_;
    std::chrono::milliseconds time_limit_;
};

}  // namespace mkimg::registry
