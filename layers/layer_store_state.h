// What the parts of LayerStore's implementation share. Not for other folders.
#pragma once

#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "layers/layer_store.h"
#include "layers/root_metadata.h"

namespace mkimg::layers {

// A row of the table `layers` with what the interface doesn't show.
struct LayerRow {
    Layer layer;
    std::uint64_t bytes = 0;  // of file contents
    // Made by commit(): its directory gives its tar byte for byte. The tar of a foreign layer was
    // written by other rules and comes from one of its blobs.
    bool own = false;
    std::int64_t last_used = 0;
};
std::optional<LayerRow> load_layer(Database& db, const oci::ChainId& chain);

// layers/<hex>/diff. Throws Error(corrupt) where it is missing.
UniqueFd open_diff(const oci::Store& store, const oci::ChainId& chain);
std::vector<int> descriptors(const std::vector<UniqueFd>& fds);
// The root directory as the layers below this one have it.
RootMetadata parent_root(const oci::Store& store, const std::optional<oci::ChainId>& parent);
// The tar of a layer whose row says `own`, unchecked.
void write_own_tar(const oci::Store& store, const Layer& layer, Sink& sink);
// A recorded form of the layer that is still there, the fastest to read first.
std::optional<oci::Digest> any_blob(oci::Store& store, const oci::DiffId& diff);

struct LayerStore::State {
    State(oci::Store& the_store, ThreadPool& the_pool) : store(the_store), pool(the_pool) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State();

    std::optional<Layer> find(const oci::ChainId& chain);
    // Gives the finished directory its name and its record. Where another process or thread was
    // faster with the same layer: theirs, and ours goes.
    Layer publish(oci::WorkDir dir, const LayerRow& row);
    std::optional<Layer> find_equal(int upper, const LayerRow& row);

    oci::Store& store;
    ThreadPool& pool;
    LayerStore::Provider provider;
    std::mutex mutex;
    // Layers seen complete down to the lowest. They stay, for whoever removes layers holds the
    // store's lock alone.
    std::unordered_map<oci::ChainId, Layer> known;
    std::unordered_set<oci::ChainId> used;  // to be marked in the database at the end
};

}  // namespace mkimg::layers
