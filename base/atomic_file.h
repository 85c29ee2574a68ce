// A file that appears whole or not at all.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/fd.h"

namespace mkimg {

// Written beside its final name; commit() puts it there with rename, the destructor without a
// commit removes it. Not synced to disk.
class AtomicFile {
  public:
    AtomicFile(int dirfd, std::string name, mode_t mode = 0644);
    AtomicFile(AtomicFile&&) noexcept = default;
    AtomicFile& operator=(AtomicFile&&) = delete;
    ~AtomicFile();

    int fd() const noexcept { return file_.get(); }
    void write(std::string_view text) { write_full(file_.get(), text); }
    void commit();

  private:
    UniqueFd directory_;
    std::string name_;
    std::string temporary_;
    UniqueFd file_;
};

// Replaces the file at `path` (a host path the user named) with `text`.
void write_file_atomically(const std::string& path, std::string_view text, mode_t mode = 0644);
// The whole file, or an Error naming the path.
std::string read_file(const std::string& path, std::uint64_t limit);

}  // namespace mkimg
