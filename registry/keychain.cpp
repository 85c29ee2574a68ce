#include "registry/keychain.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "oci/reference.h"
#include "registry/auth_file.h"
#include "registry/credential_helper.h"

namespace mkimg::registry {
namespace {

std::string environment(const char* name) {
    const char* const value = ::getenv(name);
    return value == nullptr ? std::string() : value;
}

std::string home() {
    if (std::string path = environment("HOME"); !path.empty()) return path;
    const passwd* const entry = ::getpwuid(::getuid());
    return entry == nullptr ? "/" : entry->pw_dir;
}

// Where a new credential goes: empty is the file.
std::string keeper(const AuthFile& file, std::string_view host) {
    if (auto own = file.helper_for(host)) return *own;
    return file.default_helper().value_or(std::string());
}

}  // namespace

std::string Keychain::host_of(std::string_view text) {
    const AuthKey key = AuthKey::parse(text);
    std::string registry;
    try {
        registry = oci::Reference::parse(key.host + "/name").registry;
    } catch (const Error&) {
        registry.clear();
    }
    if (registry.empty() || registry != key.host || !key.path.empty()) {
        throw Error(ErrorCode::usage, "\"" + printable(text) + "\" is no registry",
                    "write its host[:port], as names of images begin with: docker.io, ghcr.io, localhost:5000");
    }
    return registry;
}

std::string Keychain::default_path() {
    if (std::string path = environment("REGISTRY_AUTH_FILE"); !path.empty()) return path;
    if (const std::string path = environment("DOCKER_CONFIG"); !path.empty()) return path + "/config.json";
    return home() + "/.docker/config.json";
}

Keychain::Keychain(std::string path) : path_(std::move(path)) {}

void Keychain::hold(std::string host, Credential credential) {
    held_.emplace(std::move(host), std::move(credential));
}

std::optional<Credential> Keychain::find(std::string_view host, std::string_view repository) const {
    if (held_ && held_->first == host) return held_->second;
    const AuthFile file(path_);
    const auto own = file.helper_for(host);
    if (own && !own->empty()) {
        if (auto found = CredentialHelper(*own).get(docker_key(host))) return found;
    }
    if (auto found = file.find(host, repository)) return found;
    const auto common = own ? std::nullopt : file.default_helper();
    return common ? CredentialHelper(*common).get(docker_key(host)) : std::nullopt;
}

std::string Keychain::store(std::string_view host, const Credential& credential) const {
    const UniqueFd lock = AuthFile::lock(path_);
    AuthFile file(path_);
    const std::string helper = keeper(file, host);
    if (helper.empty()) {
        file.set(host, credential);
        file.save();
        return path_ + " (not encrypted: consider a credential helper)";
    }
    const CredentialHelper program(helper);
    program.store(docker_key(host), credential);
    // An entry in the file would hide the new one, and keep an old secret.
    if (file.remove(host)) file.save();
    return program.program();
}

bool Keychain::erase(std::string_view host) const {
    UniqueFd lock;
    if (::access(path_.c_str(), F_OK) == 0) lock = AuthFile::lock(path_);
    AuthFile file(path_);
    bool found = file.remove(host);
    if (found) file.save();
    if (const std::string helper = keeper(file, host); !helper.empty()) {
        const CredentialHelper program(helper);
        if (program.get(docker_key(host))) {
            program.erase(docker_key(host));
            found = true;
        }
    }
    return found;
}

}  // namespace mkimg::registry
