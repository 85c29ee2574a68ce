// Text as characters where a pattern's `?` must mean one character and not one byte.
#pragma once

#include <string>
#include <string_view>

namespace mkimg::parser {

// A byte that is no part of well-formed UTF-8 becomes a unit of its own above the code points, so
// that encode_utf8(decode_utf8(x)) == x for any bytes.
std::u32string decode_utf8(std::string_view bytes);
std::string encode_utf8(std::u32string_view text);

// The first character of `bytes`, which is not empty; `length` receives its bytes.
char32_t first_character(std::string_view bytes, std::size_t& length);

}  // namespace mkimg::parser
