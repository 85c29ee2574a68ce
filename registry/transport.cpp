#include "registry/transport.h"

namespace mkimg::registry {

std::optional<std::string_view> Response::header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
        if (key == name) return value;
    }
    return std::nullopt;
}

std::vector<std::string_view> Response::headers_named(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const auto& [key, value] : headers) {
        if (key == name) values.emplace_back(value);
    }
    return values;
}

}  // namespace mkimg::registry
