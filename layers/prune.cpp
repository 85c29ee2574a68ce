#include "layers/prune.h"

#include <fcntl.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <set>

#include "base/error.h"
#include "layers/rubbish.h"
#include "layers/usage.h"
#include "oci/origins.h"

namespace mkimg::layers {
namespace {

constexpr std::int64_t week = 7 * 24 * 3600;

struct LayerInfo {
    std::string diff;
    std::string parent;  // empty for the lowest
    bool own = false;
    std::int64_t last_used = 0;
    int children = 0;  // among the layers that stay
};

struct BlobForm {
    std::string diff;
    std::string digest;
};

// What goes is decided first, from records alone; then the records go, then the files. A crash in
// between leaves files that nothing names.
class Pruner {
  public:
    Pruner(oci::Store& store, const PruneOptions& options)
        : store_(store),
          options_(options),
          now_(static_cast<std::int64_t>(std::time(nullptr))),
          cache_cutoff_(now_ - options.older_than.value_or(options.all ? 0 : week)),
          image_cutoff_(now_ - options.older_than.value_or(0)) {}

    Pruned run() {
        load();
        keep_images();
        keep_cache();
        close_over_parents();
        keep_blobs();
        if (options_.max_size) shrink(*options_.max_size);
        find_dead_records();
        if (!options_.dry_run) remove_records();
        remove_files();
        return result_;
    }

  private:
    void load() {
        store_.db().execute("SELECT chain, diff, parent, own, last_used FROM layers", {}, [&](const Row& row) {
            layers_[row.text(0)] = {row.text(1), row.text(2), row.integer(3) != 0, row.integer(4), 0};
        });
        store_.db().execute("SELECT digest, last_used FROM blobs", {},
                            [&](const Row& row) { blobs_[row.text(0)] = row.integer(1); });
        store_.db().execute("SELECT diff, digest FROM layer_blobs", {}, [&](const Row& row) {
            forms_.push_back({row.text(0), row.text(1)});
        });
    }

    void keep_images() {
        for (const oci::Store::Image& image : store_.images()) {
            if (image.names.empty() && image.created <= image_cutoff_) {
                result_.images.push_back(image.id);
                continue;
            }
            const oci::ImageConfig config = read_config(image.id);
            kept_blobs_.insert(image.id.str());
            for (const oci::Digest& manifest : oci::manifests_of(store_, image.id)) {
                kept_blobs_.insert(manifest.str());
            }
            std::optional<oci::ChainId> chain;
            for (const oci::DiffId& diff : config.diff_ids) {
                chain = oci::chain_id(chain, diff);
                of_images_.insert(chain->str());
            }
        }
        kept_layers_ = of_images_;
    }

    oci::ImageConfig read_config(const oci::Digest& id) {
        try {
            return oci::ImageConfig::parse(store_.read_blob(id));
        } catch (const Error& e) {
            throw Error(ErrorCode::corrupt, "image " + id.str() + ": " + e.what(), "run mkimg fsck --repair first");
        }
    }

    void keep_cache() {
        store_.db().execute("SELECT parent, result_chain FROM cache WHERE last_used>?1", {cache_cutoff_},
                            [&](const Row& row) {
                                for (const int column : {0, 1}) {
                                    if (!row.is_null(column)) kept_layers_.insert(row.text(column));
                                }
                            });
        for (const auto& [chain, layer] : layers_) {
            if (layer.last_used > cache_cutoff_) kept_layers_.insert(chain);
        }
    }

    // A layer needs all that are below it; what the store lacks can't be kept.
    void close_over_parents() {
        std::set<std::string> closed;
        for (const std::string& chain : kept_layers_) {
            for (auto at = layers_.find(chain); at != layers_.end(); at = layers_.find(at->second.parent)) {
                if (!closed.insert(at->first).second) break;
            }
        }
        kept_layers_ = std::move(closed);
        for (const std::string& chain : kept_layers_) {
            const auto parent = layers_.find(layers_.at(chain).parent);
            if (parent != layers_.end()) ++parent->second.children;
        }
    }

