#include "layers/tar_writer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace mkimg::layers {
namespace {

constexpr std::size_t block_size = 512;
constexpr std::size_t buffer_size = 256 * 1024;  // stays in a core's cache while it is hashed

constexpr std::uint64_t max_octal7 = 07777777;          // uid, gid, device numbers
constexpr std::uint64_t max_octal11 = 077777777777ULL;  // size, mtime

constexpr std::size_t name_size = 100;
constexpr std::size_t link_size = 100;
constexpr std::size_t prefix_size = 155;

// POSIX.1-2017, pax, "ustar Interchange Format".
struct Header {
    char name[name_size];
    char mode[8];
    char uid[8];
    char gid[8];
    char size[12];
    char mtime[12];
    char checksum[8];
    char type;
    char link[link_size];
    char magic[6];
    char version[2];
    char user[32];
    char group[32];
    char major[8];
    char minor[8];
    char prefix[prefix_size];
    char rest[12];
};
static_assert(sizeof(Header) == block_size);

// Digits filling the field but for the NUL at its end.
template <std::size_t N>
void put_octal(char (&field)[N], std::uint64_t value) {
    field[N - 1] = '\0';
    for (std::size_t i = N - 1; i-- > 0; value >>= 3U) field[i] = static_cast<char>('0' + (value & 7U));
}

template <std::size_t N>
void put_text(char (&field)[N], std::string_view text) {
    std::memcpy(field, text.data(), std::min(N, text.size()));
}

// False where ustar can't hold the name.
bool put_name(Header& header, std::string_view name) {
    if (name.size() <= name_size) {
        put_text(header.name, name);
        return true;
    }
    // The longest prefix that fits; what follows its "/" must not be empty.
    const std::string_view candidates = name.substr(0, std::min(name.size() - 1, prefix_size + 1));
    const std::size_t slash = candidates.rfind('/');
    if (slash == std::string_view::npos || slash == 0 || name.size() - slash - 1 > name_size) {
        put_text(header.name, name);
        return false;
    }
    put_text(header.prefix, name.substr(0, slash));
    put_text(header.name, name.substr(slash + 1));
    return true;
}

char type_flag(EntryType type) {
    switch (type) {
        case EntryType::file: return '0';
        case EntryType::hardlink: return '1';
        case EntryType::symlink: return '2';
        case EntryType::char_device: return '3';
        case EntryType::block_device: return '4';
        case EntryType::directory: return '5';
        case EntryType::fifo: return '6';
    }
    throw Error(ErrorCode::internal, "unknown entry type");
}

std::string_view seal(Header& header) {
    put_text(header.magic, std::string_view("ustar\0", 6));
    put_text(header.version, "00");
    std::memset(header.checksum, ' ', sizeof header.checksum);
    unsigned sum = 0;
    const std::string_view bytes(reinterpret_cast<const char*>(&header), sizeof header);
    for (const char c : bytes) sum += static_cast<unsigned char>(c);
    std::array<char, 7> digits{};
    for (std::size_t i = 6; i-- > 0; sum >>= 3U) digits[i] = static_cast<char>('0' + (sum & 7U));
    std::memcpy(header.checksum, digits.data(), digits.size());  // six digits, NUL; the space stays
    return bytes;
}

// "LENGTH KEY=VALUE\n", where LENGTH counts itself too.
void add_record(std::string& records, std::string_view key, std::string_view value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (length != rest + std::to_string(length).size()) length = rest + std::to_string(length).size();
    records += std::to_string(length);
    records += ' ';
    records += key;
    records += '=';
    records += value;
    records += '\n';
}

void add_xattr_records(std::string& records, const Entry& entry) {
    for (const auto& [name, value] : entry.xattrs) {
        if (name.find('=') != std::string::npos) {
            throw Error(ErrorCode::unsupported,
                        printable(entry.path) + ": a tar can't hold the extended attribute \"" + printable(name) + "\"",
                        "remove it (setfattr -x): \"=\" ends an attribute's name in a tar");
        }
        add_record(records, "SCHILY.xattr." + name, value);
    }
}

// Fills in what ustar can hold; the rest comes back as PAX records, sorted by key.
std::string fill(Header& header, const Entry& entry, std::string_view name) {
    if (entry.major > max_octal7 || entry.minor > max_octal7) {
        throw Error(ErrorCode::unsupported, printable(entry.path) + ": a tar can't hold this device number");
    }
    std::string records;
    add_xattr_records(records, entry);
    const auto number = [&](auto& field, std::uint64_t value, std::uint64_t max, std::string_view key) {
        if (value > max) add_record(records, key, std::to_string(value));
        put_octal(field, value > max ? 0 : value);
    };
    number(header.gid, entry.gid, max_octal7, "gid");
    put_text(header.link, entry.link);
    if (entry.link.size() > link_size) add_record(records, "linkpath", entry.link);
    const bool mtime_fits = entry.mtime >= 0 && static_cast<std::uint64_t>(entry.mtime) <= max_octal11;
    if (!mtime_fits) add_record(records, "mtime", std::to_string(entry.mtime));
    put_octal(header.mtime, mtime_fits ? static_cast<std::uint64_t>(entry.mtime) : 0);
    if (!put_name(header, name)) add_record(records, "path", name);
    number(header.size, entry.type == EntryType::file ? entry.size : 0, max_octal11, "size");
    number(header.uid, entry.uid, max_octal7, "uid");
    put_octal(header.mode, entry.mode & 07777U);
    put_octal(header.major, entry.major);
    put_octal(header.minor, entry.minor);
    header.type = type_flag(entry.type);
    return records;
}

}  // namespace

