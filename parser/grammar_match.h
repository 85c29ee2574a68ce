// The arguments of an instruction by its grammar: each function is one grammar of parser/grammar/.
// Empty or nothing where it does not match.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "parser/header.h"

namespace mkimg::parser {

struct FromParts {
    Span base;
    std::optional<Span> as;
    std::optional<Span> name;
};
std::optional<FromParts> match_from(Span arguments);
bool is_stage_name(std::string_view name);

std::optional<Span> match_shell_line(Span arguments);
std::optional<Span> match_text(Span arguments);
std::optional<Span> match_trigger(Span arguments);
std::vector<Span> match_words(Span arguments);
std::vector<Span> match_assignments(Span arguments, char escape);

struct LegacyAssignment {
    Span name;
    Span value;
};
std::optional<LegacyAssignment> match_legacy_assignment(Span arguments);

struct HealthcheckParts {
    Span type;
    Span command;  // may be empty
};
std::optional<HealthcheckParts> match_healthcheck(Span arguments);

}  // namespace mkimg::parser
