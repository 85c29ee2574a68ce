// The tables of mkimg.db, and what a restart of the machine does to them. Ids are stored as
// "sha256:<hex>", times as unix seconds. docs/store.md describes every table.
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/text.h"
#include "oci/store_state.h"

namespace mkimg::oci {
namespace {

constexpr std::int64_t schema_version = 3;

constexpr const char* schema = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE blobs(digest TEXT PRIMARY KEY, size INTEGER NOT NULL, last_used INTEGER NOT NULL);

CREATE TABLE images(id TEXT PRIMARY KEY, created INTEGER NOT NULL);
CREATE TABLE names(name TEXT PRIMARY KEY, image TEXT NOT NULL);
CREATE INDEX names_of_image ON names(image);

CREATE TABLE layers(chain TEXT PRIMARY KEY, diff TEXT NOT NULL, parent TEXT, tar_size INTEGER NOT NULL,
                    entries INTEGER NOT NULL, bytes INTEGER NOT NULL, own INTEGER NOT NULL, created INTEGER NOT NULL,
                    last_used INTEGER NOT NULL);
CREATE INDEX layers_of_parent ON layers(parent, entries, bytes);

CREATE TABLE layer_blobs(diff TEXT NOT NULL, format TEXT NOT NULL, level INTEGER NOT NULL, digest TEXT NOT NULL,
                         size INTEGER NOT NULL, PRIMARY KEY(diff, format, level)) WITHOUT ROWID;

CREATE TABLE cache(key TEXT PRIMARY KEY, parent TEXT, definition TEXT, result_chain TEXT, fields BLOB,
                   created INTEGER NOT NULL, last_used INTEGER NOT NULL);
CREATE INDEX cache_of_parent ON cache(parent);
CREATE INDEX cache_of_definition ON cache(definition);

CREATE TABLE memo(kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, last_used INTEGER NOT NULL,
                  PRIMARY KEY(kind, key)) WITHOUT ROWID;

CREATE TABLE unsynced(kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY(kind, id)) WITHOUT ROWID;
)sql";

// What version 2 added: images whose layers lie in a registry still.
constexpr const char* schema_2 = R"sql(
CREATE TABLE image_manifests(image TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY(image, digest)) WITHOUT ROWID;
CREATE INDEX images_of_manifest ON image_manifests(digest);

CREATE TABLE layer_origins(chain TEXT NOT NULL, diff TEXT NOT NULL, parent TEXT, digest TEXT NOT NULL, size INTEGER NOT NULL,
                           media_type TEXT NOT NULL, registry TEXT NOT NULL, repository TEXT NOT NULL, seen INTEGER NOT NULL,
                           PRIMARY KEY(chain, digest, registry, repository)) WITHOUT ROWID;
CREATE INDEX origins_of_blob ON layer_origins(digest, registry);
)sql";

// What version 3 added: which manifest of an image was the last to come, by a number that grows.
constexpr const char* schema_3 = "ALTER TABLE image_manifests ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;";

std::int64_t version_of(Database& db) {
    std::int64_t version = 0;
    db.execute("PRAGMA user_version", {}, [&](const Row& row) { version = row.integer(0); });
    return version;
}

// Names this run of the machine; empty where the host hides it, and then lost records are left to fsck.
std::string boot_id() {
    try {
        return std::string(trim(read_file("/proc/sys/kernel/random/boot_id", 128)));
    } catch (const Error&) {
        return {};
    }
}

std::string recorded_boot(Database& db) {
    std::string boot;
    db.execute("SELECT value FROM meta WHERE key='boot'", {}, [&](const Row& row) { boot = row.text(0); });
    return boot;
}

}  // namespace

void open_schema(Database& db, const std::string& path) {
    if (version_of(db) < schema_version) {
        db.transaction([&] {
            const std::int64_t found = version_of(db);  // another process may have been faster
            if (found == 0) db.script(schema);
            if (found < 2) db.script(schema_2);
            if (found < 3) db.script(schema_3);
            if (found < schema_version) db.script("PRAGMA user_version=" + std::to_string(schema_version));
        });
    }
    const std::int64_t version = version_of(db);
    if (version != schema_version) {
        throw Error(ErrorCode::unsupported,
                    "the store " + path + " has format " + std::to_string(version) + ", this mkimg knows " +
                        std::to_string(schema_version),
                    "use the newer mkimg that wrote it, or another store (--root DIR)");
    }
}

void drop_lost_records(Database& db) {
    const std::string boot = boot_id();
    if (boot.empty() || recorded_boot(db) == boot) return;
    db.transaction([&] {
        if (recorded_boot(db) == boot) return;
        bool any = false;
        db.execute("SELECT 1 FROM unsynced LIMIT 1", {}, [&](const Row&) { any = true; });
        if (any) {
            db.script(R"sql(
DELETE FROM layers WHERE chain IN (SELECT id FROM unsynced WHERE kind='layer');
DELETE FROM blobs WHERE digest IN (SELECT id FROM unsynced WHERE kind='blob');
DELETE FROM layer_blobs WHERE digest NOT IN (SELECT digest FROM blobs);
DELETE FROM images WHERE id NOT IN (SELECT digest FROM blobs);
DELETE FROM image_manifests WHERE digest NOT IN (SELECT digest FROM blobs);
DELETE FROM names WHERE image NOT IN (SELECT id FROM images);
DELETE FROM cache WHERE result_chain IS NOT NULL AND result_chain NOT IN (SELECT chain FROM layers);
DELETE FROM unsynced;
)sql");
        }
        db.execute("INSERT INTO meta(key, value) VALUES('boot', ?1) ON CONFLICT(key) DO UPDATE SET value=?1", {boot});
    });
}

void Store::mark_unsynced(Kind kind, const std::string& id) {
    db().execute("INSERT OR IGNORE INTO unsynced(kind, id) VALUES(?1, ?2)",
                 {std::string(kind == Kind::layer ? "layer" : "blob"), id});
}

void Store::sync() {
    std::vector<std::pair<std::string, std::string>> recorded;
    db().execute("SELECT kind, id FROM unsynced", {},
                 [&](const Row& row) { recorded.emplace_back(row.text(0), row.text(1)); });
    if (recorded.empty()) return;
    if (::syncfs(fd()) != 0) throw_errno("write the store to disk (syncfs)", path());
    // Only what was read above: another process may have recorded more while the disk was busy.
    db().transaction(
        [&] {
            for (const auto& [kind, id] : recorded) {
                db().execute("DELETE FROM unsynced WHERE kind=?1 AND id=?2", {kind, id});
            }
        },
        Database::Durability::synced);
    db().trim_log();
}

}  // namespace mkimg::oci
