// The store as the commands open it.
#pragma once

#include <future>
#include <string_view>

#include "base/cancel.h"
#include "base/thread_pool.h"
#include "builder/remote_layers.h"
#include "cli/command.h"
#include "layers/layer_store.h"
#include "oci/store.h"
#include "registry/registries.h"

namespace mkimg::cli {

// For commands that read or write layers: enters the user namespace where mkimg is not root, so that
// owners are the image's, before the store is opened and before any thread starts.
class Session {
  public:
    explicit Session(const Globals& globals);
    // For commands that talk to registries, some of them each time; `cancel` is borrowed.
    enum class Network { perhaps, always };
    Session(const Globals& globals, const registry::RegistryConfig::Options& options, const Cancellation& cancel,
            Network network = Network::perhaps);

  private:
    struct Entered {
        Entered();
    } entered_;
    std::future<void> loading_;

  public:
    oci::Store store;
    ThreadPool pool;
    layers::LayerStore layers;
    registry::Registries registries;
    builder::RemoteLayers remote;  // brings layers that are not here yet to whoever needs them
};

// The image a user named. Throws Error(not_found) that offers the nearest name the store has.
oci::Store::Image require_image(oci::Store& store, std::string_view name_or_id);

// Fetches the layers of the image that lie in a registry still, as pull does; `session` knows whom to tell.
void bring_layers(Session& session, const oci::Digest& image);

// The familiar name by which `text` means `image`; empty where it was told by its ID.
std::string name_used(const std::string& text, const oci::Store::Image& image);

// "3f5a1b2c4d6e": as much of an ID as people read.
std::string short_id(const oci::Digest& id);

}  // namespace mkimg::cli
