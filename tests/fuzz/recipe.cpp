// Any bytes are a recipe or get a report. What was understood of an instruction stands in its text:
// read again alone, it is the same.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "parser/instruction.h"
#include "parser/json.h"

namespace {

using namespace mkimg;
using namespace mkimg::parser;

void require(bool condition) {
    if (!condition) std::abort();
}

bool same(const Instruction& a, const Instruction& b) {
    bool equal = a.keyword == b.keyword && a.form == b.form && a.arguments == b.arguments &&
                 a.flags.size() == b.flags.size() && a.pairs.size() == b.pairs.size() &&
                 a.heredocs.size() == b.heredocs.size();
    for (std::size_t i = 0; equal && i < a.flags.size(); ++i) {
        equal = a.flags[i].name == b.flags[i].name && a.flags[i].value == b.flags[i].value;
    }
    for (std::size_t i = 0; equal && i < a.pairs.size(); ++i) {
        equal = a.pairs[i].name == b.pairs[i].name && a.pairs[i].value == b.pairs[i].value;
    }
    for (std::size_t i = 0; equal && i < a.heredocs.size(); ++i) {
        // The last line of an instruction's text has no line end.
        equal = a.heredocs[i].name == b.heredocs[i].name && a.heredocs[i].content == b.heredocs[i].content &&
                a.heredocs[i].expand == b.heredocs[i].expand && a.heredocs[i].strip_tabs == b.heredocs[i].strip_tabs;
    }
    return equal;
}

void check(const Instruction& instruction, char escape) {
    require(instruction.where.line >= 1 && instruction.where.column >= 1);
    require(instruction.where.end_line >= instruction.where.line);
    require(instruction.argument_ranges.empty() || instruction.argument_ranges.size() == instruction.arguments.size());
    const std::string text = std::string("# escape=") + escape + "\nFROM a\n" + instruction.original + "\n";
    const ParseResult again = parse_recipe(text, "again");
    require(again.errors.empty());
    if (instruction.keyword == Keyword::from) {
        require(again.recipe.stages.size() == 2 && same(again.recipe.stages[1].from, instruction));
    } else {
        require(again.recipe.stages.size() == 1 && again.recipe.stages[0].instructions.size() == 1);
        require(same(again.recipe.stages[0].instructions[0], instruction));
    }
    if (instruction.keyword == Keyword::onbuild && escape == '\\') {
        const Instruction trigger = parse_trigger(instruction.arguments.at(0), "trigger");
        require(trigger.heredocs.size() == instruction.heredocs.size());
    }
}

void check_trigger(std::string_view text) {
    try {
        parse_trigger(text, "trigger");
    } catch (const Error& error) {
        require(error.code() == ErrorCode::recipe && !render(error).empty());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const ParseResult result = parse_recipe(text, "Dockerfile");
    for (const Error& error : result.errors) {
        require(error.code() == ErrorCode::recipe && error.where().has_value() && !render(error).empty());
    }
    check_trigger(text);
    if (!result.errors.empty()) return 0;
    require(!to_json(result.recipe).empty() && !result.recipe.stages.empty());
    const char escape = result.recipe.directives.escape;
    for (const Instruction& arg : result.recipe.global_args) check(arg, escape);
    for (const Stage& stage : result.recipe.stages) {
        check(stage.from, escape);
        for (const Instruction& instruction : stage.instructions) check(instruction, escape);
    }
    return 0;
}
