// COPY, ADD, VOLUME and EXPOSE: words between blanks. Quotes do not join words.
#pragma once

#include "parser/grammar/tokens.h"

namespace mkimg::parser::grammar {

struct words : pegtl::seq<word, pegtl::star<blanks, word>, pegtl::opt<blanks>, pegtl::eof> {};

}  // namespace mkimg::parser::grammar
