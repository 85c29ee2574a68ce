#include "layers/tar_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace mkimg::layers {
namespace {

constexpr std::size_t buffer_size = 256 * 1024;
constexpr std::uint64_t largest_id = 0xFFFFFFFEULL;  // 2^32-1 means "leave it" to chown
constexpr dev_t largest_major = (1U << 12U) - 1;     // Linux's dev_t: 12 bits and 20
constexpr dev_t largest_minor = (1U << 20U) - 1;
constexpr std::size_t longest_target = 4095;  // PATH_MAX without its NUL

// libarchive converts names by the thread's LC_CTYPE. In C.UTF-8, what PAX gives as UTF-8 passes
// as it is, and what is not UTF-8 is handed out raw with a warning.
class Utf8Locale {
  public:
    Utf8Locale() : before_(::uselocale(utf8())) {}
    Utf8Locale(const Utf8Locale&) = delete;
    Utf8Locale& operator=(const Utf8Locale&) = delete;
    ~Utf8Locale() { ::uselocale(before_); }

  private:
    static locale_t utf8() {
        static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
        if (locale == nullptr) {
            throw Error(ErrorCode::host, "the C.UTF-8 locale is missing", "it is part of glibc (libc-bin)");
        }
        return locale;
    }
    locale_t before_;
};

struct FreeReader {
    void operator()(archive* reader) const noexcept { ::archive_read_free(reader); }
};

std::string text_of(const char* text) {
    return text == nullptr ? std::string() : std::string(text);
}

// A name without "./", leading and trailing "/" and doubled ones. ".." is never taken: what it means
// depends on symlinks, and no honest layer has it. Nothing for such a name.
std::optional<std::string> clean_name(std::string_view name) {
    std::string clean;
    for (std::string_view rest = name; !rest.empty();) {
        const std::size_t slash = std::min(rest.find('/'), rest.size());
        const std::string_view part = rest.substr(0, slash);
        rest.remove_prefix(std::min(slash + 1, rest.size()));
        if (part.empty() || part == ".") continue;
        if (part == "..") return std::nullopt;
        if (!clean.empty()) clean += '/';
        clean += part;
    }
    return clean;
}

}  // namespace

struct TarReader::State {
    State(Source& from, const TarLimits& given) : source(from), limits(given), reader(::archive_read_new()) {
        if (!reader) throw std::bad_alloc();
        const Utf8Locale locale;
        ::archive_read_support_format_tar(reader.get());
        ::archive_read_support_format_empty(reader.get());
        ::archive_read_set_callback_data(reader.get(), this);
        ::archive_read_set_read_callback(reader.get(), &State::fill);
        check(::archive_read_open1(reader.get()));
    }
    // An exception may not cross libarchive's frames: it is kept, and thrown again by check().
    static la_ssize_t fill(archive* a, void* self, const void** block) noexcept {
        State& state = *static_cast<State*>(self);
        try {
            *block = state.buffer.data();
            return static_cast<la_ssize_t>(state.source.read(state.buffer));
        } catch (...) {
            state.failure = std::current_exception();
            ::archive_set_error(a, EIO, "the source failed");
            return -1;
        }
    }

    void check(int result) {
        if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
        if (result == ARCHIVE_OK || result == ARCHIVE_EOF) return;
        const std::string why = text_of(::archive_error_string(reader.get()));
        // Raw bytes instead of text are what we want.
        if (result == ARCHIVE_WARN && why.find("can't be converted from") != std::string::npos) return;
        fail(why.empty() ? "it is not a tar archive" : why);
    }

    Entry translate();
    void read_link(Entry& made) const;
    void read_xattrs(Entry& made) const;
    std::uint32_t id(la_int64_t value, std::string_view what) const;

    [[noreturn]] void fail(const std::string& why) const {
        const std::string place = entries == 0 ? std::string("at the start")
                                               : (in_header ? "after entry " : "entry ") + std::to_string(entries) +
                                                     " (" + printable(name) + ")";
        throw Error(ErrorCode::corrupt, "broken tar archive: " + place + ": " + printable(why));
    }

    Source& source;
    const TarLimits limits;
    std::unique_ptr<archive, FreeReader> reader;
    archive_entry* entry = nullptr;
    std::vector<std::byte> buffer = std::vector<std::byte>(buffer_size);
    std::exception_ptr failure;
    std::string name;       // of the current entry, as it stands in the archive
    bool in_header = true;  // between two entries
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
};

namespace {

EntryType type_of(archive_entry* entry) {
    if (::archive_entry_hardlink(entry) != nullptr) return EntryType::hardlink;
    switch (::archive_entry_filetype(entry)) {
        case AE_IFDIR: return EntryType::directory;
        case AE_IFLNK: return EntryType::symlink;
        case AE_IFIFO: return EntryType::fifo;
        case AE_IFCHR: return EntryType::char_device;
        case AE_IFBLK: return EntryType::block_device;
        default: return EntryType::file;
    }
}

}  // namespace

