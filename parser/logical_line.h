// One instruction's text: continuations joined, comments dropped, heredocs taken in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "parser/faults.h"
#include "parser/instruction.h"
#include "parser/source_text.h"

namespace mkimg::parser {

struct LogicalLine {
    struct Piece {
        std::size_t offset;  // in text
        Place place;         // in the source
    };

    std::string text;           // without blanks at either end
    std::vector<Piece> pieces;  // by offset; the first has offset 0
    std::uint32_t last_line = 0;
    std::optional<std::uint32_t> empty_continuation;  // the first one
    std::vector<Heredoc> heredocs;

    Place place(std::size_t offset) const;
    // One past the byte before `offset`, which may be the end of the text.
    Place end_place(std::size_t offset) const;
};

// Walks over the instructions of a recipe, from the line after the directives.
class LineReader {
  public:
    LineReader(SourceText& source, Faults& faults, char escape, std::uint32_t first_line)
        : source_(source), faults_(faults), escape_(escape), next_line_(first_line) {}

    std::optional<LogicalLine> next();

  private:
    bool append(LogicalLine& line, std::uint32_t number, std::string_view text);
    void take_heredocs(LogicalLine& line);

    SourceText& source_;
    Faults& faults_;
    char escape_;
    std::uint32_t next_line_;
};

}  // namespace mkimg::parser
