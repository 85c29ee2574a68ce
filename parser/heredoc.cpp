#include "parser/heredoc.h"

#include "parser/exec_form.h"
#include "parser/grammar/heredoc.h"
#include "parser/header.h"
#include "parser/keyword.h"

namespace mkimg::parser {
namespace {

template <typename Rule>
struct WordAction : grammar::pegtl::nothing<Rule> {};

template <char Escape>
struct WordAction<grammar::shell_word<Escape>> {
    template <typename Match>
    static void apply(const Match& match, std::vector<std::string_view>& words) {
        words.push_back(match.string_view());
    }
};

struct Name {
    std::string text;
    bool quoted = false;
    bool strip_tabs = false;
};

template <typename Rule>
struct NameAction : grammar::pegtl::nothing<Rule> {};

template <>
struct NameAction<grammar::strip_tabs> {
    static void apply0(Name& name) { name.strip_tabs = true; }
};

template <>
struct NameAction<grammar::name_character> {
    template <typename Match>
    static void apply(const Match& match, Name& name) {
        name.text += match.string_view();
    }
};

struct QuotedPart {
    template <typename Match>
    static void apply(const Match& match, Name& name) {
        name.text += match.string_view();
        name.quoted = true;
    }
};
template <>
struct NameAction<grammar::double_quoted_name> : QuotedPart {};
template <>
struct NameAction<grammar::single_quoted_name> : QuotedPart {};

template <char Escape>
struct NameAction<grammar::escaped_in_name<Escape>> {
    template <typename Match>
    static void apply(const Match& match, Name& name) {
        name.text += match.string_view().substr(1);
        name.quoted = true;
    }
};

// The arguments in which heredocs can stand; empty for instructions that take none.
Span carrier(Span line, char escape) {
    Header header = parse_header(line, escape);
    if (keyword_of(header.keyword.text) == Keyword::onbuild) header = parse_header(header.arguments, escape);
    const auto keyword = keyword_of(header.keyword.text);
    const bool carries = keyword == Keyword::run || keyword == Keyword::copy || keyword == Keyword::add;
    if (!carries || parse_exec_form(header.arguments.text).form == Form::exec) return {{}, line.end()};
    return header.arguments;
}

}  // namespace

std::optional<HeredocMarker> heredoc_marker(std::string_view word, char escape) {
    Name name;
    grammar::Input input = grammar::input_of(word);
    const bool is_heredoc = grammar::with_escape(escape, [&](auto constant) {
        return grammar::pegtl::parse<grammar::heredoc<constant.value>, NameAction>(input, name);
    });
    if (!is_heredoc || name.text.empty()) return std::nullopt;
    return HeredocMarker{name.text, !name.quoted, name.strip_tabs, 0, word.size()};
}

std::vector<HeredocMarker> heredoc_markers(std::string_view line, char escape) {
    if (line.find("<<") == std::string_view::npos) return {};
    const Span arguments = carrier({line, 0}, escape);
    std::vector<std::string_view> words;
    grammar::Input input = grammar::input_of(arguments.text);
    const bool complete = grammar::with_escape(escape, [&](auto constant) {
        return grammar::pegtl::parse<grammar::shell_words<constant.value>, WordAction>(input, words);
    });
    std::vector<HeredocMarker> markers;
    if (!complete) return markers;
    for (const std::string_view word : words) {
        if (auto marker = heredoc_marker(word, escape)) {
            marker->begin = arguments.sub(word).begin;
            marker->end = marker->begin + word.size();
            markers.push_back(std::move(*marker));
        }
    }
    return markers;
}

}  // namespace mkimg::parser
