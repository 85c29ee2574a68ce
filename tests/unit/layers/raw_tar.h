// Makes tars block by block, the ones that no honest program would write too.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mkimg::layers {

struct RawHeader {
    std::string name;
    char type = '0';
    std::string content;
    std::string link;
    unsigned mode = 0644;
    std::uint64_t uid = 0;
    std::uint64_t gid = 0;
    std::int64_t mtime = 1000;
    unsigned major = 0;
    unsigned minor = 0;
    // Written as they are, over what the above would give.
    std::string raw_size;
    std::string raw_mtime;
    std::string raw_uid;
    std::string magic = std::string("ustar\00000", 8);
    std::string prefix;
};

class RawTar {
  public:
    RawTar& add(const RawHeader& header) {
        std::string block(512, '\0');
        put(block, 0, 100, header.name);
        put(block, 100, 8, octal(header.mode, 7));
        put(block, 108, 8, header.raw_uid.empty() ? octal(header.uid, 7) : header.raw_uid);
        put(block, 116, 8, octal(header.gid, 7));
        put(block, 124, 12, header.raw_size.empty() ? octal(header.content.size(), 11) : header.raw_size);
        put(block, 136, 12,
            header.raw_mtime.empty() ? octal(static_cast<std::uint64_t>(header.mtime), 11) : header.raw_mtime);
        block[156] = header.type;
        put(block, 157, 100, header.link);
        put(block, 257, 8, header.magic);
        put(block, 329, 8, octal(header.major, 7));
        put(block, 337, 8, octal(header.minor, 7));
        put(block, 345, 155, header.prefix);
        seal(block);
        bytes_ += block;
        return raw(padded(header.content));
    }

    RawTar& file(const std::string& name, const std::string& content = {}, unsigned mode = 0644) {
        return add({.name = name, .content = content, .mode = mode});
    }
    RawTar& dir(const std::string& name, unsigned mode = 0755) {
        return add({.name = name, .type = '5', .mode = mode});
    }
    RawTar& symlink(const std::string& name, const std::string& target) {
        return add({.name = name, .type = '2', .link = target, .mode = 0777});
    }
    RawTar& hardlink(const std::string& name, const std::string& target) {
        return add({.name = name, .type = '1', .link = target});
    }
    // PAX records for the next entry (or, with 'g', for all that follow).
    RawTar& pax(const std::vector<std::pair<std::string, std::string>>& records, char type = 'x') {
        std::string body;
        for (const auto& [key, value] : records) body += record(key, value);
        return add({.name = "PaxHeaders/x", .type = type, .content = body});
    }
    // GNU's long name ('L') or long link ('K') for the next entry.
    RawTar& gnu(char type, const std::string& text) {
        return add({.name = "././@LongLink",
                    .type = type,
                    .content = text + std::string(1, '\0'),
                    .magic = std::string("ustar  \0", 8)});
    }
    RawTar& raw(std::string_view bytes) {
        bytes_ += bytes;
        return *this;
    }
    RawTar& end() { return raw(std::string(1024, '\0')); }

    const std::string& bytes() const { return bytes_; }

    static std::string octal(std::uint64_t value, int digits) {
        char text[32];
        std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
        return text;
    }
    // GNU's base-256: the first bit set, then the number, big-endian.
    static std::string base256(std::int64_t value, std::size_t size) {
        std::string out(size, value < 0 ? '\xff' : '\0');
        for (std::size_t i = 0; i < 8 && i < size; ++i) {
            out[size - 1 - i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
        }
        out[0] = static_cast<char>(static_cast<unsigned char>(out[0]) | 0x80U);
        return out;
    }
    static std::string record(const std::string& key, const std::string& value) {
        const std::size_t rest = key.size() + value.size() + 3;
        std::size_t length = rest + 1;
        while (length != rest + std::to_string(length).size()) ++length;
        return std::to_string(length) + " " + key + "=" + value + "\n";
    }
    static std::string padded(std::string content) {
        content.resize((content.size() + 511) / 512 * 512, '\0');
        return content;
    }
    static void seal(std::string& block) {
        put(block, 148, 8, "        ");
        unsigned sum = 0;
        for (const char c : block) sum += static_cast<unsigned char>(c);
        put(block, 148, 8, octal(sum, 6) + std::string("\0 ", 2));
    }

  private:
    static void put(std::string& block, std::size_t at, std::size_t size, std::string_view text) {
        std::memcpy(block.data() + at, text.data(), std::min(size, text.size()));
    }

    std::string bytes_;
};

}  // namespace mkimg::layers
