#include "registry/auth_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/atomic_file.h"
#include "base/base64.h"
#include "base/error.h"
#include "base/text.h"

namespace mkimg::registry {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view docker_hub = "docker.io";
constexpr std::uint64_t max_file = 8U << 20U;

// Why the file can't be used. Nothing of its content is shown: it holds secrets.
[[noreturn]] void fail(const std::string& path, const std::string& why) {
    throw Error(ErrorCode::usage, path + ": " + why, "correct the file, or move it away and log in again");
}

Json read(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) {
        if (errno == ENOENT || errno == ENOTDIR) return Json::object();
        throw_errno("read", path);
    }
    const std::string text = read_all(file.get(), max_file, path);
    if (trim(text).empty()) return Json::object();
    Json document;
    try {
        document = Json::parse(text);
    } catch (const nlohmann::json::parse_error& e) {
        const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(e.byte, text.size()));
        fail(path, "no valid JSON at line " + std::to_string(std::count(text.begin(), end, '\n') + 1));
    } catch (const nlohmann::json::exception&) {
        fail(path, "no valid JSON: a number out of range");
    }
    if (!document.is_object()) fail(path, "a JSON object is needed");
    return document;
}

// The field, or nullptr where it is missing or null, as Go reads it.
const Json* field(const Json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

// A file that is a symbolic link stays one: what it points to is replaced. It need not exist yet.
std::filesystem::path target_of(std::filesystem::path path) {
    constexpr int most_links = 40;
    for (int i = 0; i < most_links; ++i) {
        std::error_code no_link;
        const auto link = std::filesystem::read_symlink(path, no_link);
        if (no_link) return path;
        path = path.parent_path() / link;
    }
    throw errno_error(ELOOP, "write", path.string());
}

void make_private_directories(const std::filesystem::path& directory) {
    std::error_code unknown;
    if (directory.empty() || std::filesystem::exists(directory, unknown)) return;
    make_private_directories(directory.parent_path());
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) throw_errno("make the directory", directory.string());
}

UniqueFd open_parent(const std::filesystem::path& file) {
    const auto parent = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    make_private_directories(parent);
    return open_path(parent.string(), O_RDONLY | O_DIRECTORY);
}

}  // namespace

AuthKey AuthKey::parse(std::string_view key) {
    bool url = false;
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (key.starts_with(scheme)) {
            key.remove_prefix(scheme.size());
            url = true;
            break;
        }
    }
    const std::size_t slash = std::min(key.find('/'), key.size());
    AuthKey out{std::string(key.substr(0, slash)), {}};
    if (!url && slash < key.size()) out.path = key.substr(slash + 1);
    while (out.path.ends_with('/')) out.path.pop_back();
    if (out.host == "index.docker.io" || out.host == "registry-1.docker.io") out.host = docker_hub;
    return out;
}

std::string docker_key(std::string_view host) {
    return host == docker_hub ? "https://index.docker.io/v1/" : std::string(host);
}

struct AuthFile::State {
    std::string path;
    Json document;

    // An object of the document's; nullptr where there is none.
    const Json* section(const char* name) const {
        const Json* value = field(document, name);
        if (value != nullptr && !value->is_object()) fail(path, "\"" + std::string(name) + "\" must be an object");
        return value;
    }

    std::string text(const Json& object, const char* name, const std::string& where) const {
        const Json* value = field(object, name);
        if (value == nullptr) return {};
        if (!value->is_string()) fail(path, where + ": \"" + name + "\" must be a string");
        return value->get<std::string>();
    }

    // Nothing for an entry that only says that there is one, as Docker leaves it where a helper has it.
    std::optional<Credential> credential(const std::string& key, const Json& entry) const {
        const std::string where = "\"auths\", \"" + printable(key) + "\"";
        if (!entry.is_object()) fail(path, where + " must be an object");
        Credential out;
        out.username = text(entry, "username", where);
        out.password = text(entry, "password", where);
        out.identity_token = text(entry, "identitytoken", where);
        out.registry_token = text(entry, "registrytoken", where);
        if (const std::string coded = text(entry, "auth", where); !coded.empty()) {
            const auto plain = base64_decode(coded);
            const std::size_t colon = plain ? plain->find(':') : std::string::npos;
            if (colon == std::string::npos) fail(path, where + ": \"auth\" is no base64 of user:password");
            out.username = plain->substr(0, colon);
            out.password = plain->substr(colon + 1);
        }
        const bool empty =
            out.username.empty() && out.password.empty() && out.identity_token.empty() && out.registry_token.empty();
        return empty ? std::nullopt : std::optional(out);
    }
};

