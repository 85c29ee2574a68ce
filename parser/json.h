// A recipe as a JSON document, for `mkimg parse`.
#pragma once

#include <string>

#include "parser/instruction.h"

namespace mkimg::parser {

// Indented by two blanks, with a final newline. Bytes that are no UTF-8 become U+FFFD.
std::string to_json(const Recipe& recipe);

}  // namespace mkimg::parser
