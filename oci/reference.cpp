#include "oci/reference.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace mkimg::oci {
namespace {

constexpr std::string_view default_registry = "docker.io";
constexpr std::string_view official = "library/";
constexpr std::size_t max_repository = 255;
constexpr std::size_t max_tag = 128;

bool is_lower_alnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool is_alnum(char c) {
    return is_lower_alnum(c) || is_upper(c);
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

[[noreturn]] void bad(std::string_view text, const std::string& why, std::string hint = {}) {
    throw Error(ErrorCode::usage, "invalid image reference \"" + std::string(text) + "\": " + why, std::move(hint));
}

// path-component := alpha-numeric [separator alpha-numeric]*, separator := [_.] | "__" | "-"+
bool is_path_component(std::string_view part) {
    std::size_t i = 0;
    const auto alnums = [&] {
        const std::size_t from = i;
        while (i < part.size() && is_lower_alnum(part[i])) ++i;
        return i != from;
    };
    if (!alnums()) return false;
    while (i < part.size()) {
        if (part[i] == '-') {
            while (i < part.size() && part[i] == '-') ++i;
        } else if (part.substr(i, 2) == "__") {
            i += 2;
        } else if (part[i] == '_' || part[i] == '.') {
            ++i;
        } else {
            return false;
        }
        if (!alnums()) return false;
    }
    return true;
}

// domain := (domain-component ["." domain-component]* | "[" IPv6 "]") [":" port]
bool is_registry(std::string_view text) {
    if (text.starts_with('[')) {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos || end == 1) return false;
        const std::string_view address = text.substr(1, end - 1);
        if (!std::all_of(address.begin(), address.end(), [](char c) { return is_hex(c) || c == ':'; })) return false;
        text.remove_prefix(end + 1);
        if (text.empty()) return true;
        if (text[0] != ':') return false;
    } else {
        const std::size_t colon = text.find(':');
        for (const std::string& part : split(text.substr(0, colon), '.')) {
            if (part.empty() || part.front() == '-' || part.back() == '-') return false;
            if (!std::all_of(part.begin(), part.end(), [](char c) { return is_alnum(c) || c == '-'; })) return false;
        }
        if (colon == std::string_view::npos) return true;
        text.remove_prefix(colon);
    }
    const auto port = parse_u64(text.substr(1));
    return port && *port <= 65535;
}

bool is_tag(std::string_view tag) {
    if (tag.empty() || tag.size() > max_tag || tag[0] == '.' || tag[0] == '-') return false;
    return std::all_of(tag.begin(), tag.end(), [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

// Whether the part before the first "/" names a registry and not a part of the repository.
bool names_registry(std::string_view first) {
    return first.find_first_of(".:[") != std::string_view::npos || first == "localhost" ||
           std::any_of(first.begin(), first.end(), is_upper);
}

void check_repository(std::string_view text, const std::string& repository) {
    if (repository.empty()) bad(text, "it has no name", "write it as [registry/]name[:tag]");
    if (std::any_of(repository.begin(), repository.end(), is_upper)) {
        bad(text, "the repository name must be lower-case", "write \"" + to_lower(repository) + "\"");
    }
    if (repository.size() > max_repository) bad(text, "the repository name is longer than 255 characters");
    for (const std::string& part : split(repository, '/')) {
        if (part.empty()) bad(text, "empty component in the repository name", "write one \"/\" between two components");
        if (!is_path_component(part)) {
            bad(text, "\"" + part + "\" is no valid part of a repository name",
                "use a-z and 0-9, with single \".\", \"_\", or \"__\", or any number of \"-\", between them");
        }
    }
}

}  // namespace

Reference Reference::parse(std::string_view text) {
    if (text.empty()) bad(text, "it is empty");
    if (text.find("://") != std::string_view::npos) {
        bad(text, "it is an URL", "leave out the scheme: registry/name:tag");
    }
    if (text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) { return is_hex(c) && !is_upper(c); })) {
        bad(text, "64 hex digits are an image ID and can't be a name");
    }
    Reference reference;
    std::string_view rest = text;
    if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
        const std::string_view digest = rest.substr(at + 1);
        reference.digest = Digest::parse(digest);
        if (!reference.digest) {
            bad(text, "\"" + std::string(digest) + "\" is no digest",
                "a digest is \"sha256:\" and 64 lower-case hex digits");
        }
        rest = rest.substr(0, at);
    }
    // A ":" after the last "/" starts the tag; before it, it belongs to the registry's port.
    const std::size_t slash = rest.rfind('/');
    const std::size_t colon = rest.find(':', slash == std::string_view::npos ? 0 : slash);
    if (colon != std::string_view::npos) {
        const std::string_view tag = rest.substr(colon + 1);
        if (!is_tag(tag)) {
            bad(text, "\"" + std::string(tag) + "\" is no valid tag",
                "a tag is 1 to 128 of A-Z a-z 0-9 _ . - and begins with none of . and -");
        }
        reference.tag = tag;
        rest = rest.substr(0, colon);
    } else if (!reference.digest) {
        reference.tag = "latest";
    }
    const std::size_t first_slash = rest.find('/');
    const std::string_view first = rest.substr(0, first_slash);
    if (first_slash != std::string_view::npos && names_registry(first)) {
        if (!is_registry(first)) {
            bad(text, "\"" + std::string(first) + "\" is no host name", "write the registry as host[:port]");
        }
        reference.registry = first;
        reference.repository = rest.substr(first_slash + 1);
    } else {
        reference.registry = default_registry;
        reference.repository = rest;
    }
    if (reference.registry == "index.docker.io") reference.registry = default_registry;
    check_repository(text, reference.repository);
    if (reference.registry == default_registry && reference.repository.find('/') == std::string::npos) {
        reference.repository.insert(0, official);
    }
    return reference;
}

std::string Reference::str() const {
    std::string out = registry + "/" + repository;
    if (!tag.empty()) out += ":" + tag;
    if (digest) out += "@" + digest->str();
    return out;
}

std::string Reference::familiar() const {
    std::string whole = str();
    if (registry != default_registry) return whole;
    const std::string_view path = repository;
    std::size_t drop = registry.size() + 1;
    if (path.starts_with(official) && path.find('/', official.size()) == std::string_view::npos) {
        drop += official.size();
    } else if (names_registry(path.substr(0, path.find('/')))) {
        return whole;  // without the registry, its first part would be read as one
    }
    return whole.substr(drop);
}

}  // namespace mkimg::oci
