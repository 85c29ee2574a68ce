// Length-prefixed fields: what goes through the launcher's socket and into cache keys. Two
// different lists of fields never give the same bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mkimg {

class WireWriter {
  public:
    WireWriter& number(std::uint64_t value);                 // 8 bytes, little-endian
    WireWriter& text(std::string_view value);                // length, then the bytes
    WireWriter& texts(std::span<const std::string> values);  // count, then each
    const std::string& bytes() const noexcept { return bytes_; }

  private:
    std::string bytes_;
};

// Throws Error(corrupt) when the bytes end early.
class WireReader {
  public:
    explicit WireReader(std::string_view bytes) : rest_(bytes) {}
    std::uint64_t number();
    std::string text();
    std::vector<std::string> texts();
    bool at_end() const noexcept { return rest_.empty(); }

  private:
    std::string_view take(std::uint64_t size);
    std::string_view rest_;
};

}  // namespace mkimg
