// RUN, CMD, ENTRYPOINT and SHELL: exec_form, or else the line as the shell is to get it.
#pragma once

#include "parser/grammar/exec_form.h"

namespace mkimg::parser::grammar {

struct shell_line : rest {};
struct shell_form : pegtl::seq<shell_line, pegtl::eof> {};

}  // namespace mkimg::parser::grammar
