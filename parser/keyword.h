// The instructions' names.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "parser/instruction.h"

namespace mkimg::parser {

std::optional<Keyword> keyword_of(std::string_view word);  // in any case
// The instruction that `word` may have been meant for.
std::optional<std::string> nearest_keyword(std::string_view word);

}  // namespace mkimg::parser
