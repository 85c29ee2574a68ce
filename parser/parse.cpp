#include <algorithm>
#include <utility>

#include "base/text.h"
#include "parser/directives.h"
#include "parser/instruction.h"
#include "parser/instruction_reader.h"
#include "parser/keyword.h"

namespace mkimg::parser {
namespace {

constexpr std::size_t max_recipe = 4U << 20U;
constexpr std::size_t max_line = 65535;  // as Docker's
constexpr std::size_t max_instructions = 20000;

// What makes a text no recipe at all; nothing else is looked at then.
bool check_text(std::string_view text, SourceText& source, Faults& faults) {
    if (text.size() > max_recipe) {
        faults.add(source.range_for_report({}, {}), "the recipe is larger than 4 MiB",
                   "keep data in files and COPY them");
        return false;
    }
    for (std::uint32_t number = 1; number <= source.line_count(); ++number) {
        const std::size_t nul = source.line(number).find('\0');
        if (nul != std::string_view::npos) {
            const Place place{number, static_cast<std::uint32_t>(nul) + 1};
            faults.add(source.range_for_report(place, place), "the recipe holds a NUL byte",
                       "is it a text file? save it as UTF-8");
            return false;
        }
        if (source.line(number).size() > max_line) {
            faults.add(source.range_for_report({number, 0}, {number, 0}), "the line is longer than 65535 bytes",
                       "break it with continuations");
            return false;
        }
    }
    return true;
}

Stage make_stage(Instruction from) {
    Stage stage;
    if (!from.arguments.empty()) stage.base = from.arguments.front();
    if (from.arguments.size() == 3) stage.name = to_lower(from.arguments[2]);
    if (const Flag* platform = from.flag("platform")) stage.platform = platform->value.value_or("");
    stage.first_line = from.where.line;
    stage.last_line = from.where.end_line;
    stage.from = std::move(from);
    return stage;
}

class RecipeBuilder {
  public:
    RecipeBuilder(SourceText& source, Faults& faults, Recipe& recipe)
        : source_(source), faults_(faults), recipe_(recipe) {}

    void add(Instruction instruction) {
        any_ = true;
        if (instruction.keyword == Keyword::from) {
            recipe_.stages.push_back(make_stage(std::move(instruction)));
        } else if (!recipe_.stages.empty()) {
            Stage& stage = recipe_.stages.back();
            stage.last_line = instruction.where.end_line;
            stage.instructions.push_back(std::move(instruction));
        } else if (instruction.keyword == Keyword::arg) {
            recipe_.global_args.push_back(std::move(instruction));
        } else {
            early_.emplace_back(instruction.keyword, std::move(instruction.where));
        }
    }

    // A line that is no instruction, but may have been meant as FROM.
    void add_unknown(bool like_from) {
        any_ = true;
        from_misspelt_ = from_misspelt_ || like_from;
    }

    void finish() {
        if (from_misspelt_) return;
        const std::string hint = "begin with FROM IMAGE, or with FROM scratch for an empty image";
        if (!any_) {
            faults_.add(source_.range_for_report({}, {}), "the recipe has no instructions", hint);
        } else if (recipe_.stages.empty()) {
            SourceRange where = early_.empty() ? source_.range_for_report({}, {}) : early_.front().second;
            faults_.add(std::move(where), "the recipe has no FROM", hint);
        } else {
            for (auto& [keyword, where] : early_) {
                faults_.add(std::move(where), std::string(name_of(keyword)) + " stands before the first FROM",
                            "move it below FROM; only ARG can stand above");
            }
        }
    }

  private:
    SourceText& source_;
    Faults& faults_;
    Recipe& recipe_;
    std::vector<std::pair<Keyword, SourceRange>> early_;  // other than ARG, before the first FROM
    bool any_ = false;
    bool from_misspelt_ = false;
};

void read_recipe(SourceText& source, Faults& faults, Recipe& recipe) {
    const std::uint32_t first_line = read_directives(source, faults, recipe.directives);
    LineReader lines(source, faults, recipe.directives.escape, first_line);
    InstructionReader reader(source, faults, recipe.directives.escape);
    RecipeBuilder builder(source, faults, recipe);
    std::size_t count = 0;
    while (auto line = lines.next()) {
        const Place begin = line->place(0);
        if (++count > max_instructions) {
            faults.add(source.range_for_report(begin, begin), "the recipe has more than 20000 instructions");
            break;
        }
        if (line->empty_continuation) {
            const Place place{*line->empty_continuation, 1};
            recipe.warnings.push_back({"NoEmptyContinuation", "empty continuation line", source.range(place, place)});
        }
        const std::string word = line->text.substr(0, line->text.find_first_of(" \t"));
        if (auto instruction = reader.read(std::move(*line))) {
            builder.add(std::move(*instruction));
        } else {
            builder.add_unknown(nearest_keyword(word) == "FROM");
        }
    }
    builder.finish();
}

}  // namespace

const Flag* Instruction::flag(std::string_view name) const {
    const auto found = std::find_if(flags.begin(), flags.end(), [&](const Flag& entry) { return entry.name == name; });
    return found == flags.end() ? nullptr : &*found;
}

ParseResult parse_recipe(std::string_view text, std::string_view file) {
    ParseResult result;
    SourceText source(text, file);
    Faults faults(source);
    if (check_text(text, source, faults)) read_recipe(source, faults, result.recipe);
    result.errors = faults.take();
    return result;
}

Instruction parse_trigger(std::string_view line, std::string_view file) {
    SourceText source(line, file);
    Faults faults(source);
    std::optional<Instruction> instruction;
    if (check_text(line, source, faults)) {
        LineReader lines(source, faults, '\\', 1);
        InstructionReader reader(source, faults, '\\');
        if (auto first = lines.next()) {
            instruction = reader.read_trigger(std::move(*first));
        } else {
            faults.add(source.range_for_report({}, {}), "the ONBUILD trigger is empty");
        }
        if (const auto second = lines.next()) {
            const Place begin = second->place(0);
            faults.add(source.range_for_report(begin, begin), "an ONBUILD trigger is one instruction");
        }
    }
    if (!faults.empty()) throw std::move(faults.take().front());
    return std::move(*instruction);
}

}  // namespace mkimg::parser
