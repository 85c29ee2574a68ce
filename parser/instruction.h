// What the parser makes of a recipe: stages of typed instructions, each with its place in the
// text. Arguments stand as written: not expanded, quotes kept.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mkimg::parser {

enum class Keyword {
    from,
    run,
    cmd,
    label,
    maintainer,
    expose,
    env,
    add,
    copy,
    entrypoint,
    volume,
    user,
    workdir,
    arg,
    onbuild,
    stopsignal,
    healthcheck,
    shell,
};
std::string_view name_of(Keyword keyword) noexcept;  // "RUN"

enum class Form { none, shell, exec };

struct Flag {
    std::string name;
    std::optional<std::string> value;  // nothing for a bare --link
    SourceRange where;
};

struct Pair {
    std::string name;
    std::optional<std::string> value;  // nothing for `ARG NAME`
};

struct Heredoc {
    std::string name;     // the delimiter
    std::string content;  // lines with their ends; tabs already stripped for <<-
    bool expand = true;   // false where the delimiter was quoted
    bool strip_tabs = false;
    SourceRange where;  // of the `<<NAME`
};

struct Instruction {
    Keyword keyword{};
    std::vector<Flag> flags;
    Form form = Form::none;
    // Exec form: the decoded JSON strings. Shell form of RUN, CMD, ENTRYPOINT: one element, the
    // line with continuations joined, comment lines dropped (heredoc markers still in it). COPY
    // and ADD: sources then the target. FROM: {base} or {base, "AS", name}. HEALTHCHECK: {"NONE"}
    // or {"CMD", …}. ONBUILD: {the trigger's line}. Others: the words.
    std::vector<std::string> arguments;
    std::vector<SourceRange> argument_ranges;  // one per argument where known
    std::vector<Pair> pairs;                   // ENV, LABEL, ARG
    std::vector<Heredoc> heredocs;
    SourceRange where;     // of the keyword; end_line is the last line incl. heredocs
    std::string original;  // the whole source text of the instruction, as written

    const Flag* flag(std::string_view name) const;  // the first of that name, or null
};

struct Stage {
    std::string name;      // lower-cased; empty where none was given
    std::string base;      // as written, not expanded
    std::string platform;  // value of --platform as written; may be empty
    Instruction from;
    std::vector<Instruction> instructions;
    std::uint32_t first_line = 0;
    std::uint32_t last_line = 0;
};

struct Directives {
    std::optional<std::string> syntax;
    char escape = '\\';
    std::optional<std::string> check;
};

struct Warning {
    std::string rule;  // "NoEmptyContinuation"
    std::string message;
    SourceRange where;
};

struct Recipe {
    Directives directives;
    std::vector<Instruction> global_args;  // ARG before the first FROM
    std::vector<Stage> stages;
    std::vector<Warning> warnings;
};

// All faults of the text at once.
struct ParseResult {
    Recipe recipe;
    std::vector<Error> errors;  // in order of their place; empty when the recipe is good
};

// `file` is the name that errors show. Never throws for a bad recipe, whatever the bytes.
ParseResult parse_recipe(std::string_view text, std::string_view file);

// One ONBUILD trigger line of a base image's config, as an instruction. `file` says where it is
// from. Throws Error(recipe).
Instruction parse_trigger(std::string_view line, std::string_view file);

}  // namespace mkimg::parser
