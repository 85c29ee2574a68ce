// Images: names that point at configs.
#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "oci/store_state.h"

namespace mkimg::oci {
namespace {

constexpr std::size_t shortest_prefix = 4;

void insert_image(Store& store, const Digest& id) {
    if (!store.has_blob(id)) {
        throw Error(ErrorCode::not_found, "the store has no image config " + id.str(), "build or pull the image again");
    }
    store.db().execute("INSERT OR IGNORE INTO images(id, created) VALUES(?1, ?2)", {id.str(), now_seconds()});
}

std::optional<std::string> image_of_name(Database& db, const std::string& name) {
    std::optional<std::string> id;
    db.execute("SELECT image FROM names WHERE name=?1", {name}, [&](const Row& row) { id = row.text(0); });
    return id;
}

// Full IDs that begin with the text; two are enough to know that it is ambiguous.
std::vector<std::string> images_of_prefix(Database& db, std::string_view text) {
    if (text.starts_with("sha256:")) text.remove_prefix(7);
    std::vector<std::string> ids;
    const bool hex =
        std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (!hex || text.size() < shortest_prefix) return ids;
    const std::string low = "sha256:" + std::string(text);
    db.execute("SELECT id FROM images WHERE id>=?1 AND id<?2 LIMIT 2", {low, low + "g"},
               [&](const Row& row) { ids.push_back(row.text(0)); });
    return ids;
}

Digest checked(const std::string& text) {
    const auto id = Digest::parse(text);
    if (!id)
        throw Error(ErrorCode::corrupt, "the store records \"" + text + "\" as an image ID", "run mkimg fsck --repair");
    return *id;
}

std::string key(const Reference& name) {
    if (name.tag.empty() || name.digest) {
        throw Error(ErrorCode::usage,
                    "\"" + name.familiar() + "\" has a digest and can't be given to an image as its name",
                    "use name:tag");
    }
    return name.familiar();
}

}  // namespace

void Store::check_new_name(const Reference& name) {
    if (name.digest) {
        throw Error(ErrorCode::usage, name.familiar() + ": a name with a digest can't be given to an image",
                    "leave out what follows @");
    }
    if (name.registry == "docker.io" && name.repository == "library/scratch") {
        throw Error(ErrorCode::usage, "scratch is reserved: FROM takes it for the empty image", "choose another name");
    }
}

void Store::tag(const Reference& name, const Digest& id) {
    check_new_name(name);
    const std::string text = key(name);
    if (image_of_name(db(), text) == id.str()) return;
    // A name that outlives a power loss must not lead to an image that doesn't.
    sync();
    db().transaction(
        [&] {
            insert_image(*this, id);
            db().execute("INSERT INTO names(name, image) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET image=?2",
                         {text, id.str()});
        },
        Database::Durability::synced);
}

void Store::add_image(const Digest& id) {
    db().transaction([&] { insert_image(*this, id); });
}

std::optional<std::string> Store::nearest_name(std::string_view name) {
    std::vector<std::string> names;
    for (const Image& image : images()) {
        for (const std::string& known : image.names) {
            names.push_back(known);
            // Who leaves out ":latest" is to be compared without it.
            if (known.ends_with(":latest")) names.push_back(known.substr(0, known.rfind(':')));
        }
    }
    return nearest(name, names);
}

std::vector<Store::Image> Store::images() {
    std::vector<Image> out;
    db().execute(
        "SELECT id, created, name FROM images LEFT JOIN names ON names.image=images.id ORDER BY created DESC, id, name",
        {}, [&](const Row& row) {
            const Digest id = checked(row.text(0));
            if (out.empty() || out.back().id != id) out.push_back({id, {}, row.integer(1)});
            if (!row.is_null(2)) out.back().names.push_back(row.text(2));
        });
    return out;
}

std::optional<Store::Image> Store::find_image(std::string_view name_or_id) {
    std::optional<std::string> found;
    if (!Digest::parse(name_or_id)) {
        try {
            const Reference name = Reference::parse(name_or_id);
            if (!name.digest) found = image_of_name(db(), name.familiar());
        } catch (const Error&) {  // no name, but it may be an ID
        }
    }
    if (!found) {
        const auto ids = images_of_prefix(db(), name_or_id);
        if (ids.size() > 1) {
            throw Error(ErrorCode::conflict, "\"" + std::string(name_or_id) + "\" begins the IDs of several images",
                        "give more digits of the ID; mkimg images lists them");
        }
        if (ids.empty()) return std::nullopt;
        found = ids.front();
    }
    Image image{checked(*found), {}, 0};
    db().execute("SELECT created, name FROM images LEFT JOIN names ON names.image=images.id WHERE id=?1 ORDER BY name",
                 {*found}, [&](const Row& row) {
                     image.created = row.integer(0);
                     if (!row.is_null(1)) image.names.push_back(row.text(1));
                 });
    return image;
}

bool Store::untag(const Reference& name) {
    bool removed = false;
    db().transaction([&] {
        db().execute("DELETE FROM names WHERE name=?1", {key(name)});
        removed = db().changes() > 0;
    });
    return removed;
}

void Store::remove_image(const Digest& id) {
    db().transaction([&] {
        db().execute("DELETE FROM names WHERE image=?1", {id.str()});
        db().execute("DELETE FROM image_manifests WHERE image=?1", {id.str()});
        db().execute("DELETE FROM images WHERE id=?1", {id.str()});
    });
}

}  // namespace mkimg::oci
