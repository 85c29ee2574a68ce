#include "registry/upload.h"

#include <algorithm>

#include "base/text.h"
#include "registry/backoff.h"

namespace mkimg::registry {
namespace {

constexpr std::uint64_t first_chunk = 32U << 20U;
constexpr std::uint64_t smallest_chunk = 1U << 20U;

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
          client_(repository_.client()),
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
        for (const std::string& from : upload_.mount_from) {
            if (from == repository_.name()) continue;
            if (mount(from)) return Transfer::State::mounted;
        }
        tell(Transfer::State::running, 0);
        for (;;) {
            try {
                if (!session_ && begin(repository_.path("blobs/uploads/"), repository_.push_scope(), false)) {
                    return Transfer::State::exists;
                }
                chunk_ == 0 ? put_whole() : put_chunks();
                return Transfer::State::done;
            } catch (const TransportError& error) {
                if (!error.temporary() || !backoff_.wait()) throw;
            } catch (const HttpError& error) {
                if (error.status() == 413 && shrink_chunk()) continue;
                // The session may be gone, ended by a request whose answer was lost or forgotten by the registry: a
                // new one starts from the first byte.
                const bool lost = error.status() == 404 && session_.has_value();
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
            return begin(
                repository_.path("blobs/uploads/?mount=" + upload_.blob.digest.str() + "&from=" + percent_encode(from)),
                scopes, true);
        } catch (const HttpError& error) {
            // Not ours to read, not there, not known: then it is sent.
            if (error.status() >= 400 && error.status() < 500 && error.status() != 429) return false;
            throw;
        } catch (const Error& error) {
            if (error.code() == ErrorCode::denied) return false;
            throw;
        }
    }

    // Opens an upload session; true where the blob is there already (201).
    bool begin(const std::string& path, const Scopes& scopes, bool retry) {
        Request request;
        request.method = "POST";
        const Response response =
            client_.send(path, request, {.scopes = scopes, .accepted = {201, 202}, .retry = retry});
        if (response.status == 201) return true;
        take_location(response, client_.url(path));
        offset_ = 0;
        if (const auto least = response.header("oci-chunk-min-length")) {
            least_chunk_ = std::max(least_chunk_, parse_u64(*least).value_or(0));
        }
        return false;
    }

    void take_location(const Response& response, const Url& base) {
        const auto location = response.header("location");
        if (!location) {
            throw Error(ErrorCode::corrupt,
                        repository_.str() + ": the registry began an upload and gave no Location for it");
        }
        Url url = base.resolve(*location);
        // As for redirects: what was https stays https.
        const Url root = client_.root();
        const bool plain = root.scheme == "http" && (url.host == root.host || is_loopback(url.host));
        if (url.scheme != "https" && !plain) {
            throw Error(
                ErrorCode::denied,
                repository_.str() + ": the upload's Location " + url.redacted() + " leaves https, and is not followed",
                "a registry behind a proxy must be told that it is reached by https (X-Forwarded-Proto)");
        }
        session_ = std::move(url);
    }

    Url with_digest() const {
        Url url = *session_;
        url.query += (url.query.empty() ? "digest=" : "&digest=") + percent_encode(upload_.blob.digest.str());
        return url;
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

    void put_whole() { finish(body(0, upload_.blob.size)); }

    void put_chunks() {
        while (offset_ < upload_.blob.size) {
            const std::uint64_t size = std::min(std::max(chunk_, least_chunk_), upload_.blob.size - offset_);
            Request request;
            request.method = "PATCH";
            request.document = false;
            request.headers = {{"content-type", "application/octet-stream"},
                               {"content-range", std::to_string(offset_) + "-" + std::to_string(offset_ + size - 1)}};
            request.body = body(offset_, size);
            const Response response = client_.send(
                *session_, request, {.scopes = repository_.push_scope(), .accepted = {202, 204}, .retry = false});
            if (response.header("location")) take_location(response, *session_);
            offset_ += size;
        }
        finish(Body{0, {}});
    }

    void finish(Body body) {
        Request request;
        request.method = "PUT";
        request.document = false;
        request.headers = {{"content-type", "application/octet-stream"}};
        if (body.size > 0) request.body = std::move(body);
        const Response response = client_.send(
            with_digest(), request, {.scopes = repository_.push_scope(), .accepted = {201, 204}, .retry = false});
        const auto said = response.header("docker-content-digest");
        if (said && *said != upload_.blob.digest.str()) {
            throw Error(ErrorCode::corrupt,
                        repository_.str() + ": the blob was sent with the digest " + upload_.blob.digest.str() +
                            ", and the registry has taken it as " + printable(said->substr(0, 100)),
                        "the registry, or something between, changes what it is given");
        }
    }

    // A body that was too large goes in chunks, and those in smaller ones.
    bool shrink_chunk() {
        const std::uint64_t smaller = chunk_ == 0 ? first_chunk : chunk_ / 2;
        if (smaller < std::max(smallest_chunk, least_chunk_)) return false;
        chunk_ = smaller;
        session_.reset();
        offset_ = 0;
        return true;
    }

    // Asks how far the session has come ("Resuming an upload"); without an answer it is given up.
    void resume() {
        if (!session_) return;
        try {
            Request request;
            const Response response = client_.send(
                *session_, request, {.scopes = repository_.push_scope(), .accepted = {204, 200}, .retry = false});
            const std::string_view range = response.header("range").value_or("");
            const std::size_t dash = range.find('-');
            const auto last = dash == std::string_view::npos ? std::nullopt : parse_u64(range.substr(dash + 1));
            // "0-0" means nothing or one byte: nothing is the safe reading.
            if (last && *last > 0 && *last < upload_.blob.size) {
                if (response.header("location")) take_location(response, *session_);
                offset_ = *last + 1;
                if (chunk_ == 0) chunk_ = first_chunk;
                return;
            }
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled) throw;
        }
        session_.reset();
        offset_ = 0;
    }

    void tell(Transfer::State state, std::uint64_t sent) const {
        if (listener_) {
            listener_({Transfer::Direction::push, upload_.blob.digest, upload_.blob.size, sent, state});
        }
    }

    Repository repository_;
    Client& client_;
    const UploadBlob& upload_;
    const TransferListener& listener_;
    Backoff backoff_;
    std::optional<Url> session_;
    std::uint64_t offset_ = 0;       // what the session has taken
    std::uint64_t chunk_ = 0;        // 0: the whole blob in one request
    std::uint64_t least_chunk_ = 0;  // that the registry wants
};

}  // namespace

Transfer::State upload(Repository repository, const UploadBlob& blob, const RegistryConfig& config,
                       const TransferListener& listener, const Cancellation& cancel) {
    return Upload(std::move(repository), blob, config, listener, cancel).run();
}

}  // namespace mkimg::registry
