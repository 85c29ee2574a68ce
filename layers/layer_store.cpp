#include "layers/layer_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "base/error.h"
#include "base/overlay.h"
#include "layers/layer_store_state.h"
#include "layers/root_metadata.h"
#include "layers/tree_tar.h"

namespace mkimg::layers {
namespace {

constexpr std::int64_t use_granularity = 3600;  // seconds; a build that hits everything writes nothing

std::int64_t now() {
    return static_cast<std::int64_t>(std::time(nullptr));
}

oci::ChainId chain_of(const std::string& text) {
    const auto id = oci::ChainId::parse(text);
    if (!id)
        throw Error(ErrorCode::corrupt, "the store records \"" + text + "\" as a ChainID", "run mkimg fsck --repair");
    return *id;
}

// Overlay's marks have other names inside a user namespace, where those of the outside mean nothing:
// a deleted directory would show again. So a store belongs to one of the two sides.
void check_marks(oci::Store& store) {
    const std::string ours = overlay_uses_user_xattrs() ? "user" : "trusted";
    std::string theirs;
    const auto read = [&] {
        store.db().execute("SELECT value FROM meta WHERE key='overlay'", {},
                           [&](const Row& row) { theirs = row.text(0); });
    };
    read();
    if (theirs.empty()) {
        store.db().execute("INSERT OR IGNORE INTO meta(key, value) VALUES('overlay', ?1)", {ours});
        read();
    }
    if (theirs == ours) return;
    throw Error(ErrorCode::host,
                "the layers of the store " + store.path() + " were written " +
                    (ours == "user" ? "by root of the host and can't be used in a user namespace"
                                    : "in a user namespace and can't be used outside of one"),
                "use it as the user that made it, or another store (--root DIR)");
}

}  // namespace

UniqueFd open_diff(const oci::Store& store, const oci::ChainId& chain) {
    const int fd =
        ::openat(store.layers_fd(), (chain.hex() + "/diff").c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != ENOENT && errno != ENOTDIR) throw_errno("open layer", chain.str());
    throw Error(ErrorCode::corrupt, "the directory of layer " + chain.str() + " is missing from the store",
                "run mkimg fsck --repair, then build or pull again");
}

std::vector<int> descriptors(const std::vector<UniqueFd>& fds) {
    std::vector<int> out;
    out.reserve(fds.size());
    for (const UniqueFd& fd : fds) out.push_back(fd.get());
    return out;
}

RootMetadata parent_root(const oci::Store& store, const std::optional<oci::ChainId>& parent) {
    return parent ? RootMetadata::read(open_diff(store, *parent).get()) : RootMetadata();
}

std::optional<LayerRow> load_layer(Database& db, const oci::ChainId& chain) {
    std::optional<LayerRow> found;
    db.execute("SELECT diff, parent, tar_size, entries, bytes, own, last_used FROM layers WHERE chain=?1",
               {chain.str()}, [&](const Row& row) {
                   const auto diff = oci::DiffId::parse(row.text(0));
                   if (!diff) return;  // fsck reports it
                   LayerRow layer{{chain, *diff, std::nullopt, static_cast<std::uint64_t>(row.integer(2)),
                                   static_cast<std::uint64_t>(row.integer(3))},
                                  static_cast<std::uint64_t>(row.integer(4)),
                                  row.integer(5) != 0,
                                  row.integer(6)};
                   if (!row.is_null(1)) layer.layer.parent = chain_of(row.text(1));
                   found = layer;
               });
    return found;
}

LayerStore::LayerStore(oci::Store& store, ThreadPool& pool) : state_(std::make_unique<State>(store, pool)) {
    check_marks(store);
}
LayerStore::~LayerStore() = default;

LayerStore::State::~State() {
    if (used.empty()) return;
    try {
        store.db().transaction([&] {
            for (const oci::ChainId& chain : used) {
                store.db().execute("UPDATE layers SET last_used=?1 WHERE chain=?2", {now(), chain.str()});
            }
        });
    } catch (const Error&) {  // prune then takes them for older than they are
    }
}

std::optional<Layer> LayerStore::State::find(const oci::ChainId& chain) {
    const std::lock_guard lock(mutex);
    std::vector<LayerRow> fresh;
    std::optional<oci::ChainId> at = chain;
    while (at && !known.contains(*at)) {
        auto row = load_layer(store.db(), *at);
        if (!row) return std::nullopt;
        at = row->layer.parent;
        fresh.push_back(*row);
    }
    for (const LayerRow& row : fresh) {
        if (row.last_used + use_granularity < now()) used.insert(row.layer.chain);
        known.emplace(row.layer.chain, row.layer);
    }
    return known.at(chain);
}

std::optional<Layer> LayerStore::find(const oci::ChainId& chain) {
    return state_->find(chain);
}

void LayerStore::set_provider(Provider provider) {
    state_->provider = std::move(provider);
}

std::vector<Layer> LayerStore::stack(const oci::ChainId& top) {
    if (state_->provider && !find(top)) state_->provider(top);
    std::vector<Layer> layers;
    for (std::optional<oci::ChainId> at = top; at; at = layers.back().parent) {
        const auto layer = find(*at);
        if (!layer)
            throw Error(ErrorCode::not_found, "the store lacks layer " + at->str(), "pull or build its image again");
        layers.push_back(*layer);
    }
    std::reverse(layers.begin(), layers.end());
    return layers;
}

std::vector<UniqueFd> LayerStore::open_lowers(const std::optional<oci::ChainId>& top) {
    std::vector<UniqueFd> lowers;
    if (!top) {
        lowers.push_back(open_at(state_->store.empty_fd(), ".", O_RDONLY | O_DIRECTORY));
        return lowers;
    }
    const auto layers = stack(*top);
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
        lowers.push_back(open_diff(state_->store, layer->chain));
    }
    return lowers;
}

