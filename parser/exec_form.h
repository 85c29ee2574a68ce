// The JSON form of RUN, CMD, ENTRYPOINT, SHELL, COPY, ADD, VOLUME and HEALTHCHECK CMD.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "parser/instruction.h"

namespace mkimg::parser {

struct ExecForm {
    Form form = Form::shell;              // exec where the text is a JSON array of strings
    std::vector<std::string> arguments;   // decoded
    std::vector<std::string_view> parts;  // as written, between the quotes
    bool array_of_others = false;         // JSON, but not of strings only
};

ExecForm parse_exec_form(std::string_view text);

}  // namespace mkimg::parser
