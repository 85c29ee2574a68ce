// An instruction's line taken apart: keyword, flags, arguments.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mkimg::parser {

// A stretch of a logical line, with its place there.
struct Span {
    std::string_view text;
    std::size_t begin = 0;

    std::size_t end() const noexcept { return begin + text.size(); }
    // A part of this span.
    Span sub(std::string_view part) const noexcept {
        return {part, begin + static_cast<std::size_t>(part.data() - text.data())};
    }
};

struct HeaderFlag {
    std::string name;
    std::optional<std::string> value;  // without quotes and escapes
    Span where;
};

struct Header {
    Span keyword;
    std::vector<HeaderFlag> flags;
    Span arguments;
};

Header parse_header(Span line, char escape);

}  // namespace mkimg::parser
