// mkimg parse [-f FILE] [PATH]: the recipe as JSON.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <memory>

#include "base/error.h"
#include "base/fd.h"
#include "base/tree_path.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "parser/json.h"

namespace mkimg::cli {
namespace {

constexpr std::uint64_t recipe_limit = 4U << 20U;

struct ParseOptions {
    std::string file;
    std::string path = ".";
};

struct RecipeText {
    std::string text;
    std::string name;  // as errors show it
};

RecipeText read_regular(int fd, const std::string& name) {
    if (!S_ISREG(stat_fd(fd).st_mode)) throw Error(ErrorCode::usage, name + " is not a regular file");
    return {read_all(fd, recipe_limit, name), name};
}

RecipeText read_recipe(const ParseOptions& options) {
    if (options.file == "-") return {read_all(STDIN_FILENO, recipe_limit, "the recipe on stdin"), "<stdin>"};
    if (!options.file.empty()) {
        const UniqueFd file(::open(options.file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
        if (!file) throw_errno("open", options.file);
        return read_regular(file.get(), options.file);
    }
    const UniqueFd directory(::open(options.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) throw_errno("open", options.path);
    for (const std::string name : {"Dockerfile", "Containerfile"}) {
        if (const auto file = try_open_in_root(directory.get(), name, O_RDONLY | O_NOCTTY | O_NONBLOCK)) {
            return read_regular(file->get(), options.path == "." ? name : options.path + "/" + name);
        }
    }
    throw Error(ErrorCode::usage, "there is no Dockerfile or Containerfile in " + options.path,
                "name the recipe with -f FILE");
}

void parse(const ParseOptions& options) {
    const RecipeText recipe = read_recipe(options);
    const parser::ParseResult result = parser::parse_recipe(recipe.text, recipe.name);
    PlainProgress messages;
    for (const parser::Warning& warning : result.recipe.warnings) messages.warning(warning);
    if (!result.errors.empty()) {
        Error first = result.errors.front();
        for (std::size_t i = 1; i < result.errors.size(); ++i) first.add_further(result.errors[i]);
        throw first;
    }
    print(parser::to_json(result.recipe));
}

}  // namespace

void add_parse(CLI::App& command, Globals&) {
    auto options = std::make_shared<ParseOptions>();
    command.add_option("path", options->path, "The folder that holds the recipe (default: .)")->type_name("");
    command.add_option("-f,--file", options->file, "The recipe; - is stdin")->type_name("FILE");
    command.callback([options] { parse(*options); });
}

}  // namespace mkimg::cli
