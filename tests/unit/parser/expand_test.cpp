#include "parser/expand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"

namespace mkimg::parser {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::map<std::string, std::string, std::less<>> variables = {
    {"NAME", "value"},         {"EMPTY", ""},        {"TWO", "one two"},
    {"PATH", "/usr/bin:/bin"}, {"FILE", "a.tar.gz"}, {"STR", "foobarbaz"},
    {"QUOTED", "it's"},        {"A1_", "under"},     {"FRUIT", "banana"},
    {"VERSION", "1.2.3-rc1"},  {"STARS", "a*b?c"},   {"DIR", "/srv/app/"},
    {"GREEK", "αβγαβγ"},       {"DOLLAR", "$NAME"},  {"LONG", "aXbXcX"},
    {"BACK", "a\\b"},
};

std::optional<std::string> look_up(std::string_view name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
}

std::string expanded(std::string_view word, ExpandOptions options = {}) {
    return expand(word, look_up, options);
}

std::string message_of(std::string_view word) {
    try {
        return "no error: " + expanded(word);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::recipe);
        return error.message();
    }
}

struct Case {
    std::string word;
    std::string expected;
};

class Words : public testing::TestWithParam<Case> {};

TEST_P(Words, Expand) {
    EXPECT_EQ(expanded(GetParam().word), GetParam().expected) << GetParam().word;
}

INSTANTIATE_TEST_SUITE_P(Plain, Words,
                         testing::Values(Case{"", ""}, Case{"hello", "hello"}, Case{"he llo", "he llo"}, Case{"é", "é"},
                                         Case{"'hello'", "hello"}, Case{"\"hello\"", "hello"}, Case{"he'll'o", "hello"},
                                         Case{"a\"b c\"d", "ab cd"}, Case{"''", ""}, Case{"\"\"", ""},
                                         Case{"'a\"b'", "a\"b"}, Case{"\"a'b\"", "a'b"}, Case{"'a\\b'", "a\\b"},
                                         Case{"'\\'", "\\"}, Case{"\"it's\"", "it's"}));

INSTANTIATE_TEST_SUITE_P(Escapes, Words,
                         testing::Values(Case{"he\\llo", "hello"}, Case{"he\\\\llo", "he\\llo"},
                                         Case{"\\$NAME", "$NAME"}, Case{"\\'x\\'", "'x'"}, Case{"\\\"x", "\"x"},
                                         Case{"a\\ b", "a b"}, Case{"trailing\\", "trailing"},
                                         Case{"\"a\\\"b\"", "a\"b"}, Case{"\"a\\$b\"", "a$b"},
                                         Case{"\"a\\\\b\"", "a\\b"}, Case{"\"a\\nb\"", "a\\nb"},
                                         Case{"\"a\\'b\"", "a\\'b"}, Case{"\"a\\`b\"", "a\\`b"}, Case{"\\é", "é"}));

INSTANTIATE_TEST_SUITE_P(Variables, Words,
                         testing::Values(Case{"$NAME", "value"}, Case{"${NAME}", "value"}, Case{"x${NAME}y", "xvaluey"},
                                         Case{"$NAMEx", ""}, Case{"$NAME.x", "value.x"},
                                         Case{"$NAME$NAME", "valuevalue"}, Case{"${A1_}b", "underb"},
                                         Case{"$A1_", "under"}, Case{"\"$NAME\"", "value"}, Case{"'$NAME'", "$NAME"},
                                         Case{"'${NAME}'", "${NAME}"}, Case{"$UNSET", ""}, Case{"a${UNSET}b", "ab"},
                                         Case{"$", "$"}, Case{"a$", "a$"}, Case{"$ x", "$ x"}, Case{"$.", "$."},
                                         Case{"$/x", "$/x"}, Case{"\"$\"", "$"}, Case{"$DOLLAR", "$NAME"},
                                         Case{"$QUOTED", "it's"}, Case{"$BACK", "a\\b"}));

// Positional and special parameters are names that are never set.
INSTANTIATE_TEST_SUITE_P(Special, Words,
                         testing::Values(Case{"$1", ""}, Case{"$10x", "x"}, Case{"a$0b", "ab"}, Case{"$$", ""},
                                         Case{"$@", ""}, Case{"$*", ""}, Case{"$#", ""}, Case{"$?", ""}, Case{"$-", ""},
                                         Case{"$!", ""}, Case{"$$NAME", "NAME"}, Case{"${1}", ""}, Case{"${@}", ""},
                                         Case{"$1NAME", "NAME"}));

