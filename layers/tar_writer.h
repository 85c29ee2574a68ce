// Writes tar as DESIGN's determinism demands: ustar, PAX records only where ustar can't hold the
// value, whole seconds, numbers instead of names, SCHILY.xattr.* for xattrs. Names are bytes.
#pragma once

#include <string_view>

#include "base/stream.h"
#include "layers/entry.h"

namespace mkimg::layers {

class TarWriter {
  public:
    explicit TarWriter(Sink& sink) : sink_(sink) {}  // borrowed
    // Entries must come in the order they shall have. `content` gives exactly entry.size bytes
    // (else Error(corrupt)); null where there is none.
    void add(const Entry& entry, Source* content = nullptr);
    // Two zero blocks. Does not finish the sink.
    void finish();

  private:
    void pad();
    Sink& sink_;
    std::uint64_t written_ = 0;
};

}  // namespace mkimg::layers
