#include "layers/fsck.h"

#include <fcntl.h>

#include <functional>
#include <future>
#include <map>
#include <set>

#include "base/error.h"
#include "layers/layer_verify.h"
#include "layers/rubbish.h"
#include "oci/origins.h"

namespace mkimg::layers {
namespace {

using Kind = Finding::Kind;

class Fsck {
  public:
    Fsck(oci::Store& store, ThreadPool& pool, bool repair) : store_(store), pool_(pool), repair_(repair) {}

    std::vector<Finding> run() {
        check_database();
        check_blobs();
        check_layers();
        check_forms();
        check_images();
        check_cache();
        check_rubbish();
        return std::move(findings_);
    }

  private:
    Finding& add(Kind kind, std::string subject, std::string what) {
        findings_.push_back({kind, std::move(subject), std::move(what), repair_});
        return findings_.back();
    }

    void check_database() {
        store_.db().execute("PRAGMA integrity_check(10)", {}, [&](const Row& row) {
            const std::string text = row.text(0);
            if (text != "ok") add(Kind::damage, "database", text).repaired = false;
        });
    }

    // Runs `check` for each on the pool; it answers what is wrong, or nothing. What can't be checked now, for want of
    // space, is not broken for that.
    template <typename Item>
    std::vector<std::pair<Item, std::string>> verify(const std::vector<Item>& items,
                                                     const std::function<std::string(const Item&)>& check) {
        std::vector<std::future<std::string>> answers;
        answers.reserve(items.size());
        for (const Item& item : items) {
            answers.push_back(pool_.submit([&check, &item] {
                try {
                    return check(item);
                } catch (const Error& e) {
                    if (e.code() == ErrorCode::unavailable) throw;
                    return std::string(e.what());
                }
            }));
        }
        std::vector<std::pair<Item, std::string>> bad;
        // All are waited for first: an exception must not leave tasks behind that use our variables.
        for (const auto& answer : answers) answer.wait();
        for (std::size_t i = 0; i < items.size(); ++i) {
            std::string what = answers[i].get();
            if (!what.empty()) bad.emplace_back(items[i], std::move(what));
        }
        return bad;
    }

    void check_blobs() {
        std::vector<std::string> digests;
        store_.db().execute("SELECT digest FROM blobs", {}, [&](const Row& row) { digests.push_back(row.text(0)); });
        const auto bad =
            verify<std::string>(digests, [&](const std::string& digest) { return verify_blob(store_, digest); });
        for (const auto& [digest, what] : bad) {
            add(Kind::damage, "blob " + digest, what);
            if (repair_) drop_blob(digest);
        }
        for (const std::string& digest : digests) blobs_.insert(digest);
        for (const auto& [digest, what] : bad) blobs_.erase(digest);
    }

    // Its forms are left to check_forms(), which names them.
    void drop_blob(const std::string& digest) {
        store_.db().execute("DELETE FROM blobs WHERE digest=?1", {digest});
        if (const auto id = oci::Digest::parse(digest)) remove_tree(store_.blobs_fd(), id->hex());
    }

    void check_layers() {
        std::vector<std::string> chains;
        store_.db().execute("SELECT chain FROM layers", {}, [&](const Row& row) { chains.push_back(row.text(0)); });
        std::map<std::string, std::string> bad;
        const auto answers =
            verify<std::string>(chains, [&](const std::string& chain) { return verify_layer(store_, chain); });
        for (const auto& [chain, what] : answers) bad.emplace(chain, what);
        // A layer on a broken one can't be used either, and the next build will put others there.
        for (const std::string& chain : chains) {
            if (!bad.contains(chain)) layers_.insert(chain);
        }
        for (bool more = true; more;) {
            more = false;
            for (const auto& [chain, parent] : parents()) {
                if (parent.empty() || !layers_.contains(chain) || layers_.contains(parent)) continue;
                bad.emplace(chain, "stands on layer " + parent + ", which is missing or broken");
                layers_.erase(chain);
                more = true;
            }
        }
        for (const auto& [chain, what] : bad) {
            add(Kind::damage, "layer " + chain, what);
            if (!repair_) continue;
            store_.db().execute("DELETE FROM layers WHERE chain=?1", {chain});
            if (const auto id = oci::ChainId::parse(chain)) remove_tree(store_.layers_fd(), id->hex());
        }
    }