INSTANTIATE_TEST_SUITE_P(Default, Words,
                         testing::Values(Case{"${UNSET:-word}", "word"}, Case{"${EMPTY:-word}", "word"},
                                         Case{"${NAME:-word}", "value"}, Case{"${UNSET-word}", "word"},
                                         Case{"${EMPTY-word}", ""}, Case{"${NAME-word}", "value"},
                                         Case{"${UNSET:-}", ""}, Case{"${UNSET:-a b}", "a b"},
                                         Case{"${UNSET:-$NAME}", "value"}, Case{"${UNSET:-${ALSO:-deep}}", "deep"},
                                         Case{"${UNSET:-\"q}\"}", "q}"}, Case{"${UNSET:-'$NAME'}", "$NAME"},
                                         Case{"${UNSET:-\\}}", "}"}, Case{"${UNSET:-\\$NAME}", "$NAME"},
                                         Case{"\"${UNSET:-\"in\"}\"", "in"}, Case{"${UNSET:-a:b}", "a:b"},
                                         Case{"${UNSET:--}", "-"}, Case{"${UNSET:-{x}", "{x"}));

INSTANTIATE_TEST_SUITE_P(Alternative, Words,
                         testing::Values(Case{"${NAME:+word}", "word"}, Case{"${EMPTY:+word}", ""},
                                         Case{"${UNSET:+word}", ""}, Case{"${NAME+word}", "word"},
                                         Case{"${EMPTY+word}", "word"}, Case{"${UNSET+word}", ""},
                                         Case{"${NAME:+${NAME}2}", "value2"}, Case{"a${UNSET:+:$UNSET}b", "ab"},
                                         Case{"${PATH:+$PATH:}/opt", "/usr/bin:/bin:/opt"}));

INSTANTIATE_TEST_SUITE_P(Required, Words,
                         testing::Values(Case{"${NAME:?m}", "value"}, Case{"${NAME?m}", "value"},
                                         Case{"${EMPTY?m}", ""}));

INSTANTIATE_TEST_SUITE_P(
    Prefix, Words,
    testing::Values(Case{"${STR#f}", "oobarbaz"}, Case{"${STR#x}", "foobarbaz"}, Case{"${STR#*b}", "arbaz"},
                    Case{"${STR##*b}", "az"}, Case{"${STR#f*b}", "arbaz"}, Case{"${STR##f*b}", "az"},
                    Case{"${STR#*}", "foobarbaz"}, Case{"${STR##*}", ""}, Case{"${STR#???}", "barbaz"},
                    Case{"${STR#}", "foobarbaz"}, Case{"${FILE#*.}", "tar.gz"}, Case{"${FILE##*.}", "gz"},
                    Case{"${PATH##*/}", "bin"}, Case{"${VERSION#1.}", "2.3-rc1"}, Case{"${STARS#a\\*}", "b?c"},
                    Case{"${STARS#a\\?}", "a*b?c"}, Case{"${GREEK#?}", "βγαβγ"}, Case{"${UNSET#x}", ""},
                    Case{"${STR#${UNSET:-foo}}", "barbaz"}, Case{"${STR#.}", "foobarbaz"}, Case{"${DIR#/}", "srv/app/"},
                    Case{"${STR##?*o}", "barbaz"}, Case{"${STR##f*a*a}", "z"}, Case{"${STR#f*a*a}", "z"},
                    Case{"${STR#'foo'}", "barbaz"}, Case{"${BACK#a\\\\}", "b"}));

INSTANTIATE_TEST_SUITE_P(
    Suffix, Words,
    testing::Values(Case{"${STR%z}", "foobarba"}, Case{"${STR%x}", "foobarbaz"}, Case{"${STR%b*}", "foobar"},
                    Case{"${STR%%b*}", "foo"}, Case{"${STR%*}", "foobarbaz"}, Case{"${STR%%*}", ""},
                    Case{"${FILE%.*}", "a.tar"}, Case{"${FILE%%.*}", "a"}, Case{"${DIR%/}", "/srv/app"},
                    Case{"${PATH%/*}", "/usr/bin:"}, Case{"${VERSION%-*}", "1.2.3"}, Case{"${VERSION%.*}", "1.2"},
                    Case{"${VERSION%%.*}", "1"}, Case{"${STR%???}", "foobar"}, Case{"${STARS%\\?c}", "a*b"},
                    Case{"${GREEK%?}", "αβγαβ"}, Case{"${GREEK%%α*}", ""}, Case{"${GREEK%α*}", "αβγ"},
                    Case{"${UNSET%x}", ""}, Case{"${STR%a*z}", "foobarb"}, Case{"${STR%%a*z}", "foob"}));

