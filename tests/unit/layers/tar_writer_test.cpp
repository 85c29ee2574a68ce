#include "layers/tar_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/unit/layers/shell.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::layers {
namespace {

using namespace std::string_literals;
using testing::HasSubstr;

std::string tar_of(const std::vector<std::pair<Entry, std::string>>& entries) {
    StringSink sink;
    TarWriter writer(sink);
    for (const auto& [entry, content] : entries) {
        MemorySource source{std::string_view(content)};
        writer.add(entry, entry.type == EntryType::file ? &source : nullptr);
    }
    writer.finish();
    return sink.take();
}

std::string tar_of(const Entry& entry) {
    return tar_of({{entry, std::string(entry.size, 'x')}});
}

// What Python's tarfile reads, one line for each member.
std::string read_by_python(const std::string& tar) {
    const TempDir dir;
    dir.write("t.tar", tar);
    return output_of(
        "python3 -c '\nimport tarfile, sys\n"
        "for m in tarfile.open(sys.argv[1], errors=\"surrogateescape\"):\n"
        "    d = m.pax_headers\n"
        "    print(ascii(m.name), m.type.decode(), oct(m.mode), m.uid, m.gid, m.size, m.mtime,"
        " ascii(m.linkname), ascii({k: d[k] for k in sorted(d)}))\n' " +
        dir.path("t.tar"));
}

std::string read_by_gnu_tar(const std::string& tar) {
    const TempDir dir;
    dir.write("t.tar", tar);
    return output_of("tar --numeric-owner --utc --full-time -tvf " + dir.path("t.tar"));
}

TEST(TarWriter, HeaderIsUstarByteForByte) {
    Entry entry{.path = "etc/hostname", .mode = 0640, .uid = 8, .gid = 9, .size = 3, .mtime = 1};
    const std::string tar = tar_of({{entry, "abc"}});
    // POSIX.1-2017, pax, "ustar Interchange Format": offset, length, value.
    std::string header(512, '\0');
    header.replace(0, 12, "etc/hostname");
    header.replace(100, 7, "0000640");
    header.replace(108, 7, "0000010");
    header.replace(116, 7, "0000011");
    header.replace(124, 11, "00000000003");
    header.replace(136, 11, "00000000001");
    header.replace(148, 8, "        ");
    header[156] = '0';
    header.replace(257, 8, "ustar\00000"s);
    header.replace(329, 7, "0000000");
    header.replace(337, 7, "0000000");
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    char text[8];
    std::snprintf(text, sizeof text, "%06o", sum);
    header.replace(148, 8, std::string(text, 6) + "\0 "s);
    EXPECT_EQ(tar, header + "abc" + std::string(509, '\0') + std::string(1024, '\0'));
}

TEST(TarWriter, EmptyArchiveIsTwoZeroBlocks) {
    EXPECT_EQ(tar_of(std::vector<std::pair<Entry, std::string>>{}), std::string(1024, '\0'));
}

TEST(TarWriter, NamesOfDirectoriesAndOfTheRoot) {
    EXPECT_EQ(tar_name({.path = "", .type = EntryType::directory}), "./");
    EXPECT_EQ(tar_name({.path = "a/b", .type = EntryType::directory}), "a/b/");
    EXPECT_EQ(tar_name({.path = "a/b", .type = EntryType::symlink}), "a/b");
}

TEST(TarWriter, EveryTypeAsGnuTarListsIt) {
    const std::string tar = tar_of({
        {{.path = "d", .type = EntryType::directory, .mode = 01777, .uid = 1, .gid = 2, .mtime = 60}, ""},
        {{.path = "d/f", .mode = 06755, .uid = 1, .gid = 2, .size = 2}, "hi"},
        {{.path = "h", .type = EntryType::hardlink, .mode = 0644, .link = "d/f"}, ""},
        {{.path = "s", .type = EntryType::symlink, .mode = 0777, .link = "../x"}, ""},
        {{.path = "c", .type = EntryType::char_device, .mode = 0600, .major = 4095, .minor = 1048575}, ""},
        {{.path = "b", .type = EntryType::block_device, .mode = 0600, .major = 8, .minor = 1}, ""},
        {{.path = "p", .type = EntryType::fifo, .mode = 0644}, ""},
    });
    EXPECT_EQ(read_by_gnu_tar(tar),
              "drwxrwxrwt 1/2               0 1970-01-01 00:01:00 d/\n"
              "-rwsr-sr-x 1/2               2 1970-01-01 00:00:00 d/f\n"
              "hrw-r--r-- 0/0               0 1970-01-01 00:00:00 h link to d/f\n"
              "lrwxrwxrwx 0/0               0 1970-01-01 00:00:00 s -> ../x\n"
              "crw------- 0/0    4095,1048575 1970-01-01 00:00:00 c\n"
              "brw------- 0/0             8,1 1970-01-01 00:00:00 b\n"
              "prw-r--r-- 0/0               0 1970-01-01 00:00:00 p\n");
}

struct NameCase {
    std::string path;
    bool pax;
};

TEST(TarWriter, LongNamesUsePrefixWherePossible) {
    const std::string part50(50, 'p');
    const std::vector<NameCase> cases = {
        {std::string(100, 'n'), false},
        {std::string(101, 'n'), true},  // no "/" to split at
        {part50 + "/" + std::string(100, 'n'), false},
        {part50 + "/" + std::string(101, 'n'), true},
        {std::string(155, 'p') + "/" + std::string(100, 'n'), false},
        {std::string(156, 'p') + "/" + std::string(100, 'n'), true},
        {part50 + "/" + part50 + "/" + part50 + "/" + part50, false},
        {std::string(255, 'c') + "/" + std::string(255, 'c'), true},
    };
    std::vector<std::pair<Entry, std::string>> entries;
    for (const NameCase& test : cases) {
        const Entry entry{.path = test.path};
        EXPECT_EQ(tar_of(entry).find("path=") != std::string::npos, test.pax) << test.path;
        entries.emplace_back(entry, "");
    }
    const std::string python = read_by_python(tar_of(entries));
    const std::string gnu_tar = read_by_gnu_tar(tar_of(entries));
    for (const NameCase& test : cases) {
        EXPECT_THAT(python, HasSubstr("'" + test.path + "' 0 "));
        EXPECT_THAT(gnu_tar, HasSubstr(" " + test.path + "\n"));
    }
}

TEST(TarWriter, LongDirectoryNamesCountTheirSlash) {
    // 99 bytes and a "/" fit; with 100 the "/" is no place to split at.
    for (const std::size_t size : {99U, 100U}) {
        const std::string tar = tar_of({.path = std::string(size, 'd'), .type = EntryType::directory});
        EXPECT_EQ(tar.size(), size == 99 ? 1536U : 2560U);
        EXPECT_THAT(read_by_gnu_tar(tar), HasSubstr(" " + std::string(size, 'd') + "/\n"));
    }
}

TEST(TarWriter, LongLinks) {
    const std::string target(101, 't');
    EXPECT_EQ(tar_of({.path = "s", .type = EntryType::symlink, .link = std::string(100, 't')}).size(), 1536U);
    const std::string tar = tar_of({{{.path = "s", .type = EntryType::symlink, .link = target}, ""},
                                    {{.path = "h", .type = EntryType::hardlink, .link = target + "/x"}, ""}});
    EXPECT_THAT(read_by_gnu_tar(tar), HasSubstr("s -> " + target + "\n"));
    EXPECT_THAT(read_by_gnu_tar(tar), HasSubstr("h link to " + target + "/x\n"));
    EXPECT_THAT(read_by_python(tar), HasSubstr("'linkpath': '" + target + "'"));
}

TEST(TarWriter, NumbersBeyondUstarGoToPax) {
    const std::string fits = tar_of({.path = "a", .uid = 2097151, .gid = 2097151, .mtime = 077777777777});
    EXPECT_EQ(fits.size(), 1536U);
    const std::string tar = tar_of({{{.path = "a", .uid = 2097152, .gid = 4294967294}, ""},
                                    {{.path = "b", .mtime = -1}, ""},
                                    {{.path = "c", .mtime = 0100000000000}, ""}});
    const std::string read = read_by_python(tar);
    EXPECT_EQ(read,
              "'a' 0 0o0 2097152 4294967294 0 0 '' {'gid': '4294967294', 'uid': '2097152'}\n"
              "'b' 0 0o0 0 0 0 -1.0 '' {'mtime': '-1'}\n"
              "'c' 0 0o0 0 0 0 8589934592.0 '' {'mtime': '8589934592'}\n");
    EXPECT_THAT(read_by_gnu_tar(tar), HasSubstr("2097152/4294967294 0 1970-01-01 00:00:00 a\n"));
    EXPECT_THAT(read_by_gnu_tar(tar), HasSubstr("1969-12-31 23:59:59 b\n"));
}

// Zeros without an end, of which a writer takes what it wants.
class Zeros final : public Source {
  public:
    explicit Zeros(std::uint64_t size) : left_(size) {}
    std::size_t read(std::span<std::byte> buffer) override {
        const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), left_));
        std::fill_n(buffer.begin(), n, std::byte{0});
        left_ -= n;
        return n;
    }

  private:
    std::uint64_t left_;
};

