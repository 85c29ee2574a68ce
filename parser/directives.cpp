#include "parser/directives.h"

#include <set>

#include "base/text.h"
#include "parser/grammar/directive.h"

namespace mkimg::parser {
namespace {

struct KeyValue {
    std::string_view key;
    std::string_view value;
};

template <typename Rule>
struct Action : grammar::pegtl::nothing<Rule> {};

template <>
struct Action<grammar::directive_key> {
    template <typename Match>
    static void apply(const Match& match, KeyValue& pair) {
        pair.key = match.string_view();
    }
};

template <>
struct Action<grammar::directive_value> {
    template <typename Match>
    static void apply(const Match& match, KeyValue& pair) {
        pair.value = match.string_view();
    }
};

}  // namespace

std::uint32_t read_directives(const SourceText& source, Faults& faults, Directives& directives) {
    std::uint32_t number = 1;
    if (source.line_count() > 0 && source.line(1).starts_with("#!")) ++number;
    std::set<std::string> seen;
    for (; number <= source.line_count(); ++number) {
        const std::string_view line = source.line(number);
        KeyValue pair;
        grammar::Input input = grammar::input_of(line);
        if (!grammar::pegtl::parse<grammar::directive, Action>(input, pair)) break;
        const std::string key = to_lower(pair.key);
        const std::string value(trim(pair.value));
        if (key != "syntax" && key != "escape" && key != "check") break;

        const auto range = [&](std::string_view part) {
            const auto column = static_cast<std::uint32_t>(part.data() - line.data()) + 1;
            return source.range_for_report({number, column},
                                           {number, column + static_cast<std::uint32_t>(part.size())});
        };
        if (!seen.insert(key).second) {
            faults.add(range(pair.key), "only one " + key + " directive can be used", "remove this line");
        } else if (key == "syntax") {
            directives.syntax = value;
        } else if (key == "check") {
            directives.check = value;
        } else if (value == "\\" || value == "`") {
            directives.escape = value.front();
        } else {
            faults.add(range(trim(pair.value)), "invalid escape character '" + value + "'",
                       "the escape directive takes \\ or `");
        }
    }
    return number;
}

}  // namespace mkimg::parser
