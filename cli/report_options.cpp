#include "cli/report_options.h"

#include <CLI/App.hpp>

#include "base/error.h"
#include "cli/progress.h"

namespace mkimg::cli {

void ReportOptions::add_to(CLI::App& command, const std::string& result) {
    command.add_flag("-q,--quiet", quiet, "Print the " + result + " and nothing else");
    command.add_option("--format", format, "text or json")->type_name("FORMAT");
    command.add_option("--progress", progress, "auto, tty, plain or quiet")->type_name("KIND");
}

bool ReportOptions::json() const {
    if (format == "json" || format == "text") return format == "json";
    throw Error(ErrorCode::usage, "--format " + format + ": text or json is needed");
}

std::unique_ptr<builder::Progress> ReportOptions::make_progress() const {
    return cli::make_progress(progress, quiet);
}

}  // namespace mkimg::cli
