#include "oci/download.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/error.h"
#include "oci/store_state.h"

namespace mkimg::oci {
namespace {

constexpr int look_again = 50;  // milliseconds between looks at a download that another one has

UniqueFd open_directory(const Store& store) {
    if (::mkdirat(store.fd(), "downloads", 0700) != 0 && errno != EEXIST) throw_errno("make downloads/ in the store");
    return open_at(store.fd(), "downloads", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

Download::Download(Store& store, const Digest& digest, std::uint64_t size, UniqueFd directory, UniqueFd file)
    : store_(&store), digest_(digest), size_(size), directory_(std::move(directory)), file_(std::move(file)) {
    // What an earlier try brought is read once, for its hash has to be gone on with.
    std::vector<std::byte> buffer(1U << 20U);
    for (;;) {
        const ssize_t n = ::pread(file_.get(), buffer.data(), buffer.size(), static_cast<off_t>(done_));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("read the unfinished download", digest.str());
        if (n == 0) break;
        hash_.update(std::span(buffer).first(static_cast<std::size_t>(n)));
        done_ += static_cast<std::uint64_t>(n);
    }
    if (done_ > size_) restart();
}

std::optional<Download> Download::begin(Store& store, const Digest& digest, std::uint64_t size,
                                        const Cancellation& cancel) {
    UniqueFd directory = open_directory(store);
    const std::string name = digest.hex();
    for (;;) {
        cancel.check();
        if (store.has_blob(digest)) return std::nullopt;
        UniqueFd file = open_at(directory.get(), name, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
        if (flock_retry(file.get(), LOCK_EX | LOCK_NB) == 0) {
            // Whoever had the lock may have finished: then the name is gone, or stands for another file.
            if (!still_named(directory.get(), name, file.get())) continue;
            if (!store.has_blob(digest)) return Download(store, digest, size, std::move(directory), std::move(file));
            ::unlinkat(directory.get(), name.c_str(), 0);
            return std::nullopt;
        }
        pollfd wake{cancel.event_fd(), POLLIN, 0};
        ::poll(&wake, 1, look_again);
    }
}

void Download::restart() {
    if (::ftruncate(file_.get(), 0) != 0) throw_errno("empty the unfinished download", digest_.str());
    hash_ = Sha256();
    done_ = 0;
}

void Download::write(std::span<const std::byte> bytes) {
    if (bytes.size() > size_ - done_) {
        discard();
        throw Error(ErrorCode::corrupt, "blob " + digest_.str() + " is longer than the " + std::to_string(size_) +
                                            " bytes that its manifest says");
    }
    while (!bytes.empty()) {
        const ssize_t n = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(done_));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw_errno("write blob", digest_.str());
        const auto written = bytes.first(static_cast<std::size_t>(n));
        hash_.update(written);
        done_ += written.size();
        bytes = bytes.subspan(written.size());
    }
}

void Download::commit() {
    if (done_ != size_) {
        throw Error(ErrorCode::corrupt, "blob " + digest_.str() + " has " + std::to_string(done_) +
                                            " bytes, its manifest says " + std::to_string(size_));
    }
    const Digest digest(hash_.finish());
    if (digest != digest_) {
        discard();
        throw Error(ErrorCode::corrupt, "the content of blob " + digest_.str() + " has the digest " + digest.str(),
                    "the registry, or something between, changes what it serves");
    }
    std::string name = digest_.hex();
    publish_blob(*store_, directory_.get(), name, digest_, size_);
    if (!name.empty()) discard();
}

void Download::discard() noexcept {
    ::unlinkat(directory_.get(), digest_.hex().c_str(), 0);
    discarded_ = true;
}

}  // namespace mkimg::oci