std::string tar_name(const Entry& entry) {
    if (entry.path.empty()) return "./";
    return entry.type == EntryType::directory ? entry.path + "/" : entry.path;
}

TarWriter::TarWriter(Sink& sink) : sink_(sink), buffer_(buffer_size) {}

void TarWriter::add(const Entry& entry, Source* content) {
    Header header{};
    const std::string records = fill(header, entry, tar_name(entry));
    if (!records.empty()) add_records(entry, records);
    append(seal(header));
    if (entry.type == EntryType::file) add_content(entry, content);
}

// The extended header is an entry of its own before the one that it speaks of. Readers that know
// PAX never show its name.
void TarWriter::add_records(const Entry& entry, const std::string& records) {
    Header header{};
    const std::string_view path = entry.path;
    const std::string_view base = path.substr(path.rfind('/') + 1);
    put_text(header.name, "PaxHeaders.0/" + std::string(base.substr(0, 80)));
    put_octal(header.mode, 0644);
    put_octal(header.uid, 0);
    put_octal(header.gid, 0);
    put_octal(header.size, records.size());
    put_octal(header.mtime, 0);
    put_octal(header.major, 0);
    put_octal(header.minor, 0);
    header.type = 'x';
    append(seal(header));
    append(records);
    pad(records.size());
}

void TarWriter::add_content(const Entry& entry, Source* content) {
    for (std::uint64_t left = entry.size; left > 0;) {
        const std::span<std::byte> space = room(1);
        const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(space.size(), left));
        const std::size_t got = content == nullptr ? 0 : content->read(space.first(want));
        if (got == 0) {
            throw Error(ErrorCode::corrupt, printable(entry.path) + " ended " + std::to_string(left) +
                                                " bytes before its size of " + std::to_string(entry.size));
        }
        used_ += got;
        left -= got;
    }
    std::byte more{};
    if (content != nullptr && content->read(std::span(&more, 1)) != 0) {
        throw Error(ErrorCode::corrupt,
                    printable(entry.path) + " goes on after its size of " + std::to_string(entry.size) + " bytes");
    }
    pad(entry.size);
}

void TarWriter::finish() {
    const std::span<std::byte> end = room(2 * block_size);
    std::fill_n(end.begin(), 2 * block_size, std::byte{0});
    used_ += 2 * block_size;
    flush();
}

void TarWriter::pad(std::uint64_t size) {
    const auto padding = static_cast<std::size_t>((block_size - size % block_size) % block_size);
    std::fill_n(room(padding).begin(), padding, std::byte{0});
    used_ += padding;
}

void TarWriter::append(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::span<std::byte> space = room(1);
        const std::size_t part = std::min(space.size(), bytes.size());
        std::memcpy(space.data(), bytes.data(), part);
        used_ += part;
        bytes.remove_prefix(part);
    }
}

std::span<std::byte> TarWriter::room(std::size_t at_least) {
    if (buffer_.size() - used_ < at_least) flush();
    return std::span(buffer_).subspan(used_);
}

void TarWriter::flush() {
    sink_.write(std::span(buffer_).first(used_));
    used_ = 0;
}

}  // namespace mkimg::layers
