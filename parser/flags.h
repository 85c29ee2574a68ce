// Which flags each instruction takes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "parser/header.h"
#include "parser/instruction.h"

namespace mkimg::parser {

using Report = std::function<void(Span where, std::string message, std::string hint)>;

// Reports unknown and repeated flags, missing values and what is no boolean.
void check_flags(Keyword keyword, const std::vector<HeaderFlag>& flags, const Report& report);

}  // namespace mkimg::parser
