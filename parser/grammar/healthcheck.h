// HEALTHCHECK NONE, or HEALTHCHECK CMD command
#pragma once

#include "parser/grammar/tokens.h"

namespace mkimg::parser::grammar {

struct check_type : word {};
struct check_command : rest {};
struct healthcheck : pegtl::seq<check_type, pegtl::opt<blanks>, pegtl::opt<check_command>, pegtl::eof> {};

}  // namespace mkimg::parser::grammar
