// Blobs: files below blobs/sha256/ that the table `blobs` names.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "oci/store_state.h"

namespace mkimg::oci {
namespace {

constexpr std::int64_t use_granularity = 24 * 3600;  // seconds

std::optional<std::uint64_t> recorded_size(Database& db, const Digest& digest) {
    std::optional<std::uint64_t> size;
    db.execute("SELECT size FROM blobs WHERE digest=?1", {digest.str()},
               [&](const Row& row) { size = static_cast<std::uint64_t>(row.integer(0)); });
    return size;
}

Error damaged(const Digest& digest, const std::string& why) {
    return {ErrorCode::corrupt, "blob " + digest.str() + " of the store " + why,
            "run mkimg fsck --repair, then build or pull again"};
}

}  // namespace

bool Store::has_blob(const Digest& digest) {
    return recorded_size(db(), digest) && ::faccessat(blobs_fd(), digest.hex().c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

UniqueFd Store::open_blob(const Digest& digest) {
    std::optional<std::uint64_t> size;
    std::int64_t last_used = 0;
    db().execute("SELECT size, last_used FROM blobs WHERE digest=?1", {digest.str()}, [&](const Row& row) {
        size = static_cast<std::uint64_t>(row.integer(0));
        last_used = row.integer(1);
    });
    if (!size) throw Error(ErrorCode::not_found, "the store has no blob " + digest.str());
    const int fd = ::openat(blobs_fd(), digest.hex().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) throw damaged(digest, "is missing");
    if (fd < 0) throw_errno("open blob", digest.str());
    UniqueFd file(fd);
    const struct stat st = stat_fd(fd);
    if (!S_ISREG(st.st_mode) || static_cast<std::uint64_t>(st.st_size) != *size)
        throw damaged(digest, "has the wrong size");
    // For prune, which counts in days: most openings write nothing.
    if (last_used + use_granularity < now_seconds()) {
        db().execute("UPDATE blobs SET last_used=?1 WHERE digest=?2", {now_seconds(), digest.str()});
    }
    return file;
}

std::string Store::read_blob(const Digest& digest, std::uint64_t limit) {
    const UniqueFd file = open_blob(digest);
    std::string bytes = read_all(file.get(), limit, "blob " + digest.str());
    if (digest_of(bytes) != digest) throw damaged(digest, "does not match its digest");
    return bytes;
}

Digest Store::put_blob(std::string_view bytes) {
    const Digest digest = digest_of(bytes);
    if (has_blob(digest)) return digest;
    BlobWriter writer(*this);
    writer.write(as_bytes(bytes));
    return writer.commit(digest);
}

void Store::remove_blob(const Digest& digest) {
    db().transaction([&] {
        db().execute("DELETE FROM blobs WHERE digest=?1", {digest.str()});
        db().execute("DELETE FROM layer_blobs WHERE digest=?1", {digest.str()});
        if (::unlinkat(blobs_fd(), digest.hex().c_str(), 0) != 0 && errno != ENOENT)
            throw_errno("remove blob", digest.str());
    });
}

void publish_blob(Store& store, int directory, std::string& name, const Digest& digest, std::uint64_t size) {
    Database& db = store.db();
    // Renamed and recorded under the database's write lock: whoever holds it sees either both or
    // neither, but for a crash, which leaves a file without a name.
    try {
        db.transaction([&] {
            if (store.has_blob(digest)) return;
            if (::renameat(directory, name.c_str(), store.blobs_fd(), digest.hex().c_str()) != 0) {
                throw_errno("rename into the store", digest.str());
            }
            name.clear();
            db.execute("INSERT OR REPLACE INTO blobs(digest, size, last_used) VALUES(?1, ?2, ?3)",
                       {digest.str(), static_cast<std::int64_t>(size), now_seconds()});
            store.mark_unsynced(Store::Kind::blob, digest.str());
        });
    } catch (const Error&) {
        // Renamed but not recorded (the disk is full): don't leave it there to fill the disk.
        if (name.empty()) {
            db.transaction([&] {
                if (!recorded_size(db, digest)) ::unlinkat(store.blobs_fd(), digest.hex().c_str(), 0);
            });
        }
        throw;
    }
}

struct Store::BlobWriter::State {
    static constexpr std::size_t buffer_size = 256U << 10U;

    Store& store;
    TemporaryEntry file;
    Sha256 hash;
    std::uint64_t size = 0;
    BlobWatcher watcher;
    std::vector<std::byte> buffer;

    void flush() {
        put(buffer);
        buffer.clear();
    }

    void put(std::span<const std::byte> bytes) {
        write_full(file.fd.get(), bytes);
        written += bytes.size();
        if (watcher) watcher(file.fd.get(), written);
    }

    std::uint64_t written = 0;
};

Store::BlobWriter::BlobWriter(Store& store, BlobWatcher watcher)
    : state_(new State{store, make_temporary_file(store.tmp_fd()), {}, 0, std::move(watcher), {}}) {}

Store::BlobWriter::~BlobWriter() {
    if (state_ && !state_->file.name.empty()) ::unlinkat(state_->store.tmp_fd(), state_->file.name.c_str(), 0);
}

std::uint64_t Store::BlobWriter::size() const noexcept {
    return state_->size;
}

void Store::BlobWriter::write(std::span<const std::byte> bytes) {
    State& s = *state_;
    s.hash.update(bytes);
    s.size += bytes.size();
    if (s.buffer.size() + bytes.size() > State::buffer_size) s.flush();
    if (bytes.size() >= State::buffer_size) {
        s.put(bytes);
    } else {
        s.buffer.insert(s.buffer.end(), bytes.begin(), bytes.end());
    }
}

Digest Store::BlobWriter::commit(const std::optional<Digest>& expected) {
    State& s = *state_;
    s.flush();
    const Digest digest(s.hash.finish());
    if (expected && digest != *expected) {
        throw Error(ErrorCode::corrupt, "content has the digest " + digest.str() + ", expected was " + expected->str());
    }
    publish_blob(s.store, s.store.tmp_fd(), s.file.name, digest, s.size);
    return digest;
}

}  // namespace mkimg::oci
