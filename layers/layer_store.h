// Layers by ChainID: unpacked directories for overlay, compressed blobs for outputs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "layers/compression.h"
#include "oci/store.h"

namespace mkimg::layers {

struct Layer {
    oci::ChainId chain;
    oci::DiffId diff;
    std::optional<oci::ChainId> parent;
    std::uint64_t tar_size = 0;  // of the uncompressed tar, bytes
    std::uint64_t entries = 0;
};

// What a step writes into: upper/ and work/ in a work directory of the store, over the layers of
// the parent. upper/ has the mode and owner of the parent's root.
struct Snapshot {
    std::optional<oci::ChainId> parent;
    oci::WorkDir dir;
    UniqueFd upper;
    UniqueFd work;
    std::vector<UniqueFd> lower;  // topmost first; the store's empty directory where there is no layer
};

struct CommitOptions {
    std::optional<std::int64_t> epoch;
    // Early cut-off: take an existing layer on the same parent that is the same but for mtimes.
    bool reuse_equal = true;
};

class LayerStore {
  public:
    LayerStore(oci::Store& store, ThreadPool& pool);
    LayerStore(const LayerStore&) = delete;
    LayerStore& operator=(const LayerStore&) = delete;
    ~LayerStore();

    // Brings a layer that the store knows of and does not have, with all below it, from wherever it lies; does
    // nothing where it knows of no such place. Called by whatever needs the layer itself, in any thread;
    // find() never does. To be set before the first use.
    using Provider = std::function<void(const oci::ChainId& top)>;
    void set_provider(Provider provider);

    // Marks the layer as used now. Nothing where the store lacks it (or lacks one below it).
    std::optional<Layer> find(const oci::ChainId& chain);
    std::vector<Layer> stack(const oci::ChainId& top);  // lowest first; throws Error(not_found)

    Snapshot prepare(const std::optional<oci::ChainId>& parent);
    // A snapshot's upper directory becomes a layer; nothing where it changed nothing. One pass over
    // the files; two processes that commit the same layer at once end with one.
    std::optional<Layer> commit(Snapshot snapshot, const CommitOptions& options);
    // Unpacks a layer tar (plain or compressed) onto `parent`. Where `expected` is given and the
    // DiffID differs: Error(corrupt), and nothing of it stays. The layer may exist already: then the
    // source is not read where `expected` is given. Unless a blob of the layer is recorded already
    // (record_blob), one is kept: the source's own bytes where they are compressed. Where the caller has
    // the source's bytes put into the store as `kept` by the time the source ends, that blob is it.
    struct Blob {
        oci::Digest digest;
        std::uint64_t size;
    };
    Layer add(const std::optional<oci::ChainId>& parent, Source& source, const std::optional<oci::DiffId>& expected,
              const std::optional<Blob>& kept = std::nullopt);

    // Directories for overlay, topmost first.
    std::vector<UniqueFd> open_lowers(const std::optional<oci::ChainId>& top);
    // A detached read-only mount of the merged tree; close it to be rid of it.
    UniqueFd mount_view(const std::optional<oci::ChainId>& top);

    // The layer's tar, byte for byte: its digest is checked against the DiffID at the end. Does not
    // finish the sink. A layer made by commit() is written from its directory, one made by add()
    // from its blob, for only that has the bytes of the tool that made it.
    void write_tar(const Layer& layer, Sink& sink);
    // The layer as a blob in the store; made where it is missing, kept, found again by (DiffID,
    // format, level). `watcher` sees it grow where it had to be made.
    Blob blob(const Layer& layer, const CompressionSpec& spec, const oci::Store::BlobWatcher& watcher = {});
    std::optional<Blob> find_blob(const oci::DiffId& diff, const CompressionSpec& spec);
    // A foreign compressed form of a layer (from a pull or load) that is in the blob store already.
    void record_blob(const oci::DiffId& diff, const CompressionSpec& spec, const Blob& blob);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mkimg::layers
