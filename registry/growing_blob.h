// A blob that is sent while it is made: its maker tells how far it has come, its reader waits for more.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "base/fd.h"
#include "base/stream.h"
#include "oci/image_config.h"

namespace mkimg::registry {

class GrowingBlob {
  public:
    // --- the maker's side: one thread -----------------------------------------------------------
    // `file` holds the blob's first `bytes` bytes; it is duplicated at the first call.
    void grow(int file, std::uint64_t bytes);
    void finish(const oci::Descriptor& blob);
    // It will never be whole. Nothing where it is already.
    void fail() noexcept;

    // --- the reader's side ----------------------------------------------------------------------
    // What it is, where it is whole.
    std::optional<oci::Descriptor> known() const;
    // Waits until it is whole. Throws Error(cancelled) where it never will be.
    oci::Descriptor wait() const;
    // From the first byte on; read() waits for more and returns 0 at the end, or throws as wait() does. `sent` is
    // told of each read how far it is, and of what blob once that is known; what it throws ends it.
    using Sent = std::function<void(std::uint64_t bytes, const std::optional<oci::Descriptor>& blob)>;
    std::unique_ptr<Source> open(Sent sent) const;

  private:
    class Reader;

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    UniqueFd file_;
    std::uint64_t size_ = 0;
    std::optional<oci::Descriptor> blob_;
    bool failed_ = false;
};

}  // namespace mkimg::registry
