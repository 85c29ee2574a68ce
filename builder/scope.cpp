#include "builder/scope.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/text.h"

namespace mkimg::builder {
namespace {

constexpr std::array<std::string_view, 5> proxy_names = {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY",
                                                         "ALL_PROXY"};

}  // namespace

bool is_predefined_proxy(std::string_view name) {
    return std::any_of(proxy_names.begin(), proxy_names.end(),
                       [&](std::string_view proxy) { return name == proxy || name == to_lower(proxy); });
}

BuildArgs::BuildArgs(const BuildRequest& request) {
    for (const auto& [name, value] : request.build_args) {
        if (value) {
            values_[name] = *value;
        } else if (const char* inherited = std::getenv(name.c_str())) {
            values_[name] = inherited;
        }
    }
}

std::optional<std::string> BuildArgs::value(std::string_view name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) return std::nullopt;
    return found->second;
}

std::vector<std::pair<std::string, std::string>> BuildArgs::proxies() const {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& [name, value] : values_) {
        if (is_predefined_proxy(name)) out.emplace_back(name, value);
    }
    return out;
}

void BuildArgs::mark_used(std::string_view name) {
    const std::lock_guard lock(mutex_);
    used_.emplace(name);
}

std::vector<std::string> BuildArgs::unused() const {
    std::vector<std::string> names;
    for (const auto& [name, value] : values_) {
        if (!used_.contains(name) && !is_predefined_proxy(name) && name != "SOURCE_DATE_EPOCH") names.push_back(name);
    }
    return names;
}

void ArgScope::declare(std::string_view name, std::optional<std::string> value) {
    for (Arg& arg : args_) {
        if (arg.name == name) {
            // `ARG NAME` without a value leaves an earlier default as it is.
            if (value) arg.value = std::move(value);
            return;
        }
    }
    args_.push_back({std::string(name), std::move(value)});
}

const Arg* ArgScope::find(std::string_view name) const {
    for (const Arg& arg : args_) {
        if (arg.name == name) return &arg;
    }
    return nullptr;
}

std::map<std::string, std::string, std::less<>> platform_args(const oci::Platform& target, const oci::Platform& build,
                                                              std::string_view target_stage) {
    return {{"TARGETPLATFORM", target.str()},
            {"TARGETOS", target.os},
            {"TARGETARCH", target.architecture},
            {"TARGETVARIANT", target.variant},
            {"BUILDPLATFORM", build.str()},
            {"BUILDOS", build.os},
            {"BUILDARCH", build.architecture},
            {"BUILDVARIANT", build.variant},
            {"TARGETSTAGE", target_stage.empty() ? "default" : std::string(target_stage)}};
}

}  // namespace mkimg::builder
