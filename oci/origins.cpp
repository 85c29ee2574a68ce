#include "oci/origins.h"

#include "base/error.h"
#include "oci/store_state.h"

namespace mkimg::oci {
namespace {

template <typename Id>
Id id_of(const std::string& text) {
    const auto id = Id::parse(text);
    if (!id) throw Error(ErrorCode::corrupt, "the store has a record of " + text, "run mkimg fsck --repair");
    return *id;
}

std::vector<Digest> digests(Store& store, const char* sql, const Digest& of) {
    std::vector<Digest> found;
    store.db().execute(sql, {of.str()}, [&](const Row& row) { found.push_back(id_of<Digest>(row.text(0))); });
    return found;
}

}  // namespace

void record_origin(Store& store, const LayerOrigin& origin) {
    store.db().execute(
        "INSERT OR REPLACE INTO layer_origins(chain, diff, parent, digest, size, media_type, registry, repository, "
        "seen)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        {origin.chain.str(), origin.diff.str(), origin.parent ? SqlValue(origin.parent->str()) : SqlValue(nullptr),
         origin.blob.digest.str(), static_cast<std::int64_t>(origin.blob.size), origin.blob.media_type, origin.registry,
         origin.repository, now_seconds()});
}

void forget_origin(Store& store, const LayerOrigin& origin) {
    store.db().execute("DELETE FROM layer_origins WHERE chain=?1 AND digest=?2 AND registry=?3 AND repository=?4",
                       {origin.chain.str(), origin.blob.digest.str(), origin.registry, origin.repository});
}

std::vector<LayerOrigin> origins_of(Store& store, const ChainId& chain) {
    std::vector<LayerOrigin> found;
    store.db().execute(
        "SELECT diff, parent, digest, size, media_type, registry, repository FROM layer_origins WHERE chain=?1"
        " ORDER BY seen DESC, registry, repository",
        {chain.str()}, [&](const Row& row) {
            found.push_back(
                {chain,
                 id_of<DiffId>(row.text(0)),
                 row.is_null(1) ? std::nullopt : std::optional(id_of<ChainId>(row.text(1))),
                 {row.text(4), id_of<Digest>(row.text(2)), static_cast<std::uint64_t>(row.integer(3)), {}, {}},
                 row.text(5),
                 row.text(6)});
        });
    return found;
}

std::vector<std::string> repositories_with(Store& store, const Digest& blob, const std::string& registry) {
    std::vector<std::string> found;
    store.db().execute(
        "SELECT repository FROM layer_origins WHERE digest=?1 AND registry=?2 GROUP BY repository ORDER BY MAX(seen) "
        "DESC",
        {blob.str(), registry}, [&](const Row& row) { found.push_back(row.text(0)); });
    return found;
}

void record_manifest(Store& store, const Digest& image, const Digest& manifest) {
    store.db().execute(
        "INSERT OR REPLACE INTO image_manifests(image, digest, seen)"
        " SELECT ?1, ?2, COALESCE(MAX(seen), 0) + 1 FROM image_manifests WHERE image=?1",
        {image.str(), manifest.str()});
}

std::vector<Digest> manifests_of(Store& store, const Digest& image) {
    return digests(store, "SELECT digest FROM image_manifests WHERE image=?1 ORDER BY seen DESC", image);
}

std::vector<Digest> images_of_manifest(Store& store, const Digest& manifest) {
    return digests(store, "SELECT image FROM image_manifests WHERE digest=?1", manifest);
}

}  // namespace mkimg::oci
