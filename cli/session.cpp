#include "cli/session.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/user_namespace.h"

namespace mkimg::cli {
namespace {

// Commands without a handler for signals are ended by them.
const Cancellation& never_cancelled() {
    static const Cancellation cancel;
    return cancel;
}

}  // namespace

Session::Entered::Entered() {
    sandbox::enter_user_namespace();
}

Session::Session(const Globals& globals) : Session(globals, {}, never_cancelled()) {}

Session::Session(const Globals& globals, const registry::RegistryConfig::Options& options, const Cancellation& cancel,
                 Network network)
    : loading_(network == Network::always ? registry::preload() : std::future<void>()),
      store(globals.root),
      layers(store, pool),
      registries(options, cancel),
      remote(store, layers, registries) {
    store.lock(oci::Store::Use::shared);
    layers.set_provider([this](const oci::ChainId& top) { remote.fetch(top); });
}

oci::Store::Image require_image(oci::Store& store, std::string_view name_or_id) {
    if (auto image = store.find_image(name_or_id)) return std::move(*image);
    const auto near = store.nearest_name(name_or_id);
    throw Error(ErrorCode::not_found,
                "the store has no image " + std::string(name_or_id) + (near ? "; did you mean " + *near + "?" : ""),
                "mkimg images lists what there is");
}

void bring_layers(Session& session, const oci::Digest& image) {
    const auto config = oci::ImageConfig::parse(session.store.read_blob(image));
    if (const auto top = oci::chain_id(config.diff_ids)) session.layers.stack(*top);
}

std::string name_used(const std::string& text, const oci::Store::Image& image) {
    try {
        std::string name = oci::Reference::parse(text).familiar();
        return std::find(image.names.begin(), image.names.end(), name) != image.names.end() ? name : std::string();
    } catch (const Error&) {
        return {};  // "sha256:…" is no name
    }
}

std::string short_id(const oci::Digest& id) {
    return id.hex().substr(0, 12);
}

}  // namespace mkimg::cli