    void keep_blobs() {
        std::set<std::string> forms;
        for (const BlobForm& form : forms_) forms.insert(form.digest);
        for (const auto& [digest, last_used] : blobs_) {
            // Manifests and configs that a build has read; layers' forms are kept with their layers.
            if (!forms.contains(digest) && last_used > cache_cutoff_) kept_blobs_.insert(digest);
        }
        std::set<std::string> diffs;
        std::set<std::string> foreign;
        for (const std::string& chain : kept_layers_) {
            const LayerInfo& layer = layers_.at(chain);
            diffs.insert(layer.diff);
            if (!layer.own) foreign.insert(layer.diff);
        }
        for (const BlobForm& form : forms_) {
            if (options_.blobs ? foreign.contains(form.diff) : diffs.contains(form.diff))
                kept_blobs_.insert(form.digest);
        }
    }

    std::uint64_t blob_size(const std::string& digest) {
        const auto id = oci::Digest::parse(digest);
        return id ? disk_usage(store_.blobs_fd(), id->hex()) : 0;
    }
    std::uint64_t layer_size(const std::string& chain) {
        const auto id = oci::ChainId::parse(chain);
        return id ? disk_usage(store_.layers_fd(), id->hex()) : 0;
    }

    // Leaves first, the longest unused first, each with its compressed forms.
    void shrink(std::uint64_t limit) {
        std::uint64_t size = disk_usage(store_.fd(), ".");
        const auto release = [&](std::uint64_t bytes) { size -= std::min(size, bytes); };
        for (const auto& [digest, used] : blobs_) {
            if (!kept_blobs_.contains(digest)) release(blob_size(digest));
        }
        for (const auto& [chain, layer] : layers_) {
            if (!kept_layers_.contains(chain)) release(layer_size(chain));
        }
        std::set<std::pair<std::int64_t, std::string>> leaves;
        const auto offer = [&](const std::string& chain) {
            if (layers_.at(chain).children == 0 && !of_images_.contains(chain)) {
                leaves.emplace(layers_.at(chain).last_used, chain);
            }
        };
        for (const std::string& chain : kept_layers_) offer(chain);
        while (size > limit && !leaves.empty()) {
            const std::string chain = leaves.begin()->second;
            leaves.erase(leaves.begin());
            release(layer_size(chain));
            kept_layers_.erase(chain);
            const LayerInfo& layer = layers_.at(chain);
            for (const BlobForm& form : forms_) {
                if (form.diff == layer.diff && !needed_elsewhere(layer.diff) && kept_blobs_.erase(form.digest) != 0) {
                    release(blob_size(form.digest));
                }
            }
            const auto parent = layers_.find(layer.parent);
            if (parent == layers_.end()) continue;
            --parent->second.children;
            offer(parent->first);
        }
    }

    // The same changes may stand on several parents: one DiffID, several ChainIDs.
    bool needed_elsewhere(const std::string& diff) const {
        return std::any_of(kept_layers_.begin(), kept_layers_.end(),
                           [&](const std::string& chain) { return layers_.at(chain).diff == diff; });
    }

    void find_dead_records() {
        store_.db().execute("SELECT key, result_chain, last_used FROM cache", {}, [&](const Row& row) {
            const bool old = row.integer(2) <= cache_cutoff_;
            if (old || (!row.is_null(1) && !kept_layers_.contains(row.text(1)))) dead_records_.push_back(row.text(0));
        });
        result_.cache_records = dead_records_.size();
        store_.db().execute("SELECT DISTINCT chain FROM layer_origins", {}, [&](const Row& row) {
            const bool needed = of_images_.contains(row.text(0)) || kept_layers_.contains(row.text(0));
            if (!needed) dead_origins_.push_back(row.text(0));
        });
    }

