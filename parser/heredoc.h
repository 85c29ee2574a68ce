// Where an instruction's line announces heredocs.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mkimg::parser {

struct HeredocMarker {
    std::string name;  // without quotes
    bool expand = true;
    bool strip_tabs = false;
    std::size_t begin = 0;  // offsets in the line
    std::size_t end = 0;
};

// Of a RUN, COPY or ADD, or an ONBUILD of those, in shell form; none for other lines.
std::vector<HeredocMarker> heredoc_markers(std::string_view line, char escape);

// Whether a source or target of COPY or ADD is a heredoc.
std::optional<HeredocMarker> heredoc_marker(std::string_view word, char escape);

}  // namespace mkimg::parser
