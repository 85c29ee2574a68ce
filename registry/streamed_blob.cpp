#include "registry/streamed_blob.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "base/error.h"

namespace mkimg::registry {
namespace {

constexpr std::size_t read_ahead = 4U << 20U;  // bytes

class StreamedBlob final : public Source {
  public:
    StreamedBlob(std::vector<Repository> sources, oci::Descriptor blob, std::uint64_t offset, const Retries& retries,
                 const Cancellation& cancel)
        : sources_(std::move(sources)), blob_(std::move(blob)), whole_(offset == 0), left_(blob_.size - offset) {
        reader_ = std::thread([this, offset, &retries, &cancel] {
            try {
                read_blob(
                    sources_, blob_, offset, [this](std::span<const std::byte> bytes) { put(bytes); }, retries, cancel);
                finish(nullptr);
            } catch (const Error& error) {
                // Not as the kind of error that it is: whoever sends these bytes on would take it for his own
                // transfer's, and try once more what has been tried already.
                finish(std::make_exception_ptr(Error(error)));
            } catch (...) {
                finish(std::current_exception());
            }
        });
    }
    StreamedBlob(const StreamedBlob&) = delete;
    StreamedBlob& operator=(const StreamedBlob&) = delete;

    ~StreamedBlob() override {
        {
            const std::lock_guard lock(mutex_);
            abandoned_ = true;
        }
        changed_.notify_all();
        reader_.join();
    }

    std::size_t read(std::span<std::byte> buffer) override {
        std::vector<std::byte>* front = nullptr;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return !pieces_.empty() || finished_; });
            if (pieces_.empty()) {
                if (error_) std::rethrow_exception(error_);
                return 0;
            }
            front = &pieces_.front();  // the reader appends, and leaves this one alone
        }
        const std::size_t n = std::min(buffer.size(), front->size() - used_);
        std::memcpy(buffer.data(), front->data() + used_, n);
        hash_.update(buffer.first(n));
        left_ -= n;
        if (left_ == 0 && whole_) check();
        used_ += n;
        if (used_ == front->size()) {
            const std::lock_guard lock(mutex_);
            held_ -= used_;
            used_ = 0;
            pieces_.pop_front();
            changed_.notify_all();
        }
        return n;
    }

  private:
    void put(std::span<const std::byte> bytes) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return held_ < read_ahead || abandoned_; });
        if (abandoned_) throw Error(ErrorCode::cancelled, "blob " + blob_.digest.str() + " is no longer wanted");
        pieces_.emplace_back(bytes.begin(), bytes.end());
        held_ += bytes.size();
        changed_.notify_all();
    }

    void finish(std::exception_ptr error) {
        const std::lock_guard lock(mutex_);
        finished_ = true;
        error_ = std::move(error);
        changed_.notify_all();
    }

    void check() {
        const oci::Digest digest(hash_.finish());
        if (digest == blob_.digest) return;
        throw Error(ErrorCode::corrupt, "the content of blob " + blob_.digest.str() + " has the digest " + digest.str(),
                    "the registry, or something between, changes what it serves");
    }

    const std::vector<Repository> sources_;
    const oci::Descriptor blob_;
    const bool whole_;    // read from its first byte
    std::uint64_t left_;  // bytes that are still to be given out
    Sha256 hash_;
    std::size_t used_ = 0;  // bytes of the first piece

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::vector<std::byte>> pieces_;
    std::size_t held_ = 0;
    bool finished_ = false;
    bool abandoned_ = false;
    std::exception_ptr error_;
    std::thread reader_;
};

}  // namespace

std::unique_ptr<Source> stream_blob(std::vector<Repository> sources, const oci::Descriptor& blob, std::uint64_t offset,
                                    const Retries& retries, const Cancellation& cancel) {
    return std::make_unique<StreamedBlob>(std::move(sources), blob, offset, retries, cancel);
}

}  // namespace mkimg::registry
