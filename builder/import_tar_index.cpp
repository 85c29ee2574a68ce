#include "builder/import_tar_index.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

namespace mkimg::builder {

namespace {

constexpr std::uint64_t block_size = 512;
constexpr std::size_t most_members = 100'000;
constexpr std::uint64_t longest_records = 64U << 10U;
constexpr std::size_t longest_name = 4096;

[[noreturn]] void fail(const std::string& what) {
    throw Error(ErrorCode::corrupt, "the archive " + what, "make or download it again");
}

std::string_view text_at(const char (&block)[512], std::size_t offset, std::size_t size) {
    return {block + offset, ::strnlen(block + offset, size)};
}

// Octal digits, or GNU's base 256 where the first bit is set.
std::uint64_t number_at(const char (&block)[512], std::size_t offset, std::size_t size) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(block[offset + i]); };
    std::uint64_t value = 0;
    if ((byte(0) & 0x80U) != 0) {
        for (std::size_t i = 0; i < size; ++i) {
            if (value >> 55U != 0) fail("has a number too large");
            value = value << 8U | (i == 0 ? byte(0) & 0x7FU : byte(i));
        }
        return value;
    }
    const std::string_view digits = trim(text_at(block, offset, size));
    for (const char c : digits) {
        if (c < '0' || c > '7') fail("has a header with a bad number");
        value = value << 3U | static_cast<std::uint64_t>(c - '0');
    }
    return value;
}

struct Overrides {  // of the next member
    std::optional<std::string> path;
    std::optional<std::string> link;
    std::optional<std::uint64_t> size;
};

// PAX records: "LENGTH KEY=VALUE\n".
void read_records(std::string_view records, bool global, Overrides& overrides) {
    while (!records.empty()) {
        const std::size_t blank = records.find(' ');
        const auto length = parse_u64(records.substr(0, blank));
        if (blank == std::string_view::npos || !length || *length > records.size() || *length < blank + 3 ||
            records[*length - 1] != '\n') {
            fail("has a bad PAX record");
        }
        const std::string_view record = records.substr(blank + 1, *length - blank - 2);
        const std::size_t equals = record.find('=');
        if (equals == std::string_view::npos) fail("has a bad PAX record");
        const std::string_view key = record.substr(0, equals);
        const std::string_view value = record.substr(equals + 1);
        const bool known = key == "path" || key == "linkpath" || key == "size";
        if (key.starts_with("GNU.sparse.") || (global && known))
            fail("has an unexpected PAX record " + std::string(key));
        if (key == "path") overrides.path = value;
        if (key == "linkpath") overrides.link = value;
        if (key == "size") {
            overrides.size = parse_u64(value);
            if (!overrides.size) fail("has a bad size in a PAX record");
        }
        records.remove_prefix(*length);
    }
}

std::string clean_name(const std::string& name) {
    if (name.empty() || name[0] == '/' || name.size() > longest_name || name.find('\0') != std::string::npos) {
        fail("has a member named \"" + printable(name.substr(0, 80)) + "\"");
    }
    std::string clean;
    for (const auto& part : split(name, '/')) {
        if (part.empty() || part == ".") continue;
        if (part == "..") fail("has a member that leads out of it: " + printable(name));
        clean += (clean.empty() ? "" : "/") + part;
    }
    return clean;
}

class Indexer {
  public:
    explicit Indexer(int file) : file_(file), end_(static_cast<std::uint64_t>(stat_fd(file).st_size)) {}

    std::map<std::string, TarMember> run() {
        char block[block_size];
        while (position_ < end_) {
            read_at(position_, block, block_size);
            if (std::all_of(std::begin(block), std::end(block), [](char c) { return c == '\0'; })) break;
            if (!is_tar_header(block)) fail(position_ == 0 ? "is no tar" : "has a damaged header");
            position_ += block_size;
            member(block);
        }
        return std::move(members_);
    }

  private:
    void read_at(std::uint64_t offset, char* to, std::size_t size) {
        while (size > 0) {
            const ssize_t n = ::pread(file_, to, size, static_cast<off_t>(offset));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw_errno("read the archive");
            if (n == 0) fail("ends early");
            to += n;
            offset += static_cast<std::uint64_t>(n);
            size -= static_cast<std::size_t>(n);
        }
    }

    std::string content(std::uint64_t size) {
        if (size > longest_records) fail("has a header of " + human_size(size));
        std::string text(size, '\0');
        read_at(position_, text.data(), text.size());
        return text;
    }

    void skip(std::uint64_t size) {
        if (size > end_ - position_) fail("ends early");
        position_ += std::min(end_ - position_, (size + block_size - 1) / block_size * block_size);
    }

    void member(const char (&block)[512]) {
        const char type = block[156];
        std::uint64_t size = number_at(block, 124, 12);
        if (type == 'x' || type == 'g') {
            read_records(content(size), type == 'g', next_);
            return skip(size);
        }
        if (type == 'L' || type == 'K') {
            std::string text = content(size);
            text.resize(::strnlen(text.data(), text.size()));
            (type == 'L' ? next_.path : next_.link) = std::move(text);
            return skip(size);
        }
        TarMember found;
        switch (type) {
            case '\0':
            case '0':
            case '7': found.type = TarMember::Type::file; break;
            case '1': found.type = TarMember::Type::hardlink; break;
            case '2': found.type = TarMember::Type::symlink; break;
            case '5': found.type = TarMember::Type::directory; break;
            default: fail("has a member that is no file, directory or link");
        }
        std::string name(text_at(block, 0, 100));
        // Only POSIX headers have a prefix; GNU's have times there.
        if (std::memcmp(block + 257, "ustar\0", 6) == 0 && block[345] != '\0') {
            name = std::string(text_at(block, 345, 155)) + "/" + name;
        }
        const Overrides overrides = std::exchange(next_, {});
        name = clean_name(overrides.path.value_or(name));
        found.link = overrides.link.value_or(std::string(text_at(block, 157, 100)));
        found.size = found.type == TarMember::Type::file ? overrides.size.value_or(size) : 0;
        found.offset = position_;
        skip(found.size);
        if (found.type == TarMember::Type::directory) return;
        if (members_.size() == most_members) fail("has more than " + std::to_string(most_members) + " members");
        if (!members_.emplace(name, std::move(found)).second) fail("has " + printable(name) + " twice");
    }

    int file_;
    std::uint64_t end_;
    std::uint64_t position_ = 0;
    Overrides next_;
    std::map<std::string, TarMember> members_;
};

}  // namespace

bool is_tar_header(const char (&block)[512]) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < block_size; ++i) {
        sum += i >= 148 && i < 156 ? static_cast<unsigned char>(' ') : static_cast<unsigned char>(block[i]);
    }
    std::uint64_t stated = 0;
    for (const char c : trim(text_at(block, 148, 8))) {
        if (c < '0' || c > '7') return false;
        stated = stated << 3U | static_cast<std::uint64_t>(c - '0');
    }
    return sum == stated;
}

std::map<std::string, TarMember> index_tar(int file) {
    return Indexer(file).run();
}

}  // namespace mkimg::builder
