#include "registry/blob_reader.h"

#include <algorithm>
#include <exception>
#include <optional>

#include "base/text.h"
#include "registry/backoff.h"

namespace mkimg::registry {
namespace {

// Less than this between two breaks is no progress: else a server that sends a byte a time would never end.
constexpr std::uint64_t real_progress = 64U << 10U;

// "bytes 100-199/200" (RFC 7233 section 4.2): the first byte; nothing where it is no such value, or its total
// is not `size`.
std::optional<std::uint64_t> range_start(std::string_view value, std::uint64_t size) {
    if (!value.starts_with("bytes ")) return std::nullopt;
    value.remove_prefix(6);
    const std::size_t dash = value.find('-');
    const std::size_t slash = value.find('/');
    if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) return std::nullopt;
    const std::string_view total = value.substr(slash + 1);
    if (total != "*" && parse_u64(total) != size) return std::nullopt;
    return parse_u64(value.substr(0, dash));
}

// What a caller's `write` threw, so that it isn't taken for a fault of the transfer.
struct WriteFailed {
    std::exception_ptr cause;
};

class Reader final : public Receiver {
  public:
    Reader(const oci::Descriptor& blob, std::uint64_t offset, const BytesHandler& write)
        : blob_(blob), at_(offset), write_(write) {}

    std::uint64_t at() const noexcept { return at_; }

    void begin(const Response& head) override {
        skip_ = 0;
        if (head.status != 206) {
            skip_ = at_;
            return;
        }
        const auto value = head.header("content-range").value_or("");
        if (range_start(value, blob_.size) != at_) {
            throw Error(ErrorCode::corrupt, "blob " + blob_.digest.str() + ": asked for the bytes from " +
                                                std::to_string(at_) + " of " + std::to_string(blob_.size) +
                                                ", the registry sent \"" + printable(value.substr(0, 80)) + "\"");
        }
    }

    void write(std::span<const std::byte> bytes) override {
        const auto skipped = static_cast<std::size_t>(std::min<std::uint64_t>(skip_, bytes.size()));
        skip_ -= skipped;
        bytes = bytes.subspan(skipped);
        if (bytes.size() > blob_.size - at_) {
            throw Error(ErrorCode::corrupt, "blob " + blob_.digest.str() + " is longer than the " +
                                                std::to_string(blob_.size) + " bytes that its manifest says");
        }
        try {
            if (!bytes.empty()) write_(bytes);
        } catch (...) {
            throw WriteFailed{std::current_exception()};
        }
        at_ += bytes.size();
    }

  private:
    const oci::Descriptor& blob_;
    std::uint64_t at_;
    std::uint64_t skip_ = 0;
    const BytesHandler& write_;
};

// One source, until all is there. False where a try or another source may help; `why` says what happened.
bool read_from(Repository source, const oci::Descriptor& blob, Reader& reader, const Retries& retries,
               const Cancellation& cancel, std::exception_ptr& why) {
    Backoff backoff(retries, cancel);
    bool ranges = true;
    for (;;) {
        const std::uint64_t before = reader.at();
        std::optional<std::chrono::seconds> retry_after;
        try {
            if (reader.at() < blob.size) source.get_blob(blob, ranges ? reader.at() : 0, reader);
            if (reader.at() == blob.size) return true;
            // Something between may have cut it: the rest is asked for.
            why = std::make_exception_ptr(Error(ErrorCode::corrupt, source.str() + ": blob " + blob.digest.str() +
                                                                        " ends after " + std::to_string(reader.at()) +
                                                                        " bytes, its manifest says " +
                                                                        std::to_string(blob.size)));
        } catch (const TransportError& error) {
            why = std::current_exception();
            if (!error.temporary()) return false;
        } catch (const HttpError& error) {
            why = std::current_exception();
            const bool no_ranges = error.status() == 416 && ranges && reader.at() > 0;
            if (!no_ranges && !is_temporary_status(error.status())) return false;
            if (no_ranges) ranges = false;
            retry_after = error.retry_after();
        } catch (const Error& error) {
            why = std::current_exception();
            if (error.code() == ErrorCode::cancelled) throw;
            return false;
        }
        if (reader.at() - before >= real_progress) backoff.reset();
        if (!backoff.wait(retry_after)) return false;
    }
}

}  // namespace

void read_blob(std::span<const Repository> sources, const oci::Descriptor& blob, std::uint64_t offset,
               const BytesHandler& write, const Retries& retries, const Cancellation& cancel) {
    Reader reader(blob, offset, write);
    std::exception_ptr why;
    try {
        for (const Repository& source : sources) {
            if (read_from(source, blob, reader, retries, cancel, why)) return;
        }
    } catch (const WriteFailed& failed) {
        std::rethrow_exception(failed.cause);
    }
    std::rethrow_exception(why);
}

}  // namespace mkimg::registry
