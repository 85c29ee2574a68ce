// What a file's bytes were when its stat was last seen: a warm context is stat'ed, not read.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/sha256.h"

namespace mkimg::builder {

// The fields that change whenever a file's content or extended attributes do.
struct StatKey {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t mtime_ns = 0;
    std::int64_t ctime_ns = 0;
    friend bool operator==(const StatKey&, const StatKey&) = default;
};
StatKey stat_key(const struct statx& stat);

// One file `statcache/<device>-<inode of the context's root>` in the store's folder, mapped when it
// is first asked. A file that is not what it should be counts as empty. Two processes that build
// the same context replace each other's file whole: either is right.
class StatCache {
  public:
    // Both are borrowed. `store` -1 keeps nothing beyond this object's life.
    StatCache(int store, int context_root);
    StatCache(const StatCache&) = delete;
    StatCache& operator=(const StatCache&) = delete;
    ~StatCache();

    // Any thread.
    std::optional<Sha256Bytes> find(const StatKey& key) const;
    // Any thread. A file that was changed less than 2 s ago could change again and keep its
    // times, so such an entry is dropped.
    void record(const StatKey& key, const Sha256Bytes& digest);
    // Writes the file if something was recorded that it lacks. Entries that were not asked for are
    // kept as long as they are not the greater part.
    void save();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mkimg::builder
