// Layers that lie in a registry still, brought when something needs them.
#pragma once

#include <mutex>
#include <vector>

#include "layers/layer_store.h"
#include "oci/origins.h"
#include "registry/fetch.h"
#include "registry/registries.h"
#include "registry/transfer.h"

namespace mkimg::builder {

class RemoteLayers {
  public:
    // All borrowed. Nothing is asked of a registry before fetch().
    RemoteLayers(oci::Store& store, layers::LayerStore& layers, registry::Registries& registries)
        : store_(store), layers_(layers), registries_(registries) {}

    // To be set before the first fetch.
    void set_listener(registry::TransferListener listener) { listener_ = std::move(listener); }

    // Brings the layer and all below it that the store lacks: downloads side by side, each unpacked as it comes,
    // the lowest first. Does nothing where no registry is known to have them. A blob that turns out not to hold
    // the layer is tried from the other places that claim to have it.
    void fetch(const oci::ChainId& top);

    // Blobs that may hold the layer, each with all places that claim to have it; the last seen first.
    struct Candidate {
        oci::LayerOrigin origin;
        std::vector<registry::Repository> sources;
    };
    std::vector<Candidate> candidates(const oci::ChainId& chain);
    // The services for fetching blobs of this store.
    registry::FetchServices services();

  private:
    oci::Store& store_;
    layers::LayerStore& layers_;
    registry::Registries& registries_;
    registry::TransferListener listener_;
    std::mutex mutex_;  // one fetch at a time: the second finds what the first brought
};

}  // namespace mkimg::builder
