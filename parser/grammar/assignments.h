// ENV and LABEL: name=value …, or the older `name value` where the rest of the line is the value.
// ARG: name[=value] …
#pragma once

#include "parser/grammar/tokens.h"

namespace mkimg::parser::grammar {

template <char Escape>
struct assignment : quoted_word<Escape> {};

template <char Escape>
struct assignments
    : pegtl::seq<assignment<Escape>, pegtl::star<blanks, assignment<Escape>>, pegtl::opt<blanks>, pegtl::eof> {};

struct legacy_name : word {};
struct legacy_value : rest {};
struct legacy_assignment : pegtl::seq<legacy_name, blanks, legacy_value, pegtl::eof> {};

}  // namespace mkimg::parser::grammar
