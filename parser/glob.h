// Path patterns as Go's filepath.Match has them, and with `**` as ignore files have them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mkimg::parser {

class Glob {
  public:
    enum class Syntax {
        path,    // `*`, `?` and sets stay within one component
        ignore,  // and `**/` is any number of components, a `**` at the end is everything below
    };

    // Throws Error(recipe) where the pattern is malformed.
    Glob(std::string_view pattern, Syntax syntax);

    bool matches(std::u32string_view path) const;
    bool matches_or_parent(std::u32string_view path) const;
    // Whether a path below `directory` could match.
    bool can_match_below(std::u32string_view directory) const;

  private:
    enum class Kind : std::uint8_t {
        character,   // itself
        any,         // one character but '/'
        set,         // one of the set
        star,        // characters but '/', or none
        descent,     // skips the next token and itself: `**/` can be nothing …
        ancestors,   // … or anything up to a '/'
        everything,  // anything, or nothing
    };
    struct Token {
        Kind kind;
        char32_t character = 0;
        bool negated = false;
        std::vector<std::pair<char32_t, char32_t>> ranges = {};

        bool contains(char32_t c) const;
    };
    class Run;  // the tokens that may match next, character by character

    void compile(std::u32string_view pattern, Syntax syntax);
    std::size_t compile_set(std::u32string_view pattern, std::size_t at);
    std::size_t compile_stars(std::u32string_view pattern, std::size_t at);

    std::vector<Token> tokens_;
};

}  // namespace mkimg::parser
