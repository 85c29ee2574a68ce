// What a file held when its stat was last seen: a warm context is stat'ed, not read.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/sha256.h"

namespace mkimg::builder {

// Of these fields, at least one changes whenever a file's content or extended attributes do.
struct StatKey {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t mtime_ns = 0;
    std::int64_t ctime_ns = 0;
    friend bool operator==(const StatKey&, const StatKey&) = default;
};
StatKey stat_key(const struct statx& stat);
StatKey stat_key(const struct stat& stat);
// Now, on the clock that file times are taken from.
std::int64_t file_clock_ns();

// What a file holds: its bytes (or a symlink's target) and its extended attributes.
struct FileContent {
    Sha256Bytes digest{};
    bool has_xattrs = false;
    friend bool operator==(const FileContent&, const FileContent&) = default;
};

// One file, `statcache/<device>-<inode of the context's root>` in the store's folder, mapped when it
// is first asked. A file that is not what it should be counts as empty. Two processes that build
// the same context replace each other's file whole: either is right.
class StatCache {
  public:
    // `store` is borrowed; -1 keeps nothing beyond this object's life.
    StatCache(int store, int context_root);
    StatCache(const StatCache&) = delete;
    StatCache& operator=(const StatCache&) = delete;
    ~StatCache();

    // Any thread.
    std::optional<FileContent> find(const StatKey& key) const;
    // Any thread. `seen_ns` is when the stat was taken, or before. A file that had changed less than
    // 2 s before that may change again without a change of its times: such an entry is dropped.
    void record(const StatKey& key, const FileContent& content, std::int64_t seen_ns);
    // Writes the file where something was recorded. An entry that 32 writes in a row did not ask
    // for is dropped.
    void save();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace mkimg::builder
