// mkimg tag SOURCE NAME
#include <CLI/App.hpp>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/session.h"

namespace mkimg::cli {
namespace {

struct TagOptions {
    std::string source;
    std::string name;
};

void tag(const Globals& globals, const TagOptions& options) {
    const auto name = oci::Reference::parse(options.name);
    oci::Store::check_new_name(name);
    oci::Store store(globals.root);
    store.lock(oci::Store::Use::shared);
    store.tag(name, require_image(store, options.source).id);
}

}  // namespace

void add_tag(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<TagOptions>();
    command.add_option("source", options->source, "The image, by name or ID")->required()->type_name("");
    command.add_option("name", options->name, "The name it shall have too: NAME[:TAG]")->required()->type_name("");
    command.callback([options, &globals] { tag(globals, *options); });
}

}  // namespace mkimg::cli
