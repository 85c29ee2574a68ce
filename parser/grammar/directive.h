// # key=value at the top of a recipe
#pragma once

#include "parser/grammar/tokens.h"

namespace mkimg::parser::grammar {

struct directive_key : pegtl::seq<pegtl::alpha, pegtl::star<pegtl::alnum>> {};
struct directive_value : pegtl::seq<nonblank, pegtl::star<pegtl::any>> {};
struct directive : pegtl::seq<pegtl::opt<blanks>, pegtl::one<'#'>, pegtl::opt<blanks>, directive_key,
                              pegtl::opt<blanks>, pegtl::one<'='>, pegtl::opt<blanks>, directive_value, pegtl::eof> {};

}  // namespace mkimg::parser::grammar
