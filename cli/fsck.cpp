// mkimg fsck
#include <CLI/App.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "layers/fsck.h"
#include "sandbox/user_namespace.h"

namespace mkimg::cli {
namespace {

struct FsckCommand {
    layers::FsckOptions options;
    std::string format = "text";
};

std::string as_json(const std::vector<layers::Finding>& findings) {
    auto array = nlohmann::json::array();
    for (const auto& finding : findings) {
        array.push_back({{"kind", layers::name_of(finding.kind)},
                         {"subject", finding.subject},
                         {"what", finding.what},
                         {"repaired", finding.repaired}});
    }
    return array.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string as_text(const std::vector<layers::Finding>& findings) {
    if (findings.empty()) return "The store is sound.\n";
    std::string text;
    for (const auto& finding : findings) {
        text += std::string(layers::name_of(finding.kind)) + ": " + printable(finding.subject) + ": " +
                printable(finding.what) + (finding.repaired ? " (repaired)" : "") + "\n";
    }
    return text;
}

// Rubbish is what a killed build leaves: no fault of the store.
bool is_fault(const layers::Finding& finding) {
    return finding.kind != layers::Finding::Kind::rubbish && !finding.repaired;
}

void fsck(Globals& globals, const FsckCommand& command) {
    if (command.format != "text" && command.format != "json") {
        throw Error(ErrorCode::usage, "--format " + command.format + ": text or json is needed");
    }
    sandbox::enter_user_namespace();
    oci::Store store(globals.root);
    ThreadPool pool;
    if (!command.options.repair) store.lock(oci::Store::Use::shared);
    const auto findings = layers::fsck(store, pool, command.options);
    print(command.format == "json" ? as_json(findings) : as_text(findings));
    const auto faults = std::count_if(findings.begin(), findings.end(), is_fault);
    if (faults == 0) return;
    throw Error(ErrorCode::corrupt, "the store has " + std::to_string(faults) + (faults == 1 ? " fault" : " faults"),
                command.options.repair ? "" : "mkimg fsck --repair drops what is broken; build, load or pull it again");
}

}  // namespace

void add_fsck(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<FsckCommand>();
    command.add_flag("--repair", options->options.repair, "Drop what is broken and all that needs it");
    command.add_option("--format", options->format, "text or json")->type_name("text|json");
    command.callback([options, &globals] { fsck(globals, *options); });
}

}  // namespace mkimg::cli
