// What the golden recipes don't show: ranges, warnings, limits, triggers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "parser/instruction.h"

namespace mkimg::parser {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

Recipe good(std::string_view text) {
    ParseResult result = parse_recipe(text, "Dockerfile");
    for (const Error& error : result.errors) ADD_FAILURE() << render(error);
    return std::move(result.recipe);
}

std::vector<std::string> messages(std::string_view text) {
    std::vector<std::string> list;
    for (const Error& error : parse_recipe(text, "Dockerfile").errors) list.push_back(error.message());
    return list;
}

struct Columns {
    std::uint32_t line, column, end_line, end_column;
    bool operator==(const Columns&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Columns& c) {
    return out << c.line << ':' << c.column << '-' << c.end_line << ':' << c.end_column;
}
Columns columns(const SourceRange& where) {
    return {where.line, where.column, where.end_line, where.end_column};
}

TEST(Recipe, WordsKnowTheirPlaces) {
    const Recipe recipe = good(
        "FROM a AS b\n"
        "  COPY --chown=1 x \\\n"
        "    # comment\n"
        "    y /z/\n"
        "ENV A=1 B=2\n"
        "CMD [\"c\", \"d\"]\n");
    const Stage& stage = recipe.stages.at(0);
    ASSERT_THAT(stage.from.argument_ranges, SizeIs(3));
    EXPECT_EQ(columns(stage.from.argument_ranges[2]), (Columns{1, 11, 1, 12}));
    const Instruction& copy = stage.instructions.at(0);
    EXPECT_EQ(columns(copy.where), (Columns{2, 3, 4, 10}));
    EXPECT_EQ(copy.where.excerpt, "  COPY --chown=1 x \\");
    EXPECT_EQ(columns(copy.flag("chown")->where), (Columns{2, 8, 2, 17}));
    EXPECT_EQ(copy.flag("from"), nullptr);
    ASSERT_THAT(copy.argument_ranges, SizeIs(3));
    EXPECT_EQ(columns(copy.argument_ranges[0]), (Columns{2, 18, 2, 19}));
    EXPECT_EQ(columns(copy.argument_ranges[1]), (Columns{4, 5, 4, 6}));
    EXPECT_EQ(columns(copy.argument_ranges[2]), (Columns{4, 7, 4, 10}));
    EXPECT_EQ(copy.argument_ranges[2].excerpt, "    y /z/");
    EXPECT_EQ(columns(stage.instructions.at(1).argument_ranges.at(1)), (Columns{5, 9, 5, 12}));
    EXPECT_EQ(columns(stage.instructions.at(1).where), (Columns{5, 1, 5, 4}));
    EXPECT_EQ(columns(stage.instructions.at(2).argument_ranges.at(1)), (Columns{6, 12, 6, 13}));
}

TEST(Recipe, AWordMayReachOverLines) {
    const Recipe recipe = good("FROM a\nCOPY one\\\ntwo /x\n");
    const Instruction& copy = recipe.stages.at(0).instructions.at(0);
    EXPECT_THAT(copy.arguments, ElementsAre("onetwo", "/x"));
    EXPECT_EQ(columns(copy.argument_ranges.at(0)), (Columns{2, 6, 3, 4}));
}

TEST(Recipe, HeredocsKnowTheirPlaces) {
    const Recipe recipe = good("FROM a\nRUN cat <<A \\\n  <<-'B'\n1\nA\n\t2\n\tB\n");
    const Instruction& run = recipe.stages.at(0).instructions.at(0);
    ASSERT_THAT(run.heredocs, SizeIs(2));
    EXPECT_EQ(columns(run.heredocs[0].where), (Columns{2, 9, 2, 12}));
    EXPECT_EQ(columns(run.heredocs[1].where), (Columns{3, 3, 3, 9}));
    EXPECT_EQ(run.where.end_line, 7U);
    EXPECT_EQ(run.original, "RUN cat <<A \\\n  <<-'B'\n1\nA\n\t2\n\tB");
}

TEST(Recipe, WarnsOfEmptyContinuations) {
    const Recipe recipe = good("FROM a\nRUN b \\\n\n\n  c\nRUN d \\\n# comment\n  e\n");
    ASSERT_THAT(recipe.warnings, SizeIs(1));
    EXPECT_EQ(recipe.warnings[0].rule, "NoEmptyContinuation");
    EXPECT_EQ(recipe.warnings[0].where.line, 3U);
    EXPECT_EQ(recipe.warnings[0].where.file, "Dockerfile");
}

TEST(Recipe, StageNamesAreLowerCase) {
    const Recipe recipe = good("FROM a AS Build\nFROM --platform=$P b\n");
    EXPECT_EQ(recipe.stages.at(0).name, "build");
    EXPECT_EQ(recipe.stages.at(0).from.arguments, (std::vector<std::string>{"a", "AS", "Build"}));
    EXPECT_EQ(recipe.stages.at(1).name, "");
    EXPECT_EQ(recipe.stages.at(1).platform, "$P");
    EXPECT_EQ(recipe.stages.at(1).first_line, 2U);
}

TEST(Recipe, BytesPassUnchanged) {
    const Recipe recipe = good("FROM a\nCOPY \xff\xfe [\"\xe9\"] /\n");
    EXPECT_THAT(recipe.stages.at(0).instructions.at(0).arguments, ElementsAre("\xff\xfe", "[\"\xe9\"]", "/"));
}

TEST(Recipe, HasLimits) {
    EXPECT_THAT(messages(std::string((4U << 20U) + 1, '#')), ElementsAre("the recipe is larger than 4 MiB"));
    EXPECT_THAT(messages("FROM a\nRUN " + std::string(65532, 'x')), ElementsAre("the line is longer than 65535 bytes"));
    EXPECT_THAT(messages("FROM a\nRUN " + std::string(65531, 'x')), ElementsAre());
    std::string many = "FROM a\n";
    for (int i = 0; i < 20000; ++i) many += "CMD b\n";
    EXPECT_THAT(messages(many), ElementsAre("the recipe has more than 20000 instructions"));
    std::string faulty = "FROM a\n";
    for (int i = 0; i < 200; ++i) faulty += "COPY b\n";
    const auto list = messages(faulty);
    EXPECT_THAT(list, SizeIs(101));
    EXPECT_EQ(list.back(), "too many errors; the rest is not shown");
}

// Many words on long lines: the places of all of them, each with its line's text, would be gigabytes.
TEST(Recipe, PlacesDontMultiplyTheText) {
    std::string text = "FROM a\n";
    for (int i = 0; i < 60; ++i) {
        text += "EXPOSE";
        for (int word = 0; word < 30000; ++word) text += " 1";
        text += "\n";
    }
    const Recipe recipe = good(text);
    std::size_t excerpts = 0;
    for (const Instruction& instruction : recipe.stages.at(0).instructions) {
        EXPECT_THAT(instruction.arguments, SizeIs(30000));
        for (const SourceRange& range : instruction.argument_ranges) excerpts += range.excerpt.size();
    }
    EXPECT_LE(excerpts, 16U << 20U);
}

TEST(Recipe, MessagesStayShort) {
    const std::string blob(5000, 'x');
    EXPECT_THAT(messages("FROM a\n" + blob + "\n"),
                ElementsAre("unknown instruction: " + std::string(80, 'x') + "..."));
}

TEST(Recipe, EveryPrefixIsReadWithoutHarm) {
    const std::string text =
        "# escape=`\r\nARG A=\"b\nFROM --platform=x a AS b\nRUN --mount=\"x <<-\"E\" `\n\n <<F\n\tE\nF\n"
        "ENV A=\"${B:-'${C%%*}'}\" d\nCOPY [\"\\u00e9\", \"b\"]\nONBUILD COPY <<G /x\nG\nHEALTHCHECK CMD [1]\n";
    for (std::size_t size = 0; size <= text.size(); ++size) {
        const ParseResult result = parse_recipe(std::string_view(text).substr(0, size), "Dockerfile");
        for (const Error& error : result.errors) EXPECT_FALSE(render(error).empty());
    }
}

TEST(Trigger, IsOneInstruction) {
    const Instruction copy = parse_trigger("COPY --chown=1 a b", "image a, ONBUILD");
    EXPECT_EQ(copy.keyword, Keyword::copy);
    EXPECT_THAT(copy.arguments, ElementsAre("a", "b"));
    EXPECT_EQ(copy.where.file, "image a, ONBUILD");
    const Instruction run = parse_trigger("RUN cat <<-A\n\tx\nA", "image");
    ASSERT_THAT(run.heredocs, SizeIs(1));
    EXPECT_EQ(run.heredocs[0].content, "x\n");
}

std::string trigger_fault(std::string_view line) {
    try {
        parse_trigger(line, "image");
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::recipe);
        return error.message();
    }
    return "none";
}

TEST(Trigger, CantBeEverything) {
    EXPECT_EQ(trigger_fault(""), "the ONBUILD trigger is empty");
    EXPECT_EQ(trigger_fault("# comment"), "the ONBUILD trigger is empty");
    EXPECT_EQ(trigger_fault("FROM a"), "FROM isn't allowed as an ONBUILD trigger");
    EXPECT_EQ(trigger_fault("onbuild RUN a"), "chaining ONBUILD via ONBUILD ONBUILD isn't allowed");
    EXPECT_EQ(trigger_fault("RUN a\nRUN b"), "an ONBUILD trigger is one instruction");
    EXPECT_EQ(trigger_fault("RUNN a"), "unknown instruction: RUNN");
    EXPECT_EQ(trigger_fault("COPY a"),
              "COPY requires at least two arguments, but only one was provided: the destination is missing");
    EXPECT_EQ(trigger_fault(std::string_view("RUN \0", 5)), "the recipe holds a NUL byte");
}

// A heredoc in a trigger survives the way through an image's config.
TEST(Trigger, ReadsWhatOnbuildWrote) {
    const Recipe recipe = good("FROM a\nONBUILD COPY <<-\"A\" <<B /d/\n\t$x\n\tA\ny\nB\n");
    const Instruction& onbuild = recipe.stages.at(0).instructions.at(0);
    const Instruction copy = parse_trigger(onbuild.arguments.at(0), "image");
    ASSERT_THAT(copy.heredocs, SizeIs(2));
    EXPECT_EQ(copy.heredocs[0].content, "$x\n");
    EXPECT_FALSE(copy.heredocs[0].expand);
    EXPECT_EQ(copy.heredocs[1].content, "y\n");
}

TEST(Keyword, HasItsName) {
    EXPECT_EQ(name_of(Keyword::from), "FROM");
    EXPECT_EQ(name_of(Keyword::onbuild), "ONBUILD");
    EXPECT_EQ(name_of(Keyword::shell), "SHELL");
}

}  // namespace
}  // namespace mkimg::parser
