// ONBUILD instruction: the trigger is a line of its own.
#pragma once

#include "parser/grammar/tokens.h"

namespace mkimg::parser::grammar {

struct trigger_keyword : word {};
struct trigger : pegtl::seq<pegtl::at<trigger_keyword>, rest> {};
struct onbuild : pegtl::seq<trigger, pegtl::eof> {};

}  // namespace mkimg::parser::grammar
