// The patterns of ${v#p} ${v%p} ${v/p/r}: `*`, `?` and escaped characters; no sets.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mkimg::parser {

enum class Reach { shortest, longest };

// Each throws Error(recipe) where the pattern escapes a character that needs no escape.
std::string strip_prefix(std::string_view value, std::string_view pattern, Reach reach);
std::string strip_suffix(std::string_view value, std::string_view pattern, Reach reach);

// Replaces the leftmost longest match, or all of them. Throws where the result is longer than `limit`.
std::string replace_first(std::string_view value, std::string_view pattern, std::string_view replacement);
std::string replace_all(std::string_view value, std::string_view pattern, std::string_view replacement,
                        std::size_t limit);

}  // namespace mkimg::parser