INSTANTIATE_TEST_SUITE_P(
    Replace, Words,
    testing::Values(Case{"${FRUIT/an/AN}", "bANana"}, Case{"${FRUIT//an/AN}", "bANANa"}, Case{"${FRUIT/x/y}", "banana"},
                    Case{"${FRUIT/a/}", "bnana"}, Case{"${FRUIT//a/}", "bnn"}, Case{"${FRUIT/a*/X}", "bX"},
                    Case{"${FRUIT//a?/X}", "bXXa"}, Case{"${FRUIT/?/X}", "Xanana"}, Case{"${FRUIT//?/X}", "XXXXXX"},
                    Case{"${FRUIT//*/X}", "X"}, Case{"${PATH//\\//|}", "|usr|bin:|bin"},
                    Case{"${PATH/:/;}", "/usr/bin;/bin"}, Case{"${FRUIT/an/$NAME}", "bvalueana"},
                    Case{"${FRUIT/${UNSET:-an}/x}", "bxana"}, Case{"${VERSION//./_}", "1_2_3-rc1"},
                    Case{"${STARS/\\*/+}", "a+b?c"}, Case{"${STARS//\\?/}", "a*bc"}, Case{"${GREEK/β/b}", "αbγαβγ"},
                    Case{"${GREEK//β/b}", "αbγαbγ"}, Case{"${LONG//X/\\}}", "a}b}c}"}, Case{"${LONG//X/\\/}", "a/b/c/"},
                    Case{"${UNSET/a/b}", ""}, Case{"${FRUIT/n*n/-}", "ba-a"}, Case{"${LONG/X/'$'}", "a$bXcX"}));

struct Fault {
    std::string word;
    std::string message;
};

class Faults : public testing::TestWithParam<Fault> {};

TEST_P(Faults, SayWhatIsWrong) {
    EXPECT_EQ(message_of(GetParam().word), GetParam().message) << GetParam().word;
}

const std::string open_single = "unexpected end of statement while looking for matching single-quote";
const std::string open_double = "unexpected end of statement while looking for matching double-quote";
const std::string open_brace = "syntax error: missing '}'";
const std::string bad = "syntax error: bad substitution";

INSTANTIATE_TEST_SUITE_P(All, Faults,
                         testing::Values(Fault{"'abc", open_single}, Fault{"abc'", open_single},
                                         Fault{"\"abc", open_double}, Fault{"\"abc\\\"", open_double},
                                         Fault{"\"'\"'", open_single}, Fault{"${", open_brace},
                                         Fault{"${NAME", open_brace}, Fault{"${NAME:", open_brace},
                                         Fault{"${NAME:-x", open_brace}, Fault{"${NAME#x", open_brace},
                                         Fault{"${NAME/a", "syntax error: missing '/'"},
                                         Fault{"${NAME/a/b", open_brace}, Fault{"${}", bad}, Fault{"${{NAME}}", bad},
                                         Fault{"${:-x}", bad}, Fault{"${ NAME}", bad}, Fault{"${.}", bad},
                                         Fault{"${NAME:0:2}", "unsupported modifier (:0) in substitution"},
                                         Fault{"${NAME:#x}", "unsupported modifier (:#) in substitution"},
                                         Fault{"${NAME^^}", "unsupported modifier (^) in substitution"},
                                         Fault{"${NAME,}", "unsupported modifier (,) in substitution"},
                                         Fault{"${NAME@Q}", "unsupported modifier (@) in substitution"},
                                         Fault{"${NAME x}", "unsupported modifier ( ) in substitution"},
                                         Fault{"${UNSET:?needs a value}", "UNSET: needs a value"},
                                         Fault{"${EMPTY:?needs a value}", "EMPTY: needs a value"},
                                         Fault{"${UNSET?needs a value}", "UNSET: needs a value"},
                                         Fault{"${UNSET:?}", "UNSET: is not allowed to be unset"},
                                         Fault{"${UNSET?}", "UNSET: is not allowed to be unset"},
                                         Fault{"${EMPTY:?}", "EMPTY: is not allowed to be empty"},
                                         Fault{"${UNSET:?\"$NAME!\"}", "UNSET: value!"},
                                         Fault{"${NAME#a\\b}", "invalid escape in the pattern 'a\\b'"}));

