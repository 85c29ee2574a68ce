#include "registry/upload.h"
#include "registry/upload_session.h"

namespace mkimg::registry {
namespace {

// Ends a transfer of bytes that the repository has.
struct Exists {};

class GrowingUpload {
  public:
    GrowingUpload(Repository repository, const GrowingBlob& blob, const TransferListener& listener)
        : repository_(std::move(repository)), session_(repository_), blob_(blob), listener_(listener) {}

    std::optional<Transfer::State> run() {
        if (blob_.known()) return std::nullopt;  // it came too late to gain anything
        try {
            if (session_.begin("", repository_.push_scope(), false)) return std::nullopt;
            send();
            const oci::Descriptor blob = blob_.wait();
            // A maker that found it made already has shown no bytes.
            if (sent_ != blob.size) throw Error(ErrorCode::corrupt, "not all was sent");
            session_.put(blob.digest, Body{0, {}});
            return Transfer::State::done;
        } catch (const Exists&) {
            session_.abandon();
            return Transfer::State::exists;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled) throw;
            session_.abandon();
            return std::nullopt;
        }
    }

  private:
    void send() {
        const auto open = [this] {
            looked_ = false;
            return blob_.open(
                [this](std::uint64_t bytes, const std::optional<oci::Descriptor>& blob) { watch(bytes, blob); });
        };
        session_.patch(Body{Body::unknown, open}, std::nullopt);
    }

    void watch(std::uint64_t bytes, const std::optional<oci::Descriptor>& blob) {
        sent_ = bytes;
        if (!blob) return;
        // Now that its digest is known. What is still to be sent may be much, over a slow line.
        if (!looked_ && bytes < blob->size && repository_.has_blob(blob->digest)) throw Exists{};
        looked_ = true;
        if (listener_) {
            listener_({Transfer::Direction::push, blob->digest, blob->size, bytes, Transfer::State::running});
        }
    }

    Repository repository_;
    UploadSession session_;
    const GrowingBlob& blob_;
    const TransferListener& listener_;
    std::uint64_t sent_ = 0;
    bool looked_ = false;  // whether the repository has it
};

}  // namespace

std::optional<Transfer::State> upload_growing(Repository repository, const GrowingBlob& blob,
                                              const TransferListener& listener) {
    return GrowingUpload(std::move(repository), blob, listener).run();
}

}  // namespace mkimg::registry
