#include "registry/registry_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "oci/json_fields.h"

namespace mkimg::registry {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// One object of the file, whose fields are all known.
class Section {
  public:
    Section(const json& value, std::string file, std::string name)
        : value_(value), file_(std::move(file)), name_(std::move(name)) {
        if (!value.is_object()) throw fault("", "must be an object");
    }

    void allow(std::initializer_list<const char*> known) const {
        const std::vector<std::string> names(known.begin(), known.end());
        for (const auto& [key, value] : value_.items()) {
            if (std::find(names.begin(), names.end(), key) != names.end()) continue;
            const auto near = nearest(key, names);
            throw Error(ErrorCode::usage, file_ + ": unknown field " + printable(path_of(key)),
                        near ? "did you mean \"" + *near + "\"?" : "known here: " + join(names, ", "));
        }
    }

    Error fault(const std::string& key, const std::string& why) const {
        const std::string path = path_of(key);
        return Error(ErrorCode::usage, file_ + ": " + (path.empty() ? "the document" : printable(path)) + " " + why);
    }

    std::vector<std::string> keys() const {
        std::vector<std::string> names;
        for (const auto& [key, value] : value_.items()) names.push_back(key);
        return names;
    }

    std::optional<Section> section(const std::string& key) const {
        const json* const value = find(key);
        if (value == nullptr) return std::nullopt;
        return Section(*value, file_, path_of(key));
    }

    void read(const std::string& key, bool& into) const {
        const json* const value = find(key);
        if (value == nullptr) return;
        if (!value->is_boolean()) throw fault(key, "must be true or false");
        into = value->get<bool>();
    }

    void read(const std::string& key, std::vector<std::string>& into) const {
        const json* const value = find(key);
        if (value == nullptr) return;
        const bool strings = value->is_array() && std::all_of(value->begin(), value->end(), [](const json& element) {
                                 return element.is_string() && !element.get_ref<const std::string&>().empty();
                             });
        if (!strings) throw fault(key, "must be a list of strings that are not empty");
        into = value->get<std::vector<std::string>>();
    }

    void read(const std::string& key, unsigned& into) const {
        const json* const value = find(key);
        if (value == nullptr) return;
        constexpr std::uint64_t most = 100;
        if (!value->is_number_unsigned() || value->get<std::uint64_t>() < 1 || value->get<std::uint64_t>() > most) {
            throw fault(key, fmt::format("must be a whole number from 1 to {}", most));
        }
        into = value->get<unsigned>();
    }

    void read_seconds(const std::string& key, milliseconds least, milliseconds& into) const {
        const json* const value = find(key);
        if (value == nullptr) return;
        constexpr double day = 24 * 3600;
        const double seconds = value->is_number() ? value->get<double>() : -1;
        // false for what is no number at all, too
        const bool fits = seconds >= 0 && seconds <= day;
        const milliseconds rounded(fits ? std::llround(seconds * 1000) : -1);
        if (rounded < least) {
            throw fault(key, fmt::format("must be a number of seconds from {} to {}",
                                         static_cast<double>(least.count()) / 1000, day));
        }
        into = rounded;
    }

  private:
    const json* find(const std::string& key) const {
        const auto found = value_.find(key);
        return found == value_.end() || found->is_null() ? nullptr : &*found;
    }

    std::string path_of(const std::string& key) const {
        return key.empty() ? name_ : (name_.empty() ? "" : name_ + ".") + '"' + key + '"';
    }

    const json& value_;
    std::string file_;
    std::string name_;  // "registries"."example.com"; empty at the top
};

bool is_mirror(const std::string& url) {
    const std::string_view rest = url.starts_with("https://")  ? std::string_view(url).substr(8)
                                  : url.starts_with("http://") ? std::string_view(url).substr(7)
                                                               : std::string_view();
    return !rest.empty() && rest.front() != '/' && std::all_of(rest.begin(), rest.end(), [](char c) {
        return c > ' ' && c != '\x7f' && std::string_view("?#@\\").find(c) == std::string_view::npos;
    });
}

HostConfig read_host(const Section& section, const std::filesystem::path& directory) {
    section.allow({"insecure", "ca", "mirrors"});
    HostConfig host;
    section.read("insecure", host.insecure);
    section.read("ca", host.ca_files);
    for (std::string& file : host.ca_files) file = directory / file;  // an absolute one stays as it is
    section.read("mirrors", host.mirrors);
    for (const std::string& mirror : host.mirrors) {
        if (!is_mirror(mirror)) {
            throw section.fault("mirrors", "must be URLs as https://mirror.example.com[:PORT][/PREFIX]");
        }
    }
    return host;
}

json parse(const std::string& path, std::string_view text) {
    try {
        return oci::parse_document(text, path);
    } catch (const Error& e) {
        throw Error(ErrorCode::usage, e.message());
    }
}

}  // namespace

void read_registry_file(const std::string& path, std::string_view text, RegistrySettings& settings) {
    const json document = parse(path, text);
    const Section top(document, path, "");
    top.allow({"registries", "timeouts", "retries"});
    if (const auto registries = top.section("registries")) {
        const auto directory = std::filesystem::path(path).parent_path();
        for (const std::string& name : registries->keys()) {
            std::string host;
            try {
                host = canonical_host(name);
            } catch (const Error& e) {
                throw Error(ErrorCode::usage, path + ": " + e.message(), e.hint());
            }
            if (const auto section = registries->section(name)) settings.hosts[host] = read_host(*section, directory);
        }
    }
    if (const auto timeouts = top.section("timeouts")) {
        timeouts->allow({"connect", "document", "stall"});
        timeouts->read_seconds("connect", milliseconds(1), settings.timeouts.connect);
        timeouts->read_seconds("document", milliseconds(1), settings.timeouts.document);
        timeouts->read_seconds("stall", milliseconds(1), settings.timeouts.stall);
    }
    if (const auto retries = top.section("retries")) {
        retries->allow({"attempts", "delay", "most"});
        retries->read("attempts", settings.retries.attempts);
        retries->read_seconds("delay", milliseconds(0), settings.retries.delay);
        retries->read_seconds("most", milliseconds(0), settings.retries.most);
    }
}

std::string canonical_host(std::string_view host) {
    const bool written_well = !host.empty() && host.front() != '.' && std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view(".-_:[]").find(c) != std::string_view::npos;
    });
    if (!written_well) {
        throw Error(ErrorCode::usage, "\"" + printable(host) + "\" names no registry",
                    "write HOST[:PORT] as image references do, without https:// and without a path");
    }
    std::string name = to_lower(host);
    if (name.ends_with(":443")) name.resize(name.size() - 4);
    if (name == "registry-1.docker.io" || name == "index.docker.io") return "docker.io";
    return name;
}

}  // namespace mkimg::registry