Entry TarReader::State::translate() {
    if (entries > limits.entries) fail("more than the " + std::to_string(limits.entries) + " entries allowed");
    Entry made;
    auto path = clean_name(name);
    if (!path) fail("the name leads out of the archive by \"..\"");
    made.path = std::move(*path);
    if (made.path.size() > limits.path_length) fail("the name is too long");
    made.type = type_of(entry);
    made.mode = ::archive_entry_perm(entry) & 07777U;
    made.uid = id(::archive_entry_uid(entry), "user");
    made.gid = id(::archive_entry_gid(entry), "group");
    made.mtime = ::archive_entry_mtime(entry);
    if (made.type == EntryType::file) {
        const la_int64_t size = ::archive_entry_size(entry);
        if (size < 0) fail("a negative size");
        made.size = static_cast<std::uint64_t>(size);
        // bytes <= total_bytes holds, so this can't overflow.
        if (made.size > limits.total_bytes - bytes) {
            fail("the files are larger than the " + human_size(limits.total_bytes) + " allowed");
        }
        bytes += made.size;
    }
    if (made.type == EntryType::char_device || made.type == EntryType::block_device) {
        const dev_t major = ::archive_entry_rdevmajor(entry);
        const dev_t minor = ::archive_entry_rdevminor(entry);
        if (major > largest_major || minor > largest_minor) fail("a device number that Linux doesn't have");
        made.major = static_cast<std::uint32_t>(major);
        made.minor = static_cast<std::uint32_t>(minor);
    }
    read_link(made);
    read_xattrs(made);
    return made;
}

void TarReader::State::read_link(Entry& made) const {
    if (made.type == EntryType::symlink) {
        made.link = text_of(::archive_entry_symlink(entry));
        if (made.link.empty()) fail("a symlink without a target");
        if (made.link.size() > longest_target) fail("the target of the symlink is too long");
    } else if (made.type == EntryType::hardlink) {
        auto target = clean_name(text_of(::archive_entry_hardlink(entry)));
        if (!target) fail("the hard link leads out of the archive by \"..\"");
        made.link = std::move(*target);
        if (made.link.empty()) fail("a hard link to the root");
        if (made.link.size() > limits.path_length) fail("the target of the hard link is too long");
    }
}

void TarReader::State::read_xattrs(Entry& made) const {
    std::size_t total = 0;
    const char* key = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    ::archive_entry_xattr_reset(entry);
    while (::archive_entry_xattr_next(entry, &key, &value, &size) == ARCHIVE_OK) {
        const std::string_view label = key == nullptr ? std::string_view() : std::string_view(key);
        total += label.size() + size;
        if (total > limits.xattr_bytes) fail("too many extended attributes");
        made.xattrs.emplace_back(label, std::string(static_cast<const char*>(value), size));
    }
    // A name given twice: the later record holds, as POSIX demands of PAX. libarchive hands out the
    // last one first.
    std::stable_sort(made.xattrs.begin(), made.xattrs.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    made.xattrs.erase(std::unique(made.xattrs.begin(), made.xattrs.end(),
                                  [](const auto& a, const auto& b) { return a.first == b.first; }),
                      made.xattrs.end());
}

std::uint32_t TarReader::State::id(la_int64_t value, std::string_view what) const {
    if (value < 0 || static_cast<std::uint64_t>(value) > largest_id) {
        fail("the " + std::string(what) + " id " + std::to_string(value) + " is out of range");
    }
    return static_cast<std::uint32_t>(value);
}

TarReader::TarReader(Source& source, const TarLimits& limits) : state_(std::make_unique<State>(source, limits)) {}
TarReader::~TarReader() = default;

std::optional<Entry> TarReader::next() {
    State& state = *state_;
    const Utf8Locale locale;
    state.in_header = true;
    const int result = ::archive_read_next_header(state.reader.get(), &state.entry);
    state.check(result);
    if (result == ARCHIVE_EOF) {
        state.entry = nullptr;
        return std::nullopt;
    }
    state.in_header = false;
    ++state.entries;
    state.name = text_of(::archive_entry_pathname(state.entry));
    return state.translate();
}

std::size_t TarReader::read(std::span<std::byte> buffer) {
    State& state = *state_;
    if (state.entry == nullptr || buffer.empty()) return 0;
    const Utf8Locale locale;
    const la_ssize_t n = ::archive_read_data(state.reader.get(), buffer.data(), buffer.size());
    if (n >= 0) return static_cast<std::size_t>(n);
    state.check(static_cast<int>(n));
    return 0;
}

std::optional<TarReader::Block> TarReader::next_block() {
    State& state = *state_;
    if (state.entry == nullptr) return std::nullopt;
    const Utf8Locale locale;
    const void* data = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int result = ::archive_read_data_block(state.reader.get(), &data, &size, &offset);
    state.check(result);
    if (result == ARCHIVE_EOF) return std::nullopt;
    if (offset < 0) state.fail("a sparse file with a negative offset");
    return Block{static_cast<std::uint64_t>(offset), std::span(static_cast<const std::byte*>(data), size)};
}

}  // namespace mkimg::layers