class HeadSink final : public Sink {
  public:
    void write(std::span<const std::byte> bytes) override {
        size += bytes.size();
        if (head.size() < 4096) head += as_text(bytes.first(std::min<std::size_t>(bytes.size(), 4096)));
    }
    std::string head;
    std::uint64_t size = 0;
};

TEST(TarWriter, EightGigabytesAndMore) {
    for (const std::uint64_t size : {077777777777ULL, 0100000000000ULL}) {
        HeadSink sink;
        TarWriter writer(sink);
        Zeros content(size);
        writer.add({.path = "big", .size = size}, &content);
        writer.finish();
        const bool pax = size > 077777777777ULL;
        EXPECT_EQ(sink.size, 512 + (pax ? 1024U : 0U) + 0100000000000ULL + 1024);
        EXPECT_EQ(sink.head.find("19 size=8589934592\n") != std::string::npos, pax);
        EXPECT_EQ(sink.head.substr(124, 11), pax ? "00000000023" : "77777777777");
    }
}

TEST(TarWriter, XattrsWithAnyBytes) {
    Entry entry{.path = "a"};
    entry.xattrs = {{"security.capability", "\x01\x00\x00\x02"s}, {"user.k", "a=b\nc"}};
    const std::string tar = tar_of(entry);
    EXPECT_THAT(read_by_python(tar), HasSubstr("'SCHILY.xattr.security.capability': '\\x01\\x00\\x00\\x02', "
                                               "'SCHILY.xattr.user.k': 'a=b\\nc'"));
    const TempDir dir;
    dir.write("t.tar", tar_of([] {
                  Entry kept{.path = "a"};
                  kept.xattrs = {{"user.k", "a=b\nc"}};
                  return kept;
              }()));
    output_of("cd " + dir.path() + " && tar --xattrs -xf t.tar");
    EXPECT_EQ(output_of("cd " + dir.path() + " && getfattr --only-values -n user.k a"), "a=b\nc");
}

