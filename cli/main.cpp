// The program: finds the command, lets CLI11 read its options, runs it, and turns every failure
// into a message on stderr and the documented exit status.
#include <poll.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <array>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"
#include "cli/command.h"
#include "oci/store.h"

namespace mkimg::cli {
namespace {

struct CommandEntry {
    std::string_view name;
    std::string_view summary;
    void (*add)(CLI::App& command, Globals& globals);
};

constexpr std::array commands{
    CommandEntry{"build", "Build an image from a recipe", add_build},
    CommandEntry{"parse", "Print a recipe as JSON", add_parse},
    CommandEntry{"run", "Run a command in an image", add_run},
    CommandEntry{"images", "List the store's images", add_images},
    CommandEntry{"inspect", "Show an image's config, manifest and layers", add_inspect},
    CommandEntry{"history", "Show the steps that made an image", add_history},
    CommandEntry{"tag", "Give an image another name", add_tag},
    CommandEntry{"rmi", "Remove images or their names", add_rmi},
    CommandEntry{"save", "Write images to an archive", add_save},
    CommandEntry{"load", "Read images from an archive", add_load},
    CommandEntry{"import", "Make an image from a root file system tar", add_import},
    CommandEntry{"pull", "Bring images from registries into the store", add_pull},
    CommandEntry{"push", "Send an image to a registry", add_push},
    CommandEntry{"copy", "Copy an image from registry to registry", add_copy},
    CommandEntry{"login", "Keep who you are to a registry", add_login},
    CommandEntry{"logout", "Forget who you are to a registry", add_logout},
    CommandEntry{"prune", "Remove what no image needs", add_prune},
    CommandEntry{"fsck", "Verify every digest and record of the store", add_fsck},
};

const CommandEntry* find_command(std::string_view name) {
    for (const auto& entry : commands) {
        if (entry.name == name) return &entry;
    }
    return nullptr;
}

[[noreturn]] void unknown_command(const std::string& name) {
    std::vector<std::string> names{"help"};
    for (const auto& entry : commands) names.emplace_back(entry.name);
    const auto near = nearest(name, names);
    throw Error(ErrorCode::usage, "unknown command " + name + (near ? "; did you mean " + *near + "?" : ""),
                "mkimg help lists the commands");
}

// Where the command stands: the first argument that is neither an option of the program itself nor such
// an option's value. Past the end where there is none.
std::size_t command_index(const std::vector<std::string>& arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (argument == "--root" || argument == "--log-format") {
            ++i;
        } else if (!argument.starts_with('-')) {
            return i;
        } else if (argument != "--debug" && !argument.starts_with("--root=") &&
                   !argument.starts_with("--log-format=")) {
            break;  // --help, --version, or a flag that is to be named as unknown
        }
    }
    return arguments.size();
}

// "help COMMAND" is "COMMAND --help".
void rewrite_help(std::vector<std::string>& arguments, std::size_t help) {
    arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(help));
    if (arguments.size() > help + 1) {
        throw Error(ErrorCode::usage, "mkimg help takes one command", "mkimg help lists the commands");
    }
    arguments.emplace_back("--help");
}

// A failure before the options are read must be told in the format asked for, too.
bool wants_json(const std::vector<std::string>& arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i] == "--log-format=json") return true;
        if (arguments[i] == "json" && i > 0 && arguments[i - 1] == "--log-format") return true;
    }
    return false;
}

std::string overview() {
    std::string text = "Commands:\n";
    for (const auto& entry : commands) {
        text += "  " + std::string(entry.name) + std::string(12 - entry.name.size(), ' ') + std::string(entry.summary) +
                "\n";
    }
    return text + "\nmkimg help COMMAND says more about one of them.";
}

void add_flag_names(const CLI::App& app, std::vector<std::string>& names) {
    for (const CLI::Option* option : app.get_options()) {
        for (const auto& name : option->get_lnames()) names.push_back("--" + name);
        for (const auto& name : option->get_snames()) names.push_back("-" + name);
    }
}

// CLI11's complaint as ours. An unknown flag is named first, whatever else is wrong besides.
Error usage_error(const CLI::App& app, const CLI::App* command, const CLI::ParseError& error) {
    const std::string who = command != nullptr ? "mkimg help " + command->get_name() : "mkimg help";
    const std::string hint = who + " shows the options";
    const auto left_over = app.remaining(true);
    for (const auto& argument : left_over) {
        if (argument.size() < 2 || argument[0] != '-' || argument == "--") continue;
        const std::string flag = argument.substr(0, argument.find('='));
        std::vector<std::string> names;
        if (command != nullptr) add_flag_names(*command, names);
        add_flag_names(app, names);
        const auto near = nearest(flag, names);
        return Error(ErrorCode::usage, "unknown flag " + flag + (near ? "; did you mean " + *near + "?" : ""), hint);
    }
    if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !left_over.empty()) {
        return Error(ErrorCode::usage, "unexpected argument " + left_over.front(), hint);
    }
    // "--format: 1 required TEXT missing"
    const std::string message = error.what();
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr && message.ends_with(" missing")) {
        return Error(ErrorCode::usage, message.substr(0, message.find(':')) + " needs a value", hint);
    }
    return Error(ErrorCode::usage, message, hint);
}

