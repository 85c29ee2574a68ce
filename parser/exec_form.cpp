#include "parser/exec_form.h"

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "parser/grammar/exec_form.h"
#include "parser/utf8.h"

namespace mkimg::parser {
namespace {

struct Strings {
    std::vector<std::string> decoded;
    std::vector<std::string_view> written;
    std::u32string units;  // of \u escapes in a row; halves of one character may follow each other
    std::string text;

    // A half without its other half is no character.
    void flush_units() {
        std::u32string characters;
        for (std::size_t i = 0; i < units.size(); ++i) {
            const bool high = units[i] >= 0xD800 && units[i] < 0xDC00;
            const bool low = units[i] >= 0xDC00 && units[i] < 0xE000;
            const bool pair = high && i + 1 < units.size() && units[i + 1] >= 0xDC00 && units[i + 1] < 0xE000;
            if (pair) {
                characters += char32_t{0x10000U + ((units[i] - 0xD800U) << 10U) + (units[i + 1] - 0xDC00U)};
                ++i;
            } else {
                characters += high || low ? U'\uFFFD' : units[i];
            }
        }
        text += encode_utf8(characters);
        units.clear();
    }
};

template <typename Rule>
struct Action : grammar::pegtl::nothing<Rule> {};

template <>
struct Action<grammar::json_plain> {
    template <typename Match>
    static void apply(const Match& match, Strings& strings) {
        strings.flush_units();
        strings.text += match.string_view();
    }
};

template <>
struct Action<grammar::json_short_escape> {
    template <typename Match>
    static void apply(const Match& match, Strings& strings) {
        constexpr std::string_view letters = "bfnrt";
        constexpr std::string_view meanings = "\b\f\n\r\t";
        const char c = match.peek_char();
        const std::size_t at = letters.find(c);
        strings.flush_units();
        strings.text += at == std::string_view::npos ? c : meanings[at];
    }
};

template <>
struct Action<grammar::json_hex> {
    template <typename Match>
    static void apply(const Match& match, Strings& strings) {
        strings.units += static_cast<char32_t>(std::stoul(match.string(), nullptr, 16));
    }
};

template <>
struct Action<grammar::json_text> {
    template <typename Match>
    static void apply(const Match& match, Strings& strings) {
        strings.flush_units();
        strings.decoded.push_back(std::move(strings.text));
        strings.text.clear();
        strings.written.push_back(match.string_view());
    }
};

}  // namespace

ExecForm parse_exec_form(std::string_view text) {
    ExecForm result;
    if (!trim(text).starts_with('[')) return result;
    Strings strings;
    grammar::Input input = grammar::input_of(text);
    if (grammar::pegtl::parse<grammar::exec_form, Action>(input, strings)) {
        result.form = Form::exec;
        result.arguments = std::move(strings.decoded);
        result.parts = std::move(strings.written);
    } else {
        result.array_of_others = nlohmann::json::accept(text);
    }
    return result;
}

}  // namespace mkimg::parser