    void remove_records() {
        Database& db = store_.db();
        db.transaction([&] {
            for (const oci::Digest& id : result_.images) {
                db.execute("DELETE FROM images WHERE id=?1", {id.str()});
                db.execute("DELETE FROM image_manifests WHERE image=?1", {id.str()});
            }
            for (const std::string& chain : dead_origins_) {
                db.execute("DELETE FROM layer_origins WHERE chain=?1", {chain});
            }
            for (const auto& [chain, layer] : layers_) {
                if (!kept_layers_.contains(chain)) db.execute("DELETE FROM layers WHERE chain=?1", {chain});
            }
            for (const auto& [digest, used] : blobs_) {
                if (kept_blobs_.contains(digest)) continue;
                db.execute("DELETE FROM blobs WHERE digest=?1", {digest});
                db.execute("DELETE FROM layer_blobs WHERE digest=?1", {digest});
            }
            db.execute("DELETE FROM memo WHERE last_used<=?1", {cache_cutoff_});
            for (const std::string& key : dead_records_) db.execute("DELETE FROM cache WHERE key=?1", {key});
            db.script(
                "DELETE FROM unsynced WHERE kind='layer' AND id NOT IN (SELECT chain FROM layers);"
                "DELETE FROM unsynced WHERE kind='blob' AND id NOT IN (SELECT digest FROM blobs)");
        });
    }

    void remove(int dirfd, const std::string& name, std::uint64_t& counter) {
        result_.bytes += disk_usage(dirfd, name);
        ++counter;
        if (!options_.dry_run) remove_tree(dirfd, name);
    }

    void remove_files() {
        for (const auto& [chain, layer] : layers_) {
            const auto id = oci::ChainId::parse(chain);
            if (id && !kept_layers_.contains(chain)) remove(store_.layers_fd(), id->hex(), result_.layers);
        }
        for (const auto& [digest, used] : blobs_) {
            const auto id = oci::Digest::parse(digest);
            if (id && !kept_blobs_.contains(digest)) remove(store_.blobs_fd(), id->hex(), result_.blobs);
        }
        for (const DirEntry& log : list_directory(store_.logs_fd())) {
            struct stat st {};
            const bool there = ::fstatat(store_.logs_fd(), log.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
            if (there && st.st_mtime <= cache_cutoff_) remove(store_.logs_fd(), log.name, result_.logs);
        }
        remove_downloads();
        // What the records named before is dealt with above.
        for (const Rubbish& found : find_rubbish(store_)) {
            if (found.blob ? blobs_.contains("sha256:" + found.name) : layers_.contains("sha256:" + found.name))
                continue;
            remove(found.blob ? store_.blobs_fd() : store_.layers_fd(), found.name, result_.rubbish);
        }
    }

    // Whoever fetches one holds the store's lock too, so these are of transfers that broke.
    void remove_downloads() {
        const int fd = ::openat(store_.fd(), "downloads", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) return;
        const UniqueFd downloads(fd);
        for (const DirEntry& file : list_directory(fd)) remove(fd, file.name, result_.rubbish);
    }

    oci::Store& store_;
    const PruneOptions& options_;
    const std::int64_t now_;
    const std::int64_t cache_cutoff_;
    const std::int64_t image_cutoff_;
    std::map<std::string, LayerInfo> layers_;    // by ChainID
    std::map<std::string, std::int64_t> blobs_;  // digest to last use
    std::vector<BlobForm> forms_;
    std::set<std::string> of_images_;  // ChainIDs that images that stay need
    std::set<std::string> kept_layers_;
    std::set<std::string> kept_blobs_;
    std::vector<std::string> dead_records_;
    std::vector<std::string> dead_origins_;  // ChainIDs
    Pruned result_;
};

}  // namespace

Pruned prune(oci::Store& store, const PruneOptions& options) {
    store.lock(oci::Store::Use::exclusive);
    try {
        Pruned result = Pruner(store, options).run();
        store.lock(oci::Store::Use::shared);
        return result;
    } catch (...) {
        store.lock(oci::Store::Use::shared);
        throw;
    }
}

}  // namespace mkimg::layers
