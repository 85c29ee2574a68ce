// mkimg rmi IMAGE…
#include <CLI/App.hpp>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/session.h"

namespace mkimg::cli {
namespace {

struct RmiOptions {
    std::vector<std::string> images;
    bool force = false;
};

void remove(oci::Store& store, const std::string& text, bool force) {
    if (force && !store.find_image(text)) return;
    const auto image = require_image(store, text);
    const std::string name = name_used(text, image);
    if (!name.empty() && image.names.size() > 1) {
        store.untag(oci::Reference::parse(name));
        print("Untagged: " + name + "\n");
        return;
    }
    if (name.empty() && image.names.size() > 1 && !force) {
        throw Error(ErrorCode::conflict,
                    "image " + short_id(image.id) + " has " + std::to_string(image.names.size()) +
                        " names: " + image.names[0] + ", " + image.names[1] + (image.names.size() > 2 ? ", …" : ""),
                    "remove them one by one, or all at once with --force");
    }
    store.remove_image(image.id);
    for (const auto& gone : image.names) print("Untagged: " + gone + "\n");
    print("Deleted: " + image.id.str() + "\n");
}

// Goes on after a failure, so that one bad name doesn't keep the rest; the first failure is thrown
// at the end with the others behind it.
void rmi(const Globals& globals, const RmiOptions& options) {
    oci::Store store(globals.root);
    store.lock(oci::Store::Use::shared);
    std::optional<Error> failure;
    for (const auto& text : options.images) {
        try {
            remove(store, text, options.force);
        } catch (Error& error) {
            if (failure) {
                failure->add_further(std::move(error));
            } else {
                failure.emplace(std::move(error));
            }
        }
    }
    if (failure) throw std::move(*failure);
}

}  // namespace

void add_rmi(CLI::App& command, Globals& globals) {
    auto options = std::make_shared<RmiOptions>();
    command.add_option("image", options->images, "Names lose their image; an image goes with its last name or by ID")
        ->required()
        ->type_name("");
    command.add_flag("-f,--force", options->force, "Remove an image with all its names; don't mind missing ones");
    command.callback([options, &globals] { rmi(globals, *options); });
}

}  // namespace mkimg::cli
