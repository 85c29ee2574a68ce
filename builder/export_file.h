// Where an export goes.
#pragma once

#include <optional>
#include <string>

#include "base/atomic_file.h"
#include "base/fd.h"

namespace mkimg::builder {

// A file that the user named, or stdout for "-". A regular file appears whole with commit(), or stays
// as it was; a pipe or device is written as it comes. Throws Error(usage) for a terminal and
// Error(conflict) for a directory.
class OutputFile {
  public:
    explicit OutputFile(const std::string& destination);
    int fd() const noexcept { return direct_ ? direct_.get() : file_->fd(); }
    void commit();

  private:
    UniqueFd direct_;
    std::optional<AtomicFile> file_;
};

// Opens the directory, made as the umask lets it where it is missing (its parents too).
UniqueFd open_output_directory(const std::string& path);

// Copies `size` bytes from the start of `from` to the offset of `to`, in the kernel where it can. Throws
// Error(corrupt) where `from` is shorter.
void copy_file(int from, int to, std::uint64_t size);

}  // namespace mkimg::builder
