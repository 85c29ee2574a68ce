#include "registry/growing_blob.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"

namespace mkimg::registry {

void GrowingBlob::grow(int file, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (!file_) {
        file_ = UniqueFd(::fcntl(file, F_DUPFD_CLOEXEC, 0));
        if (!file_) throw_errno("duplicate a descriptor");
    }
    size_ = bytes;
    changed_.notify_all();
}

void GrowingBlob::finish(const oci::Descriptor& blob) {
    const std::lock_guard lock(mutex_);
    blob_ = blob;
    changed_.notify_all();
}

void GrowingBlob::fail() noexcept {
    const std::lock_guard lock(mutex_);
    failed_ = !blob_;
    changed_.notify_all();
}

std::optional<oci::Descriptor> GrowingBlob::known() const {
    const std::lock_guard lock(mutex_);
    return blob_;
}

oci::Descriptor GrowingBlob::wait() const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return blob_ || failed_; });
    if (!blob_) throw Error(ErrorCode::cancelled, "the blob to send was never made");
    return *blob_;
}

class GrowingBlob::Reader final : public Source {
  public:
    Reader(const GrowingBlob& blob, Sent sent) : blob_(blob), sent_(std::move(sent)) {}

    std::size_t read(std::span<std::byte> buffer) override {
        std::uint64_t there = 0;
        std::optional<oci::Descriptor> known;
        int file = -1;
        {
            std::unique_lock lock(blob_.mutex_);
            blob_.changed_.wait(lock, [this] { return blob_.size_ > at_ || blob_.blob_ || blob_.failed_; });
            if (blob_.failed_) throw Error(ErrorCode::cancelled, "the blob to send was never made");
            there = blob_.size_ - at_;
            known = blob_.blob_;
            file = blob_.file_.get();  // stays: it is set once
        }
        sent_(at_, known);
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), there));
        if (want == 0) return 0;
        for (;;) {
            const ssize_t n = ::pread(file, buffer.data(), want, static_cast<off_t>(at_));
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) throw_errno("read a blob that is being made");
            at_ += static_cast<std::uint64_t>(n);
            return static_cast<std::size_t>(n);
        }
    }

  private:
    const GrowingBlob& blob_;
    const Sent sent_;
    std::uint64_t at_ = 0;
};

std::unique_ptr<Source> GrowingBlob::open(Sent sent) const {
    return std::make_unique<Reader>(*this, std::move(sent));
}

}  // namespace mkimg::registry
