#include "parser/word_pattern.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/error.h"
#include "parser/utf8.h"

namespace mkimg::parser {
namespace {

constexpr char32_t any_character = 0xFFFFFFFF;  // `?`; above every code unit of utf8.h

// The stretches of a pattern between its stars; one stretch where there is no star.
using Stretches = std::vector<std::u32string>;

Stretches compile(std::string_view pattern) {
    const std::u32string text = decode_utf8(pattern);
    Stretches stretches(1);
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == U'*') {
            stretches.emplace_back();
        } else if (text[i] == U'?') {
            stretches.back() += any_character;
        } else if (text[i] != U'\\') {
            stretches.back() += text[i];
        } else {
            // `}` and `/` are escaped for the sake of the braces, `*`, `?` and `\` for the pattern's.
            const char32_t next = i + 1 < text.size() ? text[++i] : U'\0';
            if (std::u32string_view(U"}/*?\\").find(next) == std::u32string_view::npos || next == U'\0') {
                throw Error(ErrorCode::recipe, "invalid escape in the pattern '" + std::string(pattern) + "'",
                            "in a pattern only * ? / } and \\ can be escaped");
            }
            stretches.back() += next;
        }
    }
    return stretches;
}

Stretches reversed(Stretches stretches) {
    std::reverse(stretches.begin(), stretches.end());
    for (std::u32string& stretch : stretches) std::reverse(stretch.begin(), stretch.end());
    return stretches;
}

bool matches_at(std::u32string_view value, std::size_t at, std::u32string_view stretch) {
    if (value.size() - at < stretch.size()) return false;
    for (std::size_t i = 0; i < stretch.size(); ++i) {
        if (stretch[i] != any_character && stretch[i] != value[at + i]) return false;
    }
    return true;
}

std::optional<std::size_t> find_first(std::u32string_view value, std::size_t from, std::u32string_view stretch) {
    for (std::size_t at = from; at <= value.size(); ++at) {
        if (matches_at(value, at, stretch)) return at;
    }
    return std::nullopt;
}

std::optional<std::size_t> find_last(std::u32string_view value, std::size_t from, std::u32string_view stretch) {
    for (std::size_t at = value.size() + 1; at-- > from;) {
        if (matches_at(value, at, stretch)) return at;
    }
    return std::nullopt;
}

// Where a match that begins at `at` ends. A middle stretch goes as far left as it can, which
// leaves the last one all places to choose from.
std::optional<std::size_t> match_end(std::u32string_view value, std::size_t at, const Stretches& stretches,
                                     Reach reach) {
    if (!matches_at(value, at, stretches.front())) return std::nullopt;
    std::size_t end = at + stretches.front().size();
    for (std::size_t i = 1; i < stretches.size(); ++i) {
        const bool last = i + 1 == stretches.size();
        const auto found = last && reach == Reach::longest ? find_last(value, end, stretches[i])
                                                           : find_first(value, end, stretches[i]);
        if (!found) return std::nullopt;
        end = *found + stretches[i].size();
    }
    return end;
}

struct Match {
    std::size_t begin;
    std::size_t end;
};

// A star reaches over everything, so where the first place of the first stretch leads to no match,
// no later place does.
std::optional<Match> search(std::u32string_view value, std::size_t from, const Stretches& stretches) {
    const auto begin = find_first(value, from, stretches.front());
    if (!begin) return std::nullopt;
    const auto end = match_end(value, *begin, stretches, Reach::longest);
    if (!end) return std::nullopt;
    return Match{*begin, *end};
}

}  // namespace

std::string strip_prefix(std::string_view value, std::string_view pattern, Reach reach) {
    const Stretches stretches = compile(pattern);
    const std::u32string text = decode_utf8(value);
    const auto end = match_end(text, 0, stretches, reach);
    return end ? encode_utf8(std::u32string_view(text).substr(*end)) : std::string(value);
}

std::string strip_suffix(std::string_view value, std::string_view pattern, Reach reach) {
    const Stretches stretches = reversed(compile(pattern));
    std::u32string text = decode_utf8(value);
    std::reverse(text.begin(), text.end());
    const auto end = match_end(text, 0, stretches, reach);
    if (!end) return std::string(value);
    text.erase(0, *end);
    std::reverse(text.begin(), text.end());
    return encode_utf8(text);
}

std::string replace_first(std::string_view value, std::string_view pattern, std::string_view replacement) {
    const std::u32string text = decode_utf8(value);
    const auto match = search(text, 0, compile(pattern));
    if (!match) return std::string(value);
    const std::u32string_view view = text;
    return encode_utf8(view.substr(0, match->begin)) + std::string(replacement) + encode_utf8(view.substr(match->end));
}

std::string replace_all(std::string_view value, std::string_view pattern, std::string_view replacement,
                        std::size_t limit) {
    const Stretches stretches = compile(pattern);
    const std::u32string text = decode_utf8(value);
    const std::u32string_view view = text;
    std::string result;
    std::size_t copied = 0;               // text before this place is in the result
    std::size_t from = 0;                 // the next match begins here or later
    std::optional<std::size_t> last_end;  // an empty match right after a match does not count
    while (from <= text.size()) {
        const auto match = search(text, from, stretches);
        if (!match) break;
        const bool empty = match->begin == match->end;
        if (!empty || last_end != match->begin) {
            result += encode_utf8(view.substr(copied, match->begin - copied));
            result += replacement;
            copied = match->end;
            last_end = match->end;
        }
        from = empty ? match->end + 1 : match->end;
        if (result.size() > limit) throw Error(ErrorCode::recipe, "the value is too long");
    }
    return result + encode_utf8(view.substr(std::min(copied, view.size())));
}

}  // namespace mkimg::parser
