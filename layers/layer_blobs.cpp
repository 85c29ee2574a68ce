// The other forms of a layer: its tar and its compressed blobs.
#include <fcntl.h>

#include "base/error.h"
#include "base/read_ahead.h"
#include "layers/apply.h"
#include "layers/layer_store_state.h"
#include "layers/root_metadata.h"
#include "layers/tree_tar.h"

namespace mkimg::layers {
namespace {

// Passes on what it reads, and gives a copy of it to a sink that is chosen after the first bytes:
// what they are decides where they go.
class CopyingSource final : public Source {
  public:
    explicit CopyingSource(Source& inner) : inner_(inner) {}

    std::size_t read(std::span<std::byte> buffer) override {
        const std::size_t n = inner_.read(buffer);
        const auto bytes = std::span<const std::byte>(buffer).first(n);
        if (sink_ != nullptr) {
            sink_->write(bytes);
        } else {
            held_.insert(held_.end(), bytes.begin(), bytes.end());
        }
        return n;
    }

    void copy_to(Sink& sink) {
        sink_ = &sink;
        sink.write(held_);
        held_ = {};
    }

  private:
    Source& inner_;
    Sink* sink_ = nullptr;
    std::vector<std::byte> held_;
};

// Hashes what passes on to a sink that others finish. In the same thread: with SHA instructions
// that is faster than to hand the bytes to another core.
class HashedCopy final : public Sink {
  public:
    explicit HashedCopy(Sink& next) : next_(next) {}
    void write(std::span<const std::byte> bytes) override {
        hash_.update(bytes);
        next_.write(bytes);
    }
    Sha256Bytes digest() { return hash_.finish(); }

