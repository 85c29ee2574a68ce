// Unpacks arbitrary bytes as a layer and as an archive of ADD. Nothing may crash, and nothing beside
// the root may change.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "layers/apply.h"
#include "layers/compression.h"
#include "layers/tree_tar.h"

namespace {

using namespace mkimg;

// root/ beside a canary, in a directory of its own below TMPDIR (a tmpfs is quickest).
class Place {
  public:
    Place() {
        const char* base = ::getenv("TMPDIR");
        path_ = std::string(base == nullptr ? "/tmp" : base) + "/mkimg-fuzz-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) std::abort();
        directory_ = open_path(path_, O_RDONLY | O_DIRECTORY);
        write_full(open_at(directory_.get(), "canary", O_WRONLY | O_CREAT, 0600).get(), "unharmed");
        before_ = canary();
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { remove_tree(AT_FDCWD, path_); }

    UniqueFd fresh_root() const {
        remove_tree(directory_.get(), "root");
        make_directory(directory_.get(), "root", 0755);
        return open_at(directory_.get(), "root", O_RDONLY | O_DIRECTORY);
    }

    void check() const {
        const struct stat now = canary();
        const bool same = now.st_ino == before_.st_ino && now.st_size == before_.st_size &&
                          now.st_mode == before_.st_mode && now.st_nlink == before_.st_nlink &&
                          now.st_uid == before_.st_uid && now.st_ctim.tv_sec == before_.st_ctim.tv_sec &&
                          now.st_ctim.tv_nsec == before_.st_ctim.tv_nsec;
        if (!same || list_directory(directory_.get()).size() != 2) std::abort();
    }

  private:
    struct stat canary() const {
        struct stat st {};
        if (::fstatat(directory_.get(), "canary", &st, AT_SYMLINK_NOFOLLOW) != 0) std::abort();
        return st;
    }

    std::string path_;
    UniqueFd directory_;
    struct stat before_ {};
};

void unpack(const Place& place, std::string_view bytes, layers::ApplyOptions options) {
    options.limits = {.entries = 1000, .total_bytes = 1U << 20U};
    const UniqueFd root = place.fresh_root();
    try {
        MemorySource source(bytes);
        const auto plain = layers::decompress(source, nullptr, {.bytes = 4U << 20U});
        layers::apply_tar(*plain, root.get(), options);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::internal) std::abort();
    }
    place.check();
    try {
        NullSink sink;
        layers::write_tree_tar(root.get(), sink);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::internal) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Place place;
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    unpack(place, bytes, {});
    unpack(place, bytes, {.whiteouts = layers::Whiteouts::as_files, .follow_parents = true});
    return 0;
}

// Makes the checksum of every block right that looks like a header: else nearly every mutation would
// end there.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned) {
    constexpr std::size_t block = 512;
    constexpr std::size_t field = 148;
    const std::size_t made = LLVMFuzzerMutate(data, size, max_size);
    for (std::size_t at = 0; at + block <= made; at += block) {
        std::uint8_t* header = data + at;
        if (std::string_view(reinterpret_cast<const char*>(header) + 257, 5) != "ustar") continue;
        unsigned sum = 8 * ' ';
        for (std::size_t i = 0; i < block; ++i) sum += i >= field && i < field + 8 ? 0U : header[i];
        for (std::size_t i = 6; i-- > 0; sum >>= 3U) header[field + i] = static_cast<std::uint8_t>('0' + (sum & 7U));
        header[field + 6] = 0;
        header[field + 7] = ' ';
    }
    return made;
}
