// Writes tar as DESIGN's determinism demands: ustar, PAX records only where ustar can't hold the
// value, whole seconds, numbers instead of names, SCHILY.xattr.* for xattrs. Names are bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/stream.h"
#include "layers/entry.h"

namespace mkimg::layers {

class TarWriter {
  public:
    explicit TarWriter(Sink& sink);  // borrowed
    // Entries must come in the order they shall have. `content` gives exactly entry.size bytes
    // (else Error(corrupt)); null where there is none. It is read straight into the buffer that
    // the sink gets.
    void add(const Entry& entry, Source* content = nullptr);
    // Two zero blocks, and what is still held back. Does not finish the sink.
    void finish();

  private:
    std::span<std::byte> room(std::size_t at_least);
    void append(std::string_view bytes);
    void pad(std::uint64_t size);
    void add_records(const Entry& entry, const std::string& records);
    void add_content(const Entry& entry, Source* content);
    void flush();

    Sink& sink_;
    std::vector<std::byte> buffer_;
    std::size_t used_ = 0;
};

// The name an entry has in the tar: "./" for the root, a trailing "/" for directories.
std::string tar_name(const Entry& entry);

}  // namespace mkimg::layers
