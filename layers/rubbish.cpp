#include "layers/rubbish.h"

#include <set>

namespace mkimg::layers {

std::vector<Rubbish> find_rubbish(oci::Store& store) {
    std::vector<Rubbish> found;
    const auto compare = [&](bool blob, int directory, const char* sql) {
        // The names first: a record that appears meanwhile then stands for a name not seen.
        const auto entries = list_directory(directory);
        std::set<std::string> recorded;
        store.db().execute(sql, {}, [&](const Row& row) { recorded.insert(row.text(0)); });
        for (const DirEntry& entry : entries) {
            if (!recorded.contains("sha256:" + entry.name)) found.push_back({blob, entry.name});
        }
    };
    compare(true, store.blobs_fd(), "SELECT digest FROM blobs");
    compare(false, store.layers_fd(), "SELECT chain FROM layers");
    return found;
}

}  // namespace mkimg::layers