  private:
    Sink& next_;
    Sha256 hash_;
};

Error damaged(const Layer& layer, const std::string& why) {
    return {ErrorCode::corrupt, "layer " + layer.chain.str() + " of the store " + why,
            "run mkimg fsck --repair, then build or pull again"};
}

}  // namespace

std::optional<oci::Digest> any_blob(oci::Store& store, const oci::DiffId& diff) {
    std::vector<oci::Digest> found;
    store.db().execute(
        "SELECT digest FROM layer_blobs WHERE diff=?1 ORDER BY CASE format WHEN 'uncompressed' THEN 0 WHEN 'zstd' THEN "
        "1"
        " WHEN 'gzip' THEN 2 ELSE 3 END",
        {diff.str()}, [&](const Row& row) {
            if (const auto digest = oci::Digest::parse(row.text(0))) found.push_back(*digest);
        });
    for (const oci::Digest& digest : found) {
        if (store.has_blob(digest)) return digest;
    }
    return std::nullopt;
}

void write_own_tar(const oci::Store& store, const Layer& layer, Sink& sink) {
    const UniqueFd directory = open_diff(store, layer.chain);
    const bool root_changed = !(RootMetadata::read(directory.get()) == parent_root(store, layer.parent));
    write_tree_tar(directory.get(), sink, {.overlay_marks = true, .root_entry = root_changed});
}

void LayerStore::write_tar(const Layer& layer, Sink& sink) {
    oci::Store& store = state_->store;
    const auto row = load_layer(store.db(), layer.chain);
    if (!row) throw Error(ErrorCode::not_found, "the store lacks layer " + layer.chain.str());
    HashedCopy hash(sink);
    if (row->own) {
        write_own_tar(store, layer, hash);
    } else {
        const auto digest = any_blob(store, layer.diff);
        if (!digest) throw damaged(layer, "was made by another tool and its blob is gone");
        const UniqueFd file = store.open_blob(*digest);
        FdSource bytes(file.get());
        copy(*decompress(bytes), hash);
    }
    if (oci::DiffId(hash.digest()) != layer.diff) throw damaged(layer, "does not match its digest " + layer.diff.str());
}

std::optional<LayerStore::Blob> LayerStore::find_blob(const oci::DiffId& diff, const CompressionSpec& spec) {
    std::optional<Blob> blob;
    state_->store.db().execute("SELECT digest, size FROM layer_blobs WHERE diff=?1 AND format=?2 AND level=?3",
                               {diff.str(), std::string(name_of(spec.format)), std::int64_t{spec.level}},
                               [&](const Row& row) {
                                   if (const auto digest = oci::Digest::parse(row.text(0))) {
                                       blob = Blob{*digest, static_cast<std::uint64_t>(row.integer(1))};
                                   }
                               });
    if (blob && !state_->store.has_blob(blob->digest)) blob.reset();
    return blob;
}

void LayerStore::record_blob(const oci::DiffId& diff, const CompressionSpec& spec, const Blob& blob) {
    state_->store.db().execute(
        "INSERT OR REPLACE INTO layer_blobs(diff, format, level, digest, size) VALUES(?1, ?2, ?3, ?4, ?5)",
        {diff.str(), std::string(name_of(spec.format)), std::int64_t{spec.level}, blob.digest.str(),
         static_cast<std::int64_t>(blob.size)});
}

LayerStore::Blob LayerStore::blob(const Layer& layer, const CompressionSpec& spec,
                                  const oci::Store::BlobWatcher& watcher) {
    if (const auto found = find_blob(layer.diff, spec)) return *found;
    oci::Store::BlobWriter writer(state_->store, watcher);
    const auto compressor = compress(writer, spec, state_->pool);
    write_tar(layer, *compressor);
    compressor->finish();
    const oci::Digest digest = writer.commit();
    const Blob blob{digest, writer.size()};
    record_blob(layer.diff, spec, blob);
    return blob;
}

Layer LayerStore::add(const std::optional<oci::ChainId>& parent, Source& source,
                      const std::optional<oci::DiffId>& expected, const std::optional<Blob>& kept) {
    oci::Store& store = state_->store;
    if (expected) {
        if (auto existing = find(oci::chain_id(parent, *expected))) return *existing;
    }
    oci::WorkDir dir = store.make_work_dir();
    if (::mkdirat(dir.fd(), "diff", 0755) != 0) throw_errno("make a layer directory in the store");
    const UniqueFd directory = open_at(dir.fd(), "diff", O_RDONLY | O_DIRECTORY);
    const auto below = parent ? open_lowers(parent) : std::vector<UniqueFd>();
    parent_root(store, parent).apply(directory.get());

    // The tar of a foreign layer can't be made again from its directory, so a blob of it must stay:
    // the one that the source reads, where it is recorded; else a copy made on the way.
    const bool keep = !kept && (!expected || !any_blob(store, *expected));
    CopyingSource copying(source);
    Compression format = Compression::none;
    const auto plain = decompress(keep ? static_cast<Source&>(copying) : source, &format);
    std::optional<oci::Store::BlobWriter> writer;
    std::unique_ptr<Sink> compressor;
    if (keep) {
        writer.emplace(store);
        if (format == Compression::none) {
            format = Compression::zstd;  // the fastest that is not as large as the directory
            compressor = compress(*writer, {format}, state_->pool);
        }
        copying.copy_to(compressor ? *compressor : static_cast<Sink&>(*writer));
    }
    ReadAhead ahead(*plain);
    HashingSource hashed(ahead);
    const auto lower = descriptors(below);
    const Applied applied = apply_tar(hashed, directory.get(), {.lower = lower});
    const oci::DiffId diff(hashed.digest());
    if (expected && diff != *expected) {
        throw Error(ErrorCode::corrupt, "the layer has the DiffID " + diff.str() + ", expected was " + expected->str());
    }
    if (kept) {
        std::byte more{};
        if (source.read({&more, 1}) != 0) throw Error(ErrorCode::corrupt, "bytes follow the layer's end");
        record_blob(diff, {format}, *kept);
    }
    if (keep) {
        if (compressor) compressor->finish();
        const oci::Digest digest = writer->commit();
        record_blob(diff, {format}, {digest, writer->size()});
    }
    const LayerRow row{
        {oci::chain_id(parent, diff), diff, parent, hashed.size(), applied.entries}, applied.bytes, false, 0};
    return state_->publish(std::move(dir), row);
}

}  // namespace mkimg::layers
