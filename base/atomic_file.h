// A file that appears whole or not at all.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace mkimg {

// Nameless (O_TMPFILE) until commit() puts it at its final name, so that not even SIGKILL leaves
// anything behind; where the file system can't do that, it is written beside its final name and the
// destructor removes it. Not synced to disk.
class AtomicFile {
  public:
    // With a mode it is exact; without, 0666 as the umask lets it: for files that the user asked for.
    AtomicFile(int dirfd, std::string name, std::optional<mode_t> mode = 0644);
    AtomicFile(AtomicFile&&) noexcept = default;
    AtomicFile& operator=(AtomicFile&&) = delete;
    ~AtomicFile();

    int fd() const noexcept { return file_.get(); }
    void write(std::string_view text) { write_full(file_.get(), text); }
    void commit();

  private:
    UniqueFd directory_;
    std::string name_;
    std::string temporary_;  // its name until the commit
    bool linked_ = false;    // temporary_ exists
    UniqueFd file_;
};

// Replaces the file at `path` (a host path the user named) with `text`. What is there and is no
// regular file (/dev/stdout, a pipe) is written into instead.
void write_file_atomically(const std::string& path, std::string_view text, mode_t mode = 0644);
// The whole file, or an Error naming the path.
std::string read_file(const std::string& path, std::uint64_t limit);

}  // namespace mkimg
