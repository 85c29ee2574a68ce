#include "parser/utf8.h"

#include <array>

namespace mkimg::parser {
namespace {

constexpr char32_t raw_byte = 0x110000;  // + the byte

// The smallest code point that needs so many bytes.
constexpr std::array<char32_t, 5> smallest = {0, 0, 0x80, 0x800, 0x10000};

std::size_t length_of(unsigned char lead) {
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return 2;
    if (lead >= 0xE0 && lead <= 0xEF) return 3;
    if (lead >= 0xF0 && lead <= 0xF4) return 4;
    return 0;
}

}  // namespace

char32_t first_character(std::string_view bytes, std::size_t& length) {
    const auto lead = static_cast<unsigned char>(bytes.front());
    const std::size_t wanted = length_of(lead);
    length = 1;
    if (wanted == 1) return lead;
    if (wanted == 0 || bytes.size() < wanted) return raw_byte + lead;
    char32_t value = lead & (0x7FU >> wanted);
    for (std::size_t i = 1; i < wanted; ++i) {
        const auto next = static_cast<unsigned char>(bytes[i]);
        if ((next & 0xC0U) != 0x80U) return raw_byte + lead;
        value = (value << 6U) | (next & 0x3FU);
    }
    const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
    if (value < smallest[wanted] || surrogate || value > 0x10FFFF) return raw_byte + lead;
    length = wanted;
    return value;
}

std::u32string decode_utf8(std::string_view bytes) {
    std::u32string text;
    text.reserve(bytes.size());
    while (!bytes.empty()) {
        std::size_t length = 0;
        text += first_character(bytes, length);
        bytes.remove_prefix(length);
    }
    return text;
}

std::string encode_utf8(std::u32string_view text) {
    std::string bytes;
    bytes.reserve(text.size());
    const auto continuation = [](char32_t bits) { return static_cast<char>(0x80U | (bits & 0x3FU)); };
    for (const char32_t c : text) {
        if (c >= raw_byte) {
            bytes += static_cast<char>(c - raw_byte);
        } else if (c < 0x80) {
            bytes += static_cast<char>(c);
        } else if (c < 0x800) {
            bytes += static_cast<char>(0xC0U | (c >> 6U));
            bytes += continuation(c);
        } else if (c < 0x10000) {
            bytes += static_cast<char>(0xE0U | (c >> 12U));
            bytes += continuation(c >> 6U);
            bytes += continuation(c);
        } else {
            bytes += static_cast<char>(0xF0U | (c >> 18U));
            bytes += continuation(c >> 12U);
            bytes += continuation(c >> 6U);
            bytes += continuation(c);
        }
    }
    return bytes;
}

}  // namespace mkimg::parser
