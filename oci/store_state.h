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

// Makes the finished file `name` of `directory` the blob `digest`; empties `name` once it is renamed. Where
// the blob is there already, the file stays where it is.
void publish_blob(Store& store, int directory, std::string& name, const Digest& digest, std::uint64_t size);

// flock(2), through signals.
int flock_retry(int fd, int operation);
// True where `name` still stands for the open file.
bool still_named(int dirfd, const std::string& name, int fd);

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
