#include "parser/logical_line.h"

#include <algorithm>

#include "parser/heredoc.h"

namespace mkimg::parser {
namespace {

constexpr std::string_view blanks = " \t\v\f\r";

std::string_view skip_blanks(std::string_view text) {
    return text.substr(std::min(text.find_first_not_of(blanks), text.size()));
}

// The text before an escape that ends the line; nothing where the line does not go on. An escape
// after an escape is an escaped one and ends nothing.
std::optional<std::string_view> before_continuation(std::string_view text, char escape) {
    const std::size_t last = text.find_last_not_of(" \t");
    if (last == std::string_view::npos || text[last] != escape) return std::nullopt;
    if (last > 0 && text[last - 1] == escape) return std::nullopt;
    return text.substr(0, last);
}

}  // namespace

Place LogicalLine::place(std::size_t offset) const {
    const auto after = std::upper_bound(pieces.begin(), pieces.end(), offset,
                                        [](std::size_t value, const Piece& piece) { return value < piece.offset; });
    const Piece& piece = *std::prev(after);
    return {piece.place.line, piece.place.column + static_cast<std::uint32_t>(offset - piece.offset)};
}

Place LogicalLine::end_place(std::size_t offset) const {
    Place last = place(offset == 0 ? 0 : offset - 1);
    if (offset != 0) ++last.column;
    return last;
}

// Adds one line's text; true where the instruction goes on on the next line.
bool LineReader::append(LogicalLine& line, std::uint32_t number, std::string_view text) {
    const auto shortened = before_continuation(text, escape_);
    const std::string_view kept = shortened.value_or(text);
    const auto column = static_cast<std::uint32_t>(kept.data() - source_.line(number).data()) + 1;
    if (!kept.empty()) line.pieces.push_back({line.text.size(), {number, column}});
    line.text += kept;
    line.last_line = number;
    return shortened.has_value();
}

std::optional<LogicalLine> LineReader::next() {
    while (next_line_ <= source_.line_count()) {
        const std::uint32_t first = next_line_++;
        const std::string_view start = skip_blanks(source_.line(first));
        if (start.empty() || start.front() == '#') continue;

        LogicalLine line;
        bool goes_on = append(line, first, start);
        while (goes_on && next_line_ <= source_.line_count()) {
            const std::uint32_t number = next_line_++;
            const std::string_view text = source_.line(number);
            const std::string_view content = skip_blanks(text);
            if (content.empty()) {
                if (!line.empty_continuation) line.empty_continuation = number;
            } else if (content.front() != '#') {
                // Before the first word blanks mean nothing, so the text always begins with a word.
                goes_on = append(line, number, line.text.empty() ? content : text);
            }
        }
        line.text.resize(line.text.find_last_not_of(blanks) + 1);
        if (line.text.empty()) continue;
        take_heredocs(line);
        return line;
    }
    return std::nullopt;
}

void LineReader::take_heredocs(LogicalLine& line) {
    for (const HeredocMarker& marker : heredoc_markers(line.text, escape_)) {
        Heredoc heredoc;
        heredoc.name = marker.name;
        heredoc.expand = marker.expand;
        heredoc.strip_tabs = marker.strip_tabs;
        heredoc.where = source_.range(line.place(marker.begin), line.end_place(marker.end));
        bool terminated = false;
        while (!terminated && next_line_ <= source_.line_count()) {
            const std::uint32_t number = next_line_++;
            std::string_view bare = source_.line(number);
            std::string_view whole = source_.line_with_end(number);
            if (marker.strip_tabs) {
                const std::size_t tabs = std::min(bare.find_first_not_of('\t'), bare.size());
                bare.remove_prefix(tabs);
                whole.remove_prefix(tabs);
            }
            line.last_line = number;
            terminated = bare == marker.name;
            if (!terminated) heredoc.content += whole;
        }
        if (!terminated) {
            faults_.add(heredoc.where, "unterminated heredoc '" + heredoc.name + "'",
                        "end it with a line that holds only " + heredoc.name);
        }
        line.heredocs.push_back(std::move(heredoc));
    }
}

}  // namespace mkimg::parser