    std::map<std::string, std::string> parents() {
        std::map<std::string, std::string> out;
        store_.db().execute("SELECT chain, parent FROM layers", {},
                            [&](const Row& row) { out.emplace(row.text(0), row.text(1)); });
        return out;
    }

    void check_forms() {
        std::vector<std::pair<std::string, std::string>> dangling;
        store_.db().execute("SELECT diff, digest FROM layer_blobs", {}, [&](const Row& row) {
            if (!blobs_.contains(row.text(1))) dangling.emplace_back(row.text(0), row.text(1));
        });
        for (const auto& [diff, digest] : dangling) {
            add(Kind::dangling, "compressed form of " + diff, "its blob " + digest + " is missing or broken");
            if (repair_) store_.db().execute("DELETE FROM layer_blobs WHERE diff=?1 AND digest=?2", {diff, digest});
        }
    }

    void check_images() {
        std::vector<std::string> ids;
        store_.db().execute("SELECT id FROM images", {}, [&](const Row& row) { ids.push_back(row.text(0)); });
        std::set<std::string> whole;
        for (const std::string& id : ids) {
            const std::string what = image_fault(id);
            if (what.empty()) {
                whole.insert(id);
                continue;
            }
            add(Kind::damage, "image " + id, what);
            if (repair_) store_.db().execute("DELETE FROM images WHERE id=?1", {id});
        }
        std::vector<std::pair<std::string, std::string>> lost;
        store_.db().execute("SELECT name, image FROM names", {}, [&](const Row& row) {
            if (!whole.contains(row.text(1))) lost.emplace_back(row.text(0), row.text(1));
        });
        for (const auto& [name, image] : lost) {
            add(Kind::dangling, "name " + name, "image " + image + " is missing or broken");
            if (repair_) store_.db().execute("DELETE FROM names WHERE name=?1", {name});
        }
    }

    std::string image_fault(const std::string& text) {
        const auto id = oci::Digest::parse(text);
        if (!id) return "is no SHA-256 digest";
        if (!blobs_.contains(text)) return "its config is missing or broken";
        try {
            const auto config = oci::ImageConfig::parse(store_.read_blob(*id));
            std::optional<oci::ChainId> chain;
            for (const oci::DiffId& diff : config.diff_ids) {
                chain = oci::chain_id(chain, diff);
                // A layer that a registry has still is fetched when it is needed.
                if (layers_.contains(chain->str()) || !oci::origins_of(store_, *chain).empty()) continue;
                return "its layer " + chain->str() + " is missing or broken";
            }
        } catch (const Error& e) {
            return e.what();
        }
        return {};
    }

    void check_cache() {
        std::vector<std::string> keys;
        store_.db().execute("SELECT key, result_chain FROM cache WHERE result_chain IS NOT NULL", {},
                            [&](const Row& row) {
                                if (!layers_.contains(row.text(1))) keys.push_back(row.text(0));
                            });
        for (const std::string& key : keys) {
            add(Kind::dangling, "cache record " + key, "its layer is missing or broken");
            if (repair_) store_.db().execute("DELETE FROM cache WHERE key=?1", {key});
        }
    }

    void check_rubbish() {
        for (const Rubbish& found : find_rubbish(store_)) {
            add(Kind::rubbish, (found.blob ? "blobs/sha256/" : "layers/") + found.name, "no record names it");
            if (repair_) remove_tree(found.blob ? store_.blobs_fd() : store_.layers_fd(), found.name);
        }
    }

    oci::Store& store_;
    ThreadPool& pool_;
    const bool repair_;
    std::set<std::string> blobs_;   // whole ones
    std::set<std::string> layers_;  // whole ones, down to the lowest
    std::vector<Finding> findings_;
};

}  // namespace

std::string_view name_of(Finding::Kind kind) noexcept {
    switch (kind) {
        case Kind::damage: return "damage";
        case Kind::dangling: return "dangling";
        case Kind::rubbish: return "rubbish";
    }
    return "damage";
}

std::vector<Finding> fsck(oci::Store& store, ThreadPool& pool, const FsckOptions& options) {
    if (!options.repair) return Fsck(store, pool, false).run();
    store.lock(oci::Store::Use::exclusive);
    try {
        auto findings = Fsck(store, pool, true).run();
        store.lock(oci::Store::Use::shared);
        return findings;
    } catch (...) {
        store.lock(oci::Store::Use::shared);
        throw;
    }
}

}  // namespace mkimg::layers