TEST(TarWriter, XattrNameWithEqualsSignIsRefused) {
    Entry entry{.path = "a"};
    entry.xattrs = {{"user.a=b", "v"}};
    EXPECT_THROW(tar_of(entry), Error);
}

TEST(TarWriter, PaxRecordsCountTheirOwnLength) {
    // The count itself adds a digit at 100.
    std::vector<std::pair<Entry, std::string>> entries;
    for (std::size_t size = 60; size < 110; ++size) {
        entries.emplace_back(Entry{.path = std::to_string(size)}, "");
        entries.back().first.xattrs = {{"user.k", std::string(size, 'v')}};
    }
    const std::string read = read_by_python(tar_of(entries));
    for (std::size_t size = 60; size < 110; ++size) {
        EXPECT_THAT(read, HasSubstr("'" + std::to_string(size) + "' 0 0o0 0 0 0 0 '' {'SCHILY.xattr.user.k': '" +
                                    std::string(size, 'v') + "'}\n"));
    }
}

TEST(TarWriter, NamesAreBytes) {
    const std::string tar = tar_of({{{.path = "caf\xe9"}, ""},
                                    {{.path = "\xc3\xa9"}, ""},
                                    {{.path = std::string(101, '\xe9')}, ""},
                                    {{.path = "l", .type = EntryType::symlink, .link = std::string(101, '\xff')}, ""}});
    EXPECT_THAT(tar, testing::Not(HasSubstr("hdrcharset")));
    const TempDir dir;
    dir.write("t.tar", tar);
    output_of("mkdir " + dir.path("x") + " && tar -C " + dir.path("x") + " -xf " + dir.path("t.tar"));
    const UniqueFd out = open_path(dir.path("x"), O_RDONLY | O_DIRECTORY);
    std::vector<std::string> names;
    for (const DirEntry& entry : list_directory(out.get())) names.push_back(entry.name);
    EXPECT_THAT(names, testing::UnorderedElementsAre("caf\xe9", "\xc3\xa9", std::string(101, '\xe9'), "l"));
}

TEST(TarWriter, ContentMustHaveTheSizeSaid) {
    for (const std::string content : {"12", "1234"}) {
        StringSink sink;
        TarWriter writer(sink);
        MemorySource source{std::string_view(content)};
        try {
            writer.add({.path = "a", .size = 3}, &source);
            FAIL() << content;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::corrupt);
        }
    }
}

TEST(TarWriter, DeviceNumberBeyondUstarIsRefused) {
    EXPECT_THROW(tar_of({.path = "a", .type = EntryType::char_device, .major = 1U << 21U}), Error);
}

}  // namespace
}  // namespace mkimg::layers
