#include "oci/json_fields.h"

#include "base/error.h"
#include "base/text.h"

namespace mkimg::oci {
namespace {

// Looked at before parsing: whoever walks a parsed document may do it recursively.
bool too_deep(std::string_view text) {
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_document_depth) return true;
        } else if (c == ']' || c == '}') {
            --depth;
        }
    }
    return false;
}

}  // namespace

nlohmann::json parse_document(std::string_view text, const std::string& what) {
    if (text.size() > max_document) {
        throw Error(ErrorCode::corrupt, what + " is larger than the " + human_size(max_document) + " allowed");
    }
    if (too_deep(text)) throw Error(ErrorCode::corrupt, what + " is nested too deeply");
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::exception& e) {
        throw Error(ErrorCode::corrupt, what + " is no valid JSON: " + e.what());
    }
}

std::string write_document(const nlohmann::json& document) {
    return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Fields::Fields(const nlohmann::json& value, std::string path) : value_(&value), path_(std::move(path)) {
    if (!value.is_object()) throw Error(ErrorCode::corrupt, path_ + " must be a JSON object");
}

void Fields::fail(const char* key, const std::string& why) const {
    throw Error(ErrorCode::corrupt, path_ + ": field \"" + key + "\" " + why);
}

const nlohmann::json* Fields::find(const char* key) const {
    const auto found = value_->find(key);
    return found == value_->end() || found->is_null() ? nullptr : &*found;
}

std::string Fields::text(const char* key) const {
    const auto* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_string()) fail(key, "must be a string");
    return value->get<std::string>();
}

std::int64_t Fields::integer(const char* key) const {
    const auto* value = find(key);
    if (value == nullptr) return 0;
    const bool fits =
        value->is_number_integer() && (!value->is_number_unsigned() || value->get<std::uint64_t>() <= INT64_MAX);
    if (!fits) fail(key, "must be a whole number");
    return value->get<std::int64_t>();
}

bool Fields::boolean(const char* key) const {
    const auto* value = find(key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) fail(key, "must be true or false");
    return value->get<bool>();
}

std::optional<std::int64_t> Fields::time(const char* key) const {
    const std::string written = text(key);
    if (written.empty()) return std::nullopt;
    const auto seconds = parse_rfc3339(written);
    if (!seconds) fail(key, "must be a time as RFC 3339 writes it, not \"" + written + "\"");
    return seconds;
}

std::optional<std::vector<std::string>> Fields::texts(const char* key) const {
    const auto* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_array()) fail(key, "must be a list of strings");
    std::vector<std::string> out;
    for (const auto& element : *value) {
        if (!element.is_string()) fail(key, "must be a list of strings");
        out.push_back(element.get<std::string>());
    }
    return out;
}

std::optional<std::vector<std::string>> Fields::text_or_texts(const char* key) const {
    const auto* value = find(key);
    if (value != nullptr && value->is_string()) return std::vector{value->get<std::string>()};
    return texts(key);
}

std::map<std::string, std::string> Fields::text_map(const char* key) const {
    std::map<std::string, std::string> out;
    const auto* value = find(key);
    if (value == nullptr) return out;
    if (!value->is_object()) fail(key, "must be an object of strings");
    for (const auto& [name, element] : value->items()) {
        if (!element.is_string()) fail(key, "must be an object of strings");
        out.emplace(name, element.get<std::string>());
    }
    return out;
}

std::vector<std::string> Fields::keys(const char* key) const {
    std::vector<std::string> out;
    const auto* value = find(key);
    if (value == nullptr) return out;
    if (!value->is_object()) fail(key, "must be an object");
    for (const auto& [name, element] : value->items()) out.push_back(name);
    return out;
}

std::optional<Fields> Fields::object(const char* key) const {
    const auto* value = find(key);
    if (value == nullptr) return std::nullopt;
    return Fields(*value, path_ + ": \"" + key + "\"");
}

std::vector<Fields> Fields::objects(const char* key, std::size_t limit) const {
    std::vector<Fields> out;
    const auto* value = find(key);
    if (value == nullptr) return out;
    if (!value->is_array()) fail(key, "must be a list");
    if (value->size() > limit) fail(key, "has more than the " + std::to_string(limit) + " elements allowed");
    for (std::size_t i = 0; i < value->size(); ++i) {
        out.emplace_back((*value)[i], path_ + ": \"" + key + "\"[" + std::to_string(i) + "]");
    }
    return out;
}

Platform Fields::platform() const {
    Platform platform;
    if (has("os")) platform.os = text("os");
    platform.architecture = text("architecture");
    platform.variant = text("variant");
    return platform;
}

}  // namespace mkimg::oci
