#include "parser/header.h"

#include "parser/grammar/header.h"

namespace mkimg::parser {
namespace {

struct Parts {
    std::string_view keyword;
    std::vector<std::string_view> flags;
    std::string_view arguments;
};

template <typename Rule>
struct Action : grammar::pegtl::nothing<Rule> {};

template <>
struct Action<grammar::keyword> {
    template <typename Match>
    static void apply(const Match& match, Parts& parts) {
        parts.keyword = match.string_view();
    }
};

template <char Escape>
struct Action<grammar::flag<Escape>> {
    template <typename Match>
    static void apply(const Match& match, Parts& parts) {
        parts.flags.push_back(match.string_view());
    }
};

template <>
struct Action<grammar::arguments> {
    template <typename Match>
    static void apply(const Match& match, Parts& parts) {
        parts.arguments = match.string_view();
    }
};

std::string without_quotes(std::string_view text, char escape) {
    std::string result;
    char quote = '\0';
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quote != '\0' ? c == quote : c == '"' || c == '\'') {
            quote = quote == '\0' ? c : '\0';
        } else if (c != escape) {
            result += c;
        } else if (i + 1 < text.size()) {
            result += text[++i];
        }
    }
    return result;
}

HeaderFlag make_flag(Span where, char escape) {
    const std::string text = without_quotes(where.text.substr(2), escape);
    const std::size_t equals = text.find('=');
    HeaderFlag flag{text.substr(0, equals), std::nullopt, where};
    if (equals != std::string::npos) flag.value = text.substr(equals + 1);
    return flag;
}

}  // namespace

Header parse_header(Span line, char escape) {
    Parts parts;
    grammar::Input input = grammar::input_of(line.text);
    grammar::with_escape(escape, [&](auto constant) {
        return grammar::pegtl::parse<grammar::header<constant.value>, Action>(input, parts);
    });
    Header header;
    if (!parts.keyword.empty()) header.keyword = line.sub(parts.keyword);
    for (const std::string_view flag : parts.flags) header.flags.push_back(make_flag(line.sub(flag), escape));
    header.arguments = parts.arguments.empty() ? Span{{}, line.end()} : line.sub(parts.arguments);
    return header;
}

}  // namespace mkimg::parser
