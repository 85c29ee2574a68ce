// The parser directives at the top of a recipe.
#pragma once

#include <cstdint>

#include "parser/faults.h"
#include "parser/instruction.h"
#include "parser/source_text.h"

namespace mkimg::parser {

// Fills `directives`; returns the first line that is none of theirs.
std::uint32_t read_directives(const SourceText& source, Faults& faults, Directives& directives);

}  // namespace mkimg::parser
