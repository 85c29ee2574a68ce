#include "parser/json.h"

#include <nlohmann/json.hpp>

namespace mkimg::parser {
namespace {

using Json = nlohmann::ordered_json;

template <typename Value>
Json or_null(const std::optional<Value>& value) {
    return value ? Json(*value) : Json();
}

Json or_null(const std::string& text) {
    return text.empty() ? Json() : Json(text);
}

Json form_of(const Instruction& instruction) {
    switch (instruction.form) {
        case Form::shell: return "shell";
        case Form::exec: return "exec";
        case Form::none: break;
    }
    return nullptr;
}

Json to_document(const Instruction& instruction) {
    Json flags = Json::object();
    for (const Flag& flag : instruction.flags) flags[flag.name].push_back(flag.value.value_or(""));
    Json pairs = Json::array();
    for (const Pair& pair : instruction.pairs) pairs.push_back({{"name", pair.name}, {"value", or_null(pair.value)}});
    Json heredocs = Json::array();
    for (const Heredoc& heredoc : instruction.heredocs) {
        heredocs.push_back({{"name", heredoc.name},
                            {"content", heredoc.content},
                            {"expand", heredoc.expand},
                            {"strip_tabs", heredoc.strip_tabs}});
    }
    return {{"instruction", name_of(instruction.keyword)},
            {"flags", std::move(flags)},
            {"form", form_of(instruction)},
            {"arguments", instruction.arguments},
            {"pairs", std::move(pairs)},
            {"heredocs", std::move(heredocs)},
            {"lines", {instruction.where.line, instruction.where.end_line}},
            {"original", instruction.original}};
}

Json to_document(const std::vector<Instruction>& instructions) {
    Json list = Json::array();
    for (const Instruction& instruction : instructions) list.push_back(to_document(instruction));
    return list;
}

Json to_document(const Stage& stage) {
    return {{"name", or_null(stage.name)},
            {"base", stage.base},
            {"platform", or_null(stage.platform)},
            {"lines", {stage.first_line, stage.last_line}},
            {"instructions", to_document(stage.instructions)}};
}

}  // namespace

std::string to_json(const Recipe& recipe) {
    Json stages = Json::array();
    for (const Stage& stage : recipe.stages) stages.push_back(to_document(stage));
    const Json document = {{"directives",
                            {{"syntax", or_null(recipe.directives.syntax)},
                             {"escape", std::string(1, recipe.directives.escape)},
                             {"check", or_null(recipe.directives.check)}}},
                           {"global_args", to_document(recipe.global_args)},
                           {"stages", std::move(stages)}};
    return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mkimg::parser
