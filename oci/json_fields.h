// Typed, named access to untrusted JSON. For .cpp files alone: no other header includes this, for
// nlohmann's is slow to compile.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oci/platform.h"

namespace mkimg::oci {

inline constexpr std::size_t max_document = 8U << 20U;
inline constexpr int max_document_depth = 64;
inline constexpr std::size_t max_layers = 4096;

// One JSON document of at most max_document bytes and max_document_depth levels. Throws
// Error(corrupt) that begins with `what` ("the manifest").
nlohmann::json parse_document(std::string_view text, const std::string& what);

// Sorted keys, no blanks. Never throws for a string that is not UTF-8: each bad byte becomes U+FFFD.
std::string write_document(const nlohmann::json& document);

// The fields of one JSON object. A field that is missing or null is "not there", as Go's encoder and
// Docker's images have it; one of another type than asked for is Error(corrupt) that names it.
class Fields {
  public:
    Fields(const nlohmann::json& value, std::string path);

    bool has(const char* key) const { return find(key) != nullptr; }
    std::string text(const char* key) const;
    std::int64_t integer(const char* key) const;
    bool boolean(const char* key) const;
    std::optional<std::int64_t> time(const char* key) const;  // RFC 3339; whole seconds
    std::optional<std::vector<std::string>> texts(const char* key) const;
    // The same; a single string counts as a list of one, as Docker's StrSlice does.
    std::optional<std::vector<std::string>> text_or_texts(const char* key) const;
    std::map<std::string, std::string> text_map(const char* key) const;
    std::vector<std::string> keys(const char* key) const;  // of an object, sorted
    std::optional<Fields> object(const char* key) const;
    std::vector<Fields> objects(const char* key, std::size_t limit) const;
    Platform platform() const;  // "os", "architecture", "variant" of this object

    const std::string& path() const noexcept { return path_; }
    [[noreturn]] void fail(const char* key, const std::string& why) const;

  private:
    const nlohmann::json* find(const char* key) const;

    const nlohmann::json* value_;
    std::string path_;
};

}  // namespace mkimg::oci
