// The file that Docker and Podman keep credentials in: config.json, auth.json (containers-auth.json(5)).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "registry/keychain.h"

namespace mkimg::registry {

// The registry that a key of the file means, as references name it: "https://index.docker.io/v1/" is
// docker.io, "https://HOST/v1/" is HOST. Keys without a scheme may have a path below the registry:
// "HOST/team/app".
struct AuthKey {
    std::string host;
    std::string path;  // of a repository, or of what repositories lie in; empty: all of them

    static AuthKey parse(std::string_view key);
};

// What Docker writes for a registry: its host, but for docker.io "https://index.docker.io/v1/". Credential
// helpers know registries by this too.
std::string docker_key(std::string_view host);

class AuthFile {
  public:
    // A file that is missing is empty. Throws Error(usage) for what can't be read; never shows its content.
    explicit AuthFile(std::string path);
    AuthFile(const AuthFile&) = delete;
    AuthFile& operator=(const AuthFile&) = delete;
    ~AuthFile();

    // The program that keeps the credentials of `host`, "pass" for docker-credential-pass. Empty where the
    // file says that it is the file itself, nothing where it says nothing.
    std::optional<std::string> helper_for(std::string_view host) const;
    std::optional<std::string> default_helper() const;

    // The entry of the longest path that `repository` lies in.
    std::optional<Credential> find(std::string_view host, std::string_view repository) const;
    void set(std::string_view host, const Credential& credential);
    // All entries of the whole registry; those of paths in it stay. False where there was none.
    bool remove(std::string_view host);

    // Until it is closed, whoever else locks the file waits: what he then reads and saves has our changes in it. Makes
    // the file's directory. Where there are no locks to be had it is none.
    static UniqueFd lock(const std::string& path);
    // Replaces the file at once, or what it is a link to. Everything else in it is as it was.
    void save() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mkimg::registry