UniqueFd LayerStore::mount_view(const std::optional<oci::ChainId>& top) {
    const auto lowers = open_lowers(top);
    return mount_overlay({.lower = descriptors(lowers)});
}

Snapshot LayerStore::prepare(const std::optional<oci::ChainId>& parent) {
    Snapshot snapshot{parent, state_->store.make_work_dir(), {}, {}, open_lowers(parent)};
    const int dir = snapshot.dir.fd();
    if (::mkdirat(dir, "diff", 0755) != 0 || ::mkdirat(dir, "work", 0700) != 0) {
        throw_errno("make a snapshot in the store");
    }
    snapshot.upper = open_at(dir, "diff", O_RDONLY | O_DIRECTORY);
    snapshot.work = open_at(dir, "work", O_RDONLY | O_DIRECTORY);
    const RootMetadata root = parent ? RootMetadata::read(snapshot.lower.front().get()) : RootMetadata();
    root.apply(snapshot.upper.get());
    return snapshot;
}

std::optional<Layer> LayerStore::commit(Snapshot snapshot, const CommitOptions& options) {
    const int upper = snapshot.upper.get();
    // An entry for the root only where the step changed it: else every layer would have one.
    const RootMetadata before = snapshot.parent ? RootMetadata::read(snapshot.lower.front().get()) : RootMetadata();
    const bool root_changed = !(RootMetadata::read(upper) == before);
    if (!root_changed && list_directory(upper).empty()) return std::nullopt;
    if (options.epoch) clamp_times(upper, *options.epoch);

    HashingSink hash;
    const TreeSummary summary = write_tree_tar(upper, hash, {.overlay_marks = true, .root_entry = root_changed});
    if (summary.entries == 0) return std::nullopt;  // only what no layer can hold, such as a socket
    hash.finish();
    const oci::DiffId diff(hash.digest());
    const LayerRow row{{oci::chain_id(snapshot.parent, diff), diff, snapshot.parent, hash.size(), summary.entries},
                       summary.bytes,
                       true,
                       now()};
    if (auto existing = find(row.layer.chain)) return existing;
    if (options.reuse_equal) {
        if (auto equal = state_->find_equal(upper, row)) return equal;
    }
    remove_tree(snapshot.dir.fd(), "work");
    return state_->publish(std::move(snapshot.dir), row);
}

std::optional<Layer> LayerStore::State::find_equal(int upper, const LayerRow& row) {
    // Newest first, and not all of them: each costs a walk through both trees.
    constexpr std::int64_t most = 8;
    std::vector<oci::ChainId> candidates;
    const auto& parent = row.layer.parent;
    store.db().execute(
        "SELECT chain FROM layers WHERE parent IS ?1 AND entries=?2 AND bytes=?3 AND tar_size=?4 AND own=1"
        " ORDER BY created DESC LIMIT ?5",
        {parent ? SqlValue(parent->str()) : SqlValue(nullptr), static_cast<std::int64_t>(row.layer.entries),
         static_cast<std::int64_t>(row.bytes), static_cast<std::int64_t>(row.layer.tar_size), most},
        [&](const Row& found) { candidates.push_back(chain_of(found.text(0))); });
    for (const oci::ChainId& chain : candidates) {
        try {
            if (same_but_for_times(upper, open_diff(store, chain).get())) return find(chain);
        } catch (const Error& e) {  // a damaged layer is no reason to fail: this one is made anew
            if (e.code() != ErrorCode::corrupt && e.code() != ErrorCode::not_found) throw;
        }
    }
    return std::nullopt;
}

Layer LayerStore::State::publish(oci::WorkDir dir, const LayerRow& row) {
    Database& db = store.db();
    const Layer& layer = row.layer;
    const std::string name = layer.chain.hex();
    // What a crash left at our place goes there, to be removed after the transaction.
    std::optional<oci::WorkDir> rubbish;
    bool moved = false;
    const auto clear_place = [&] {
        if (!rubbish) rubbish = store.make_work_dir();
        if (::renameat(store.layers_fd(), name.c_str(), rubbish->fd(), name.c_str()) != 0 && errno != ENOENT) {
            throw_errno("clear the place of layer", layer.chain.str());
        }
    };
    try {
        // Renamed and recorded under the database's write lock, as blobs are.
        db.transaction([&] {
            if (load_layer(db, layer.chain)) return;
            moved = dir.move_to(store.layers_fd(), name);
            if (!moved) {
                clear_place();
                moved = dir.move_to(store.layers_fd(), name);
                if (!moved)
                    throw Error(ErrorCode::internal, "can't put layer " + layer.chain.str() + " into the store");
            }
            db.execute(
                "INSERT INTO layers(chain, diff, parent, tar_size, entries, bytes, own, created, last_used)"
                " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
                {layer.chain.str(), layer.diff.str(), layer.parent ? SqlValue(layer.parent->str()) : SqlValue(nullptr),
                 static_cast<std::int64_t>(layer.tar_size), static_cast<std::int64_t>(layer.entries),
                 static_cast<std::int64_t>(row.bytes), std::int64_t{row.own}, now()});
            store.mark_unsynced(oci::Store::Kind::layer, layer.chain.str());
        });
    } catch (const Error&) {
        if (moved) {
            db.transaction([&] {
                if (!load_layer(db, layer.chain)) clear_place();
            });
        }
        throw;
    }
    const auto published = find(layer.chain);
    if (!published) throw Error(ErrorCode::conflict, "a layer below " + layer.chain.str() + " has gone from the store");
    return *published;
}

}  // namespace mkimg::layers
