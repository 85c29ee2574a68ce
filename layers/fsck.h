// Verifies a store: every digest, every record, every file.
#pragma once

#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "oci/store.h"

namespace mkimg::layers {

struct Finding {
    enum class Kind {
        damage,    // content that is not what its digest says, or that is missing
        dangling,  // a record that leads nowhere
        rubbish,   // a file without a record, as a killed build leaves it: harmless
    };
    Kind kind = Kind::damage;
    std::string subject;  // "blob sha256:…", "layer sha256:…", "image sha256:…", "name app:latest"
    std::string what;     // "does not match its digest"
    bool repaired = false;
};
std::string_view name_of(Finding::Kind kind) noexcept;

struct FsckOptions {
    // Drops what is broken and all that needs it, so that the next build or pull makes it anew.
    bool repair = false;
};

// Reads every byte of the store, on the pool's threads. With `repair` it takes the store's lock
// alone, waiting for running builds, and gives back a shared one; no LayerStore of this process may
// be in use then. Without, it changes nothing.
std::vector<Finding> fsck(oci::Store& store, ThreadPool& pool, const FsckOptions& options);

}  // namespace mkimg::layers
