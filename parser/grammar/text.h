// USER, WORKDIR, STOPSIGNAL and MAINTAINER: the rest of the line is one argument.
#pragma once

#include "parser/grammar/tokens.h"

namespace mkimg::parser::grammar {

struct whole_text : rest {};
struct text : pegtl::seq<whole_text, pegtl::eof> {};

}  // namespace mkimg::parser::grammar
