// What the parser reads and this version does not execute yet: refused by name and line.
#pragma once

#include <vector>

#include "base/error.h"
#include "parser/instruction.h"

namespace mkimg::builder {

// One Error(unsupported) with its place for each feature of the instruction that can't be executed.
std::vector<Error> unsupported_features(const parser::Instruction& line);

}  // namespace mkimg::builder
