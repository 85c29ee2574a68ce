// What the parts of Store's implementation share. Not for other folders.
#pragma once

#include <string>

#include "base/fd.h"
#include "oci/store.h"

namespace mkimg::oci {

// Makes or checks the tables. Throws Error(unsupported) where a newer mkimg wrote them.
void open_schema(Database& db, const std::string& path);
// After a restart of the machine: forgets what was recorded and never synced.
void drop_lost_records(Database& db);
// Removes what killed processes left in tmp/.
void remove_orphans(int tmp);

// A new entry of tmp/ with a random name, flock'ed by us: others leave it alone while we live.
struct TemporaryEntry {
    std::string name;
    UniqueFd fd;
};
TemporaryEntry make_temporary_file(int tmp);
TemporaryEntry make_temporary_directory(int tmp);

std::int64_t now_seconds();

struct Store::State {
    explicit State(const std::string& root);

    std::string path;
    UniqueFd root;
    UniqueFd blobs;
    UniqueFd layers;
    UniqueFd logs;
    UniqueFd tmp;
    UniqueFd empty;
    UniqueFd lock_file;
    std::unique_ptr<Database> db;
};

}  // namespace mkimg::oci