AuthFile::AuthFile(std::string path) : state_(std::make_unique<State>()) {
    state_->document = read(path);
    state_->path = std::move(path);
}
AuthFile::~AuthFile() = default;

std::optional<std::string> AuthFile::helper_for(std::string_view host) const {
    const Json* helpers = state_->section("credHelpers");
    if (helpers == nullptr) return std::nullopt;
    for (const auto& [key, value] : helpers->items()) {
        const AuthKey names = AuthKey::parse(key);
        if (names.host == host && names.path.empty()) {
            return state_->text(*helpers, key.c_str(), "\"credHelpers\"");
        }
    }
    return std::nullopt;
}

std::optional<std::string> AuthFile::default_helper() const {
    std::string name = state_->text(state_->document, "credsStore", "the file");
    return name.empty() ? std::nullopt : std::optional(std::move(name));
}

std::optional<Credential> AuthFile::find(std::string_view host, std::string_view repository) const {
    const Json* auths = state_->section("auths");
    if (auths == nullptr) return std::nullopt;
    struct Candidate {
        std::size_t path_size;
        bool written_by_docker;  // which is preferred where several keys mean the same
        const std::string* key;
        const Json* entry;
    };
    std::vector<Candidate> candidates;
    const std::string preferred = docker_key(host);
    for (auto it = auths->begin(); it != auths->end(); ++it) {
        const AuthKey key = AuthKey::parse(it.key());
        const bool inside = key.path.empty() || repository == key.path ||
                            (repository.starts_with(key.path) && repository[key.path.size()] == '/');
        if (key.host == host && inside) {
            candidates.push_back({key.path.size(), it.key() == preferred, &it.key(), &it.value()});
        }
    }
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
        return std::pair(a.path_size, a.written_by_docker) > std::pair(b.path_size, b.written_by_docker);
    });
    for (const auto& candidate : candidates) {
        if (auto found = state_->credential(*candidate.key, *candidate.entry)) return found;
    }
    return std::nullopt;
}

void AuthFile::set(std::string_view host, const Credential& credential) {
    if (state_->section("auths") == nullptr) state_->document["auths"] = Json::object();
    Json& entry = state_->document["auths"][docker_key(host)];
    if (!entry.is_object()) entry = Json::object();
    for (const char* name : {"username", "password", "identitytoken", "registrytoken"}) entry.erase(name);
    entry["auth"] = base64_encode(credential.username + ":" + credential.password);
    if (!credential.identity_token.empty()) entry["identitytoken"] = credential.identity_token;
    if (!credential.registry_token.empty()) entry["registrytoken"] = credential.registry_token;
}

bool AuthFile::remove(std::string_view host) {
    if (state_->section("auths") == nullptr) return false;
    Json& auths = state_->document["auths"];
    std::vector<std::string> keys;
    for (const auto& [key, entry] : auths.items()) {
        const AuthKey names = AuthKey::parse(key);
        if (names.host == host && names.path.empty()) keys.push_back(key);
    }
    for (const auto& key : keys) auths.erase(key);
    return !keys.empty();
}

UniqueFd AuthFile::lock(const std::string& path) {
    // The directory: the file itself is another one after each save. Where it can't be written, save() says so.
    const auto target = target_of(path);
    UniqueFd directory;
    try {
        directory = open_parent(target);
    } catch (const Error&) {
        return directory;
    }
    while (::flock(directory.get(), LOCK_EX) != 0 && errno == EINTR) {
    }
    return directory;
}

void AuthFile::save() const {
    const auto path = target_of(state_->path);
    const UniqueFd directory = open_parent(path);
    AtomicFile file(directory.get(), path.filename().string(), 0600);
    file.write(state_->document.dump(1, '\t') + "\n");
    // Under sudo the file stays the user's.
    struct stat before {};
    if (::fstatat(directory.get(), path.filename().c_str(), &before, AT_SYMLINK_NOFOLLOW) == 0 &&
        before.st_uid != ::geteuid() && ::fchown(file.fd(), before.st_uid, before.st_gid) != 0) {
        throw_errno("keep the owner of", path.string());
    }
    if (::fsync(file.fd()) != 0) throw_errno("write", path.string());
    file.commit();
}

}  // namespace mkimg::registry
