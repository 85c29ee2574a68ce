// Instructions that only edit the image config.
#pragma once

#include <string>
#include <string_view>

#include "builder/scope.h"
#include "builder/stage_state.h"
#include "parser/instruction.h"

namespace mkimg::builder {

// What expansion and ARG need besides the stage itself.
struct ConfigContext {
    char escape = '\\';
    BuildArgs& args;
    const ArgScope& global_args;
    const std::map<std::string, std::string, std::less<>>& predefined;  // platform ARGs
};

// True for the instructions that apply_config_step() takes: all but FROM, RUN, COPY, ADD, WORKDIR.
bool is_config_only(parser::Keyword keyword);

// Edits state.config (and state.args). Throws Error(recipe) without a place.
void apply_config_step(const parser::Instruction& line, StageState& state, const ConfigContext& context);

// One word with the stage's variables, quotes removed.
std::string expand_word(std::string_view word, const StageState& state, char escape);

// "80", "80/udp", "8000-8010/tcp" to single ports "N/proto". Throws Error(recipe).
std::vector<std::string> expand_ports(std::string_view spec);

// Go's time.ParseDuration: "1m30s", "500ms", "1.5h"; nanoseconds. Throws Error(recipe).
std::int64_t parse_duration(std::string_view text);

}  // namespace mkimg::builder
