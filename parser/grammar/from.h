// FROM base [AS name]
#pragma once

#include "parser/grammar/tokens.h"

namespace mkimg::parser::grammar {

struct base : word {};
struct as : pegtl::istring<'a', 's'> {};
struct stage_name : word {};

struct from : pegtl::seq<base, pegtl::opt<blanks, as, blanks, stage_name>, pegtl::eof> {};

// In any case; stage names are compared in lower case.
struct valid_stage_name
    : pegtl::seq<pegtl::alpha, pegtl::star<pegtl::sor<pegtl::alnum, pegtl::one<'-', '_', '.'>>>, pegtl::eof> {};

}  // namespace mkimg::parser::grammar
