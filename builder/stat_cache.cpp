#include "builder/stat_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <ctime>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/fd.h"

namespace mkimg::builder {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t settle_ns = 2 * second_ns;
constexpr std::uint32_t kept_writes = 32;
constexpr std::uint64_t magic = 0x3143544154534b4d;  // "MKSTATC1"

// The file: a header, `slots` numbers of records (plus one; 0 is empty) as an open hash table, then
// the records. Written and read on the same machine, so in its byte order.
struct Header {
    std::uint64_t magic_number = magic;
    std::uint32_t records = 0;
    std::uint32_t slots = 0;  // a power of two, larger than `records`
    std::uint32_t writes = 0;
    std::uint32_t reserved = 0;
};

struct Record {
    StatKey key;
    Sha256Bytes digest{};
    std::uint32_t last_write = 0;  // the write that last saw it used
    std::uint32_t has_xattrs = 0;
};
static_assert(std::is_trivially_copyable_v<Header> && std::is_trivially_copyable_v<Record>);

// One record per inode: a file that changed replaces what was known of it.
std::uint64_t slot_hash(const StatKey& key) {
    std::uint64_t x = key.inode * 0x9e3779b97f4a7c15U ^ key.device;
    x ^= x >> 32U;
    return x * 0xd6e8feb86659fd93U >> 20U;
}

struct InodeHash {
    std::size_t operator()(const StatKey& key) const noexcept { return slot_hash(key); }
};
struct SameInode {
    bool operator()(const StatKey& a, const StatKey& b) const noexcept {
        return a.inode == b.inode && a.device == b.device;
    }
};

class Mapping {
  public:
    Mapping() = default;
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    ~Mapping() {
        if (size_ != 0) ::munmap(address_, size_);
    }
    void open(int fd) {
        const auto size = static_cast<std::size_t>(stat_fd(fd).st_size);
        if (size < sizeof(Header)) return;
        void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
        if (address == MAP_FAILED) return;
        address_ = address;
        size_ = size;
        Header header;
        std::memcpy(&header, address_, sizeof header);
        const std::uint64_t expected =
            sizeof header + 4ULL * header.slots + static_cast<std::uint64_t>(sizeof(Record)) * header.records;
        if (header.magic_number == magic && expected == size && std::has_single_bit(header.slots) &&
            header.records < header.slots && header.slots % 2 == 0) {
            header_ = header;
        }
    }
    const Header& header() const { return header_; }
    Record record(std::uint32_t index) const {
        Record record;
        const auto* bytes = static_cast<const std::byte*>(address_);
        std::memcpy(&record, bytes + sizeof(Header) + 4ULL * header_.slots + sizeof(Record) * index, sizeof record);
        return record;
    }
    // The number of the record of this inode, if any.
    std::optional<std::uint32_t> find(const StatKey& key) const {
        if (header_.slots == 0) return std::nullopt;
        const std::uint32_t mask = header_.slots - 1;
        std::uint32_t at = static_cast<std::uint32_t>(slot_hash(key)) & mask;
        for (std::uint32_t probes = 0; probes < header_.slots; ++probes, at = (at + 1) & mask) {
            std::uint32_t number = 0;
            std::memcpy(&number, static_cast<const std::byte*>(address_) + sizeof(Header) + 4ULL * at, 4);
            if (number == 0 || number > header_.records) return std::nullopt;
            if (SameInode()(record(number - 1).key, key)) return number - 1;
        }
        return std::nullopt;
    }

  private:
    void* address_ = nullptr;
    std::size_t size_ = 0;
    Header header_{magic, 0, 0, 0, 0};  // of an empty cache until a good file is open
};

std::string serialise(const std::vector<Record>& records, std::uint32_t writes) {
    Header header;
    header.records = static_cast<std::uint32_t>(records.size());
    header.slots = std::bit_ceil(std::max<std::uint32_t>(header.records + header.records / 3, 2) + 1);
    header.writes = writes;
    std::vector<std::uint32_t> slots(header.slots);
    for (std::uint32_t i = 0; i < header.records; ++i) {
        std::uint32_t at = static_cast<std::uint32_t>(slot_hash(records[i].key)) & (header.slots - 1);
        while (slots[at] != 0) at = (at + 1) & (header.slots - 1);
        slots[at] = i + 1;
    }
    std::string out(reinterpret_cast<const char*>(&header), sizeof header);
    out += as_text(std::as_bytes(std::span(slots)));
    out += as_text(std::as_bytes(std::span(records)));
    return out;
}

std::int64_t to_ns(std::int64_t seconds, std::int64_t ns) {
    return seconds * second_ns + ns;
}

}  // namespace

