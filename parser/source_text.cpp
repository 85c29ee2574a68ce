#include "parser/source_text.h"

#include <algorithm>

namespace mkimg::parser {
namespace {

constexpr std::size_t max_excerpts = 16U << 20U;

}  // namespace

SourceText::SourceText(std::string_view text, std::string_view file)
    : text_(text), file_(file), excerpts_left_(max_excerpts) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    for (std::string_view rest = text_; !rest.empty();) {
        const std::size_t length = std::min(rest.find('\n'), rest.size() - 1) + 1;
        lines_.push_back(rest.substr(0, length));
        rest.remove_prefix(length);
    }
}

std::string_view SourceText::line_with_end(std::uint32_t number) const {
    return lines_.at(number - 1);
}

std::string_view SourceText::line(std::uint32_t number) const {
    const std::string_view whole = line_with_end(number);
    return whole.substr(0, whole.find_last_not_of("\r\n") + 1);
}

std::string_view SourceText::text(Place begin, std::uint32_t last) const {
    const char* const first = line(begin.line).data() + (begin.column - 1);
    const std::string_view end = line(last);
    return {first, static_cast<std::size_t>(end.data() + end.size() - first)};
}

SourceRange SourceText::range(Place begin, Place end) {
    SourceRange where{file_, begin.line, begin.column, end.line, end.column, {}};
    const std::size_t size = begin.line == 0 ? 0 : line(begin.line).size();
    if (size > excerpts_left_) return where;
    excerpts_left_ -= size;
    return with_excerpt(std::move(where));
}

SourceRange SourceText::range_for_report(Place begin, Place end) const {
    return with_excerpt({file_, begin.line, begin.column, end.line, end.column, {}});
}

SourceRange SourceText::with_excerpt(SourceRange where) const {
    if (where.line != 0) where.excerpt = line(where.line);
    return where;
}

}  // namespace mkimg::parser
