#include "registry/upload.h"

#include <algorithm>

#include "registry/backoff.h"
#include "registry/upload_session.h"

namespace mkimg::registry {
namespace {

constexpr std::uint64_t first_chunk = 32U << 20U;
constexpr std::uint64_t smallest_chunk = 1U << 20U;
constexpr int most_mounts = 3;  // a registry that mounts from none of these mounts nothing

// Tells how much has been read: what the network has taken, or is about to.
class CountingSource final : public Source {
  public:
    CountingSource(std::unique_ptr<Source> inner, std::uint64_t limit, std::function<void(std::uint64_t)> count)
        : inner_(std::move(inner)), left_(limit), count_(std::move(count)) {}

    std::size_t read(std::span<std::byte> buffer) override {
        const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_));
        if (want == 0) return 0;
        const std::size_t n = inner_->read(buffer.first(want));
        left_ -= n;
        count_(n);
        return n;
    }

  private:
    std::unique_ptr<Source> inner_;
    std::uint64_t left_;
    std::function<void(std::uint64_t)> count_;
};

class Upload {
  public:
    Upload(Repository repository, const UploadBlob& upload, const RegistryConfig& config,
           const TransferListener& listener, const Cancellation& cancel)
        : repository_(std::move(repository)),
          session_(repository_),
          upload_(upload),
          listener_(listener),
          backoff_(config.retries(), cancel) {}

    Transfer::State run() {
        try {
            const Transfer::State state = push();
            tell(state, upload_.blob.size);
            return state;
        } catch (...) {
            tell(Transfer::State::failed, 0);
            throw;
        }
    }

  private:
    Transfer::State push() {
        if (repository_.has_blob(upload_.blob.digest)) return Transfer::State::exists;
        int tried = 0;
        for (const std::string& from : upload_.mount_from) {
            if (from == repository_.name()) continue;
            if (mount(from)) return Transfer::State::mounted;
            if (++tried == most_mounts) break;
        }
        tell(Transfer::State::running, 0);
        for (;;) {
            try {
                if (!session_.is_open() && session_.begin("", repository_.push_scope(), false)) {
                    return Transfer::State::exists;
                }
                chunk_ == 0 ? put_whole() : put_chunks();
                return Transfer::State::done;
            } catch (const TransportError& error) {
                if (!error.temporary() || !backoff_.wait()) throw;
            } catch (const HttpError& error) {
                if (error.status() == 413 && shrink_chunk()) continue;
                // The session may be gone, ended by a request whose answer was lost or forgotten by the registry: a
                // new one starts from the first byte. Or it stands elsewhere than we believe (416): it is asked.
                const bool lost = (error.status() == 404 || error.status() == 416) && session_.is_open();
                if (!lost && !is_temporary_status(error.status())) throw;
                if (!backoff_.wait(error.retry_after())) throw;
            }
            // It may be all there, and only the answer was lost.
            if (repository_.has_blob(upload_.blob.digest)) return Transfer::State::done;
            resume();
        }
    }

    // True where the registry took the blob over. Where it answers with an upload instead, that one is used.
    bool mount(const std::string& from) {
        Scopes scopes = repository_.push_scope();
        scopes.insert("repository:" + from + ":pull");
        try {
            return session_.begin("?mount=" + upload_.blob.digest.str() + "&from=" + percent_encode(from), scopes,
                                  true);
        } catch (const HttpError& error) {
            // Not ours to read, not there, not known: then it is sent.
            if (error.status() >= 400 && error.status() < 500 && error.status() != 429) return false;
            throw;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::denied) return false;
            throw;
        }
    }

    // The bytes [offset, offset + size) as a request's body.
    Body body(std::uint64_t offset, std::uint64_t size) {
        return {size, [this, offset, size]() -> std::unique_ptr<Source> {
                    auto sent = std::make_shared<std::uint64_t>(offset);
                    return std::make_unique<CountingSource>(upload_.open(offset), size, [this, sent](std::uint64_t n) {
                        *sent += n;
                        tell(Transfer::State::running, *sent);
                    });
                }};
    }

    void put_whole() { session_.put(upload_.blob.digest, body(0, upload_.blob.size)); }

    void put_chunks() {
        while (offset_ < upload_.blob.size) {
            const std::uint64_t most = std::max(chunk_, session_.least_chunk());
            const std::uint64_t size = std::min(most, upload_.blob.size - offset_);
            session_.patch(body(offset_, size), std::to_string(offset_) + "-" + std::to_string(offset_ + size - 1));
            offset_ += size;
        }
        session_.put(upload_.blob.digest, Body{0, {}});
    }

    // A body that was too large goes in chunks, and those in smaller ones.
    bool shrink_chunk() {
        const std::uint64_t smaller = chunk_ == 0 ? first_chunk : chunk_ / 2;
        if (smaller < std::max(smallest_chunk, session_.least_chunk())) return false;
        chunk_ = smaller;
        start_anew();
        return true;
    }

    // Asks how far the session has come ("Resuming an upload"); without an answer it is given up.
    void resume() {
        if (!session_.is_open()) return;
        try {
            const auto taken = session_.taken();
            if (taken && *taken <= upload_.blob.size) {
                offset_ = *taken;
                if (chunk_ == 0) chunk_ = first_chunk;
                return;
            }
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled) throw;
        }
        start_anew();
    }

    void start_anew() {
        session_.forget();
        offset_ = 0;
    }

    void tell(Transfer::State state, std::uint64_t sent) const {
        if (listener_) {
            listener_({Transfer::Direction::push, upload_.blob.digest, upload_.blob.size, sent, state});
        }
    }

    Repository repository_;
    UploadSession session_;
    const UploadBlob& upload_;
    const TransferListener& listener_;
    Backoff backoff_;
    std::uint64_t offset_ = 0;  // what the session has taken
    std::uint64_t chunk_ = 0;   // 0: the whole blob in one request
};

}  // namespace

Transfer::State upload(Repository repository, const UploadBlob& blob, const RegistryConfig& config,
                       const TransferListener& listener, const Cancellation& cancel) {
    return Upload(std::move(repository), blob, config, listener, cancel).run();
}

}  // namespace mkimg::registry