StatKey stat_key(const struct statx& s) {
    return {makedev(s.stx_dev_major, s.stx_dev_minor), s.stx_ino, s.stx_size,
            to_ns(s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec), to_ns(s.stx_ctime.tv_sec, s.stx_ctime.tv_nsec)};
}

StatKey stat_key(const struct stat& s) {
    return {s.st_dev, s.st_ino, static_cast<std::uint64_t>(s.st_size), to_ns(s.st_mtim.tv_sec, s.st_mtim.tv_nsec),
            to_ns(s.st_ctim.tv_sec, s.st_ctim.tv_nsec)};
}

std::int64_t file_clock_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return to_ns(now.tv_sec, now.tv_nsec);
}

struct StatCache::State {
    int store;
    std::string name;
    std::once_flag loaded;
    Mapping mapping;
    std::unique_ptr<std::atomic<bool>[]> used;  // one per mapped record
    mutable std::mutex mutex;
    std::unordered_map<StatKey, FileContent, InodeHash, SameInode> fresh;
    std::atomic<bool> has_fresh{false};

    void load() {
        std::call_once(loaded, [this] {
            if (store < 0) return;
            const int fd = ::openat(store, ("statcache/" + name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
            if (fd < 0) return;
            const UniqueFd file(fd);
            mapping.open(fd);
            used = std::make_unique<std::atomic<bool>[]>(mapping.header().records);
        });
    }
};

StatCache::StatCache(int store, int context_root) : state_(std::make_unique<State>()) {
    const struct stat st = stat_fd(context_root);
    state_->store = store;
    state_->name = std::to_string(st.st_dev) + "-" + std::to_string(st.st_ino);
}

StatCache::~StatCache() = default;

std::optional<FileContent> StatCache::find(const StatKey& key) const {
    State& state = *state_;
    state.load();
    if (const auto index = state.mapping.find(key)) {
        const Record record = state.mapping.record(*index);
        if (record.key == key) {
            state.used[*index].store(true, std::memory_order_relaxed);
            return FileContent{record.digest, record.has_xattrs != 0};
        }
    }
    if (!state.has_fresh.load(std::memory_order_acquire)) return std::nullopt;
    const std::lock_guard lock(state.mutex);
    const auto found = state.fresh.find(key);
    if (found == state.fresh.end() || !(found->first == key)) return std::nullopt;
    return found->second;
}

void StatCache::record(const StatKey& key, const FileContent& content, std::int64_t seen_ns) {
    if (seen_ns - std::max(key.mtime_ns, key.ctime_ns) < settle_ns) return;
    State& state = *state_;
    const std::lock_guard lock(state.mutex);
    state.fresh.erase(key);  // the key's other fields may differ
    state.fresh.emplace(key, content);
    state.has_fresh.store(true, std::memory_order_release);
}

void StatCache::save() {
    State& state = *state_;
    const std::lock_guard lock(state.mutex);
    if (state.store < 0 || state.fresh.empty()) return;
    state.load();
    const std::uint32_t writes = state.mapping.header().writes + 1;
    std::vector<Record> records;
    records.reserve(state.mapping.header().records + state.fresh.size());
    for (std::uint32_t i = 0; i < state.mapping.header().records; ++i) {
        Record record = state.mapping.record(i);
        if (state.fresh.contains(record.key)) continue;
        if (state.used[i].load(std::memory_order_relaxed)) record.last_write = writes;
        if (writes - record.last_write < kept_writes) records.push_back(record);
    }
    for (const auto& [key, content] : state.fresh) {
        records.push_back({key, content.digest, writes, content.has_xattrs ? 1U : 0U});
    }
    make_directory(state.store, "statcache", 0700);
    const UniqueFd directory = open_at(state.store, "statcache", O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    AtomicFile file(directory.get(), state.name, 0600);
    file.write(serialise(records, writes));
    file.commit();
    state.fresh.clear();
    state.has_fresh.store(false, std::memory_order_release);
}

}  // namespace mkimg::builder
