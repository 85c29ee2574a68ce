// Credentials by registry, where Docker and its kin keep them: config.json (`auths`), and the helper
// programs docker-credential-NAME (`credHelpers`, `credsStore`).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mkimg::registry {

struct Credential {
    std::string username;
    std::string password;
    std::string identity_token;  // a refresh token for the token server (OAuth 2), instead of a password
    std::string registry_token;  // a bearer token to be sent as it is

    friend bool operator==(const Credential&, const Credential&) = default;
};

class Keychain {
  public:
    // The registry that a person names, by its host or an URL of it, as references name it. Throws Error(usage).
    static std::string host_of(std::string_view text);
    // $REGISTRY_AUTH_FILE, else $DOCKER_CONFIG/config.json, else ~/.docker/config.json.
    static std::string default_path();
    explicit Keychain(std::string path = default_path());
    // From now on this is who mkimg is to `host`, whatever the files say: to try it before it is stored. Not to
    // be called once other threads look.
    void hold(std::string host, Credential credential);

    // Whom to be for `repository` ("library/debian"; empty: the registry itself) of `host`, "host[:port]" as
    // references name it ("docker.io"). The match of the host is exact. In order: the helper of `credHelpers`;
    // `auths`, the longest "host/path" that the repository lies in first; the helper of `credsStore`. Throws
    // Error(usage) that names the file where it can't be read as JSON, Error(host) where a helper that is named
    // is missing, Error(denied) with what it said where it failed. A helper that has nothing is no error.
    std::optional<Credential> find(std::string_view host, std::string_view repository = {}) const;

    // Returns where it put it, for people: "…/config.json (not encrypted: consider a credential helper)",
    // "docker-credential-pass". Leaves everything else in the file as it is; the file is replaced at once and is
    // its owner's alone (0600).
    std::string store(std::string_view host, const Credential& credential) const;
    // False where there was none.
    bool erase(std::string_view host) const;

    const std::string& path() const noexcept { return path_; }

  private:
    std::string path_;
    std::optional<std::pair<std::string, Credential>> held_;
};

}  // namespace mkimg::registry
