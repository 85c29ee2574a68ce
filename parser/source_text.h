// The recipe's text by lines, and places in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mkimg::parser {

struct Place {
    std::uint32_t line = 0;    // from 1
    std::uint32_t column = 0;  // from 1, in bytes
};

class SourceText {
  public:
    // A byte order mark is skipped. The text must outlive the SourceText.
    SourceText(std::string_view text, std::string_view file);

    std::uint32_t line_count() const noexcept { return static_cast<std::uint32_t>(lines_.size()); }
    // Without its line end.
    std::string_view line(std::uint32_t number) const;
    std::string_view line_with_end(std::uint32_t number) const;
    // From `begin` to the end of line `last`, without that line's end.
    std::string_view text(Place begin, std::uint32_t last) const;

    // `end` is one past the last byte. All ranges together hold a bounded amount of excerpts; past
    // that they have none, lest many words on long lines multiply the recipe's size.
    SourceRange range(Place begin, Place end);
    // The same, always with its excerpt.
    SourceRange range_for_report(Place begin, Place end) const;
    SourceRange with_excerpt(SourceRange where) const;

  private:
    std::string_view text_;
    std::string file_;
    std::vector<std::string_view> lines_;  // with their ends
    std::size_t excerpts_left_;
};

}  // namespace mkimg::parser
