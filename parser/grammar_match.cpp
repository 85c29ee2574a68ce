#include "parser/grammar_match.h"

#include "parser/grammar/assignments.h"
#include "parser/grammar/command.h"
#include "parser/grammar/from.h"
#include "parser/grammar/healthcheck.h"
#include "parser/grammar/onbuild.h"
#include "parser/grammar/text.h"
#include "parser/grammar/words.h"

namespace mkimg::parser {
namespace {

using Texts = std::vector<std::string_view>;

// Appends what the rule matched; the rules that are kept come in a fixed order.
struct Keep {
    template <typename Match>
    static void apply(const Match& match, Texts& texts) {
        texts.push_back(match.string_view());
    }
};

template <typename Rule>
struct Action : grammar::pegtl::nothing<Rule> {};
template <>
struct Action<grammar::word> : Keep {};
template <>
struct Action<grammar::base> : Keep {};
template <>
struct Action<grammar::as> : Keep {};
template <>
struct Action<grammar::stage_name> : Keep {};
template <char Escape>
struct Action<grammar::assignment<Escape>> : Keep {};
template <>
struct Action<grammar::shell_line> : Keep {};
template <>
struct Action<grammar::whole_text> : Keep {};
template <>
struct Action<grammar::trigger> : Keep {};
template <>
struct Action<grammar::legacy_name> : Keep {};
template <>
struct Action<grammar::legacy_value> : Keep {};
template <>
struct Action<grammar::check_type> : Keep {};
template <>
struct Action<grammar::check_command> : Keep {};

template <typename Grammar>
std::vector<Span> match(Span arguments) {
    Texts texts;
    grammar::Input input = grammar::input_of(arguments.text);
    std::vector<Span> spans;
    if (!grammar::pegtl::parse<Grammar, Action>(input, texts)) return spans;
    for (const std::string_view text : texts) spans.push_back(arguments.sub(text));
    return spans;
}

template <typename Grammar>
std::optional<Span> match_one(Span arguments) {
    const auto spans = match<Grammar>(arguments);
    return spans.empty() ? std::nullopt : std::optional(spans.front());
}

}  // namespace

std::optional<FromParts> match_from(Span arguments) {
    const auto spans = match<grammar::from>(arguments);
    if (spans.empty()) return std::nullopt;
    if (spans.size() == 1) return FromParts{spans[0], std::nullopt, std::nullopt};
    return FromParts{spans[0], spans[1], spans[2]};
}

bool is_stage_name(std::string_view name) {
    grammar::Input input = grammar::input_of(name);
    return grammar::pegtl::parse<grammar::valid_stage_name>(input);
}

std::optional<Span> match_shell_line(Span arguments) {
    return match_one<grammar::shell_form>(arguments);
}
std::optional<Span> match_text(Span arguments) {
    return match_one<grammar::text>(arguments);
}
std::optional<Span> match_trigger(Span arguments) {
    return match_one<grammar::onbuild>(arguments);
}

std::vector<Span> match_words(Span arguments) {
    return match<grammar::words>(arguments);
}

std::vector<Span> match_assignments(Span arguments, char escape) {
    return grammar::with_escape(escape,
                                [&](auto constant) { return match<grammar::assignments<constant.value>>(arguments); });
}

std::optional<LegacyAssignment> match_legacy_assignment(Span arguments) {
    const auto spans = match<grammar::legacy_assignment>(arguments);
    if (spans.empty()) return std::nullopt;
    return LegacyAssignment{spans[0], spans[1]};
}

std::optional<HealthcheckParts> match_healthcheck(Span arguments) {
    const auto spans = match<grammar::healthcheck>(arguments);
    if (spans.empty()) return std::nullopt;
    return HealthcheckParts{spans[0], spans.size() > 1 ? spans[1] : Span{{}, arguments.end()}};
}

}  // namespace mkimg::parser