void run(std::vector<std::string> arguments, Globals& globals) {
    globals.json_log = wants_json(arguments);
    std::size_t at = command_index(arguments);
    if (at < arguments.size() && arguments[at] == "help") {
        rewrite_help(arguments, at);
        at = command_index(arguments);
    }
    CLI::App app("mkimg builds container images from Dockerfiles, without a daemon and without root.", "mkimg");
    std::string log_format = "text";
    bool version = false;
    app.add_option("--root", globals.root, "The store's folder (default: $MKIMG_ROOT, then a folder of the user's)")
        ->type_name("DIR");
    app.add_flag("--debug", globals.debug, "Say on stderr what is being done");
    app.add_option("--log-format", log_format, "Messages on stderr as text or json")->type_name("text|json");
    app.add_flag("--version", version, "Print the version");
    app.set_help_flag("-h,--help", "Print this help");

    // Only the chosen command's options are built: start-up is paid by every build.
    CLI::App* command = nullptr;
    if (at == arguments.size()) {
        app.footer(overview());
    } else {
        const CommandEntry* entry = find_command(arguments[at]);
        if (entry == nullptr) unknown_command(arguments[at]);
        command = app.add_subcommand(std::string(entry->name), std::string(entry->summary));
        command->fallthrough();
        entry->add(*command, globals);
    }
    // CLI11 runs this before the command's own callback.
    app.parse_complete_callback([&] {
        if (log_format != "text" && log_format != "json") {
            throw Error(ErrorCode::usage, "--log-format " + log_format + ": text or json is needed");
        }
        globals.json_log = log_format == "json";
        if (globals.root.empty()) globals.root = oci::Store::default_root();
        debug(globals, "the store is " + globals.root);
    });
    try {
        std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
        app.parse(reversed);
    } catch (const CLI::CallForHelp&) {
        std::string help = command != nullptr ? command->help("mkimg") : app.help();
        while (help.ends_with('\n')) help.pop_back();  // CLI11 leaves a line for each group, shown or not
        print(help + "\n");
        return;
    } catch (const CLI::ParseError& error) {
        throw usage_error(app, command, error);
    }
    if (version) {
        print("mkimg " MKIMG_VERSION "\n");
    } else if (command == nullptr) {
        throw Error(ErrorCode::usage, "a command is needed", "mkimg help lists the commands");
    }
}

// One object a line; further faults of the same input follow.
std::string as_json_lines(const Error& error) {
    nlohmann::json line{{"level", "error"}, {"code", name_of(error.code())}, {"message", error.what()}};
    if (!error.hint().empty()) line["hint"] = error.hint();
    if (!error.detail().empty()) line["detail"] = error.detail();
    if (const auto& where = error.where()) {
        line["file"] = where->file;
        if (where->line != 0) line["line"] = where->line;
        if (where->column != 0) line["column"] = where->column;
        if (!where->excerpt.empty()) line["excerpt"] = where->excerpt;
    }
    std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    for (const auto& fault : error.further()) text += as_json_lines(fault);
    return text;
}

void report(const Error& error, const Globals& globals) {
    try {
        write_full(STDERR_FILENO, globals.json_log ? as_json_lines(error) : render(error));
    } catch (const Error&) {
        // Nobody is left to tell; the exit status still says it.
    }
}

bool stdout_is_closed() {
    pollfd out{STDOUT_FILENO, POLLOUT, 0};
    return ::poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

}  // namespace

void print(std::string_view text) {
    write_full(STDOUT_FILENO, text);
}

void debug(const Globals& globals, std::string_view text) {
    if (!globals.debug) return;
    std::string line = "debug: " + printable(text);
    if (globals.json_log) {
        const nlohmann::json object{{"level", "debug"}, {"message", printable(text)}};
        line = object.dump();
    }
    write_full(STDERR_FILENO, line + "\n");
}

}  // namespace mkimg::cli

int main(int argc, char** argv) {
    using namespace mkimg;
    // A closed pipe is an error of the write that meets it, so that temporary files are removed.
    std::signal(SIGPIPE, SIG_IGN);
    cli::Globals globals;
    try {
        cli::run(std::vector<std::string>(argv + 1, argv + argc), globals);
        return globals.exit_status;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::broken_pipe || !cli::stdout_is_closed()) cli::report(error, globals);
        return exit_status(error.code());
    } catch (const std::exception& error) {
        cli::report(Error(ErrorCode::internal, error.what(), "this is a fault of mkimg's own: please report it"),
                    globals);
        return exit_status(ErrorCode::internal);
    }
}
