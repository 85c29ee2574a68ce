// What a login needs to be told: typed on a terminal, or brought by a pipe.
#pragma once

#include <string>
#include <string_view>

#include "base/cancel.h"

namespace mkimg::cli {

enum class Echo { on, off };

// One line of the terminal that is stdin; empty at its end. With Echo::off it stays invisible, and the terminal is
// as before however this ends. Throws Error(usage) where stdin is no terminal, Error(cancelled).
std::string ask(std::string_view prompt, Echo echo, const Cancellation& cancel);

// All of stdin, but for a line end at its end.
std::string read_password();

}  // namespace mkimg::cli
