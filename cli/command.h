// What the commands share: the global options, how a command is added, and the way to stdout.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace mkimg::cli {

struct Globals {
    std::string root;       // of the store; never empty once a command runs
    bool debug = false;     // say on stderr what is being done
    bool json_log = false;  // messages on stderr are JSON objects, one a line
    int exit_status = 0;    // a command that ends without an Error may set it
};

// One function per command, in a file of its own: gives `command` its options, arguments and the
// callback that does the work. `globals` outlives the command and is filled in when the callback
// runs. Errors are thrown.
void add_build(CLI::App& command, Globals& globals);
void add_copy(CLI::App& command, Globals& globals);
void add_fsck(CLI::App& command, Globals& globals);
void add_history(CLI::App& command, Globals& globals);
void add_images(CLI::App& command, Globals& globals);
void add_import(CLI::App& command, Globals& globals);
void add_inspect(CLI::App& command, Globals& globals);
void add_load(CLI::App& command, Globals& globals);
void add_login(CLI::App& command, Globals& globals);
void add_logout(CLI::App& command, Globals& globals);
void add_parse(CLI::App& command, Globals& globals);
void add_prune(CLI::App& command, Globals& globals);
void add_pull(CLI::App& command, Globals& globals);
void add_push(CLI::App& command, Globals& globals);
void add_rmi(CLI::App& command, Globals& globals);
void add_run(CLI::App& command, Globals& globals);
void add_save(CLI::App& command, Globals& globals);
void add_tag(CLI::App& command, Globals& globals);

// Results go here; the text carries its own line ends.
void print(std::string_view text);

// A note for whoever asked for --debug; nothing otherwise.
void debug(const Globals& globals, std::string_view text);

}  // namespace mkimg::cli
