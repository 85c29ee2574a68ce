// A blob on its way into the store: the file downloads/<hex>, which outlives a broken transfer, so that the
// next try goes on where it ended.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/sha256.h"
#include "oci/digest.h"
#include "oci/store.h"

namespace mkimg::oci {

class Download {
  public:
    // Waits while another process or thread brings the same blob. Nothing where the store has it by then.
    // Throws Error(cancelled).
    static std::optional<Download> begin(Store& store, const Digest& digest, std::uint64_t size,
                                         const Cancellation& cancel);

    // A descriptor of the file, of which the first done() bytes may be read while it grows, and all of it when
    // the download is over.
    UniqueFd reader() const { return file_.dup(); }
    std::uint64_t done() const noexcept { return done_; }
    // Throws Error(corrupt) for more bytes than the blob has.
    void write(std::span<const std::byte> bytes);
    // All bytes are there: they become the blob. Throws Error(corrupt) where the digest is another one; nothing
    // of them stays then.
    void commit();
    // What had come was wrong, and is gone: the next begin() starts with nothing.
    bool discarded() const noexcept { return discarded_; }

  private:
    Download(Store& store, const Digest& digest, std::uint64_t size, UniqueFd directory, UniqueFd file);
    void restart();
    void discard() noexcept;

    Store* store_;
    Digest digest_;
    std::uint64_t size_;
    UniqueFd directory_;
    UniqueFd file_;
    Sha256 hash_;
    std::uint64_t done_ = 0;
    bool discarded_ = false;
};

}  // namespace mkimg::oci