TEST(Expand, EscapeCanBeABacktick) {
    const ExpandOptions options{.escape = '`'};
    EXPECT_EQ(expanded("C:\\dir\\$NAME", options), "C:\\dir\\value");
    EXPECT_EQ(expanded("`$NAME", options), "$NAME");
    EXPECT_EQ(expanded("\"a`\"b\\\"", options), "a\"b\\");
    EXPECT_EQ(expanded("``", options), "`");
    EXPECT_EQ(expanded("${UNSET:-`}}", options), "}");
}

TEST(Expand, QuotesAndEscapesCanBeKept) {
    const ExpandOptions options{.keep_quotes = true};
    EXPECT_EQ(expanded("'$NAME' \"$NAME\" $NAME", options), "'$NAME' \"value\" value");
    EXPECT_EQ(expanded("a\\ b \\$NAME", options), "a\\ b \\$NAME");
    EXPECT_EQ(expanded("\"a\\\"b\"", options), "\"a\\\"b\"");
}

TEST(Expand, NamesWithoutAValueAreReported) {
    std::set<std::string> unset;
    expanded("$NAME $NONE ${ALSO} ${FALLBACK:-x} ${EMPTY} ${CUT#x} '$QUOTED_OUT'", {.unset = &unset});
    EXPECT_THAT(unset, ElementsAre("ALSO", "CUT", "NONE"));
}

TEST(Expand, NestingHasALimit) {
    std::string word;
    for (int i = 0; i < 100000; ++i) word += "${U:-";
    EXPECT_EQ(message_of(word), "substitutions are nested too deeply");
}

TEST(Expand, ValuesHaveALimit) {
    const std::string large(3U << 20U, 'x');
    const Lookup lookup = [&](std::string_view) { return std::optional(large); };
    EXPECT_THROW(expand("$A$A$A", lookup), Error);
    EXPECT_THROW(expand("${A//x/yyy}", lookup), Error);
    EXPECT_EQ(expand("$A$A", lookup).size(), 2 * large.size());
}

TEST(ExpandWords, SplitsAtUnquotedBlanks) {
    EXPECT_THAT(expand_words("80 443/tcp", look_up), ElementsAre("80", "443/tcp"));
    EXPECT_THAT(expand_words("$TWO three", look_up), ElementsAre("one", "two", "three"));
    EXPECT_THAT(expand_words("x$TWO", look_up), ElementsAre("xone", "two"));
    EXPECT_THAT(expand_words("\"$TWO\" 'a b'", look_up), ElementsAre("one two", "a b"));
    EXPECT_THAT(expand_words("a\\ b", look_up), ElementsAre("a b"));
    EXPECT_THAT(expand_words("${UNSET:-a b}", look_up), ElementsAre("a", "b"));
    EXPECT_THAT(expand_words("  $UNSET \t ", look_up), IsEmpty());
    EXPECT_THAT(expand_words("a''b \"\"", look_up), ElementsAre("ab"));
}

TEST(ExpandHeredoc, ReplacesVariablesAndLeavesQuotes) {
    EXPECT_EQ(expand_heredoc("it's \"$NAME\"\n'${NAME}'\n", look_up), "it's \"value\"\n'value'\n");
    EXPECT_EQ(expand_heredoc("\\$NAME \\\\ $UNSET.\n", look_up), "$NAME \\ .\n");
    EXPECT_EQ(expand_heredoc("\\\n", look_up), "\n");
    EXPECT_EQ(expand_heredoc("${UNSET:-'x'}", look_up), "'x'");
}

TEST(WordFault, IsFoundWithoutValues) {
    EXPECT_FALSE(word_fault("$A${B:-'c'}\"d\"${E:?must be set}${F#*$G}${H/i/j}", '\\'));
    EXPECT_FALSE(word_fault("it`'s", '`'));
    const auto open = word_fault("abc'def", '\\');
    ASSERT_TRUE(open);
    EXPECT_EQ(open->offset, 3U);
    EXPECT_EQ(open->message, open_single);
    const auto nested = word_fault("ab${C:-${}}", '\\');
    ASSERT_TRUE(nested);
    EXPECT_EQ(nested->offset, 7U);
    EXPECT_EQ(nested->message, bad);
    const auto unclosed = word_fault("ab${C:-d", '\\');
    ASSERT_TRUE(unclosed);
    EXPECT_EQ(unclosed->offset, 2U);
}

}  // namespace
}  // namespace mkimg::parser
