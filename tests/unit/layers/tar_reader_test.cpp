#include "layers/tar_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <clocale>

#include "base/error.h"
#include "layers/tar_writer.h"
#include "tests/unit/layers/raw_tar.h"

namespace mkimg::layers {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::string content_of(TarReader& reader) {
    std::string out;
    std::vector<std::byte> buffer(1000);
    while (const std::size_t n = reader.read(buffer)) out += as_text(std::span(buffer).first(n));
    return out;
}

class Read : public testing::Test {
  protected:
    Entry next() {
        auto entry = reader->next();
        EXPECT_TRUE(entry.has_value());
        return entry.value_or(Entry{});
    }
    void open(const std::string& tar) {
        bytes = tar;
        source.emplace(std::string_view(bytes));
        reader.emplace(*source);
    }
    std::string bytes;
    std::optional<MemorySource> source;
    std::optional<TarReader> reader;
};

TEST_F(Read, FieldsOfAnEntry) {
    open(RawTar()
             .pax({{"SCHILY.xattr.user.b", "2"}, {"SCHILY.xattr.user.a", std::string("\0\n", 2)}})
             .add({.name = "./d/f", .content = "hello", .mode = 04711, .uid = 1, .gid = 2, .mtime = 99})
             .symlink("s", "/a//b/../c/")
             .hardlink("h", "./d/f")
             .add({.name = "c", .type = '3', .major = 5, .minor = 6})
             .add({.name = "b", .type = '4', .major = 7, .minor = 8})
             .add({.name = "p", .type = '6'})
             .dir("/e/")
             .dir("./")
             .end()
             .bytes());
    Entry entry = next();
    EXPECT_EQ(entry.path, "d/f");
    EXPECT_EQ(entry.type, EntryType::file);
    EXPECT_EQ(entry.mode, 04711U);
    EXPECT_EQ(entry.uid, 1U);
    EXPECT_EQ(entry.gid, 2U);
    EXPECT_EQ(entry.size, 5U);
    EXPECT_EQ(entry.mtime, 99);
    ASSERT_EQ(entry.xattrs.size(), 2U);
    EXPECT_EQ(entry.xattrs[0], std::pair("user.a" + std::string(), std::string("\0\n", 2)));
    EXPECT_EQ(entry.xattrs[1].first, "user.b");
    EXPECT_EQ(content_of(*reader), "hello");
    entry = next();
    EXPECT_EQ(entry.type, EntryType::symlink);
    EXPECT_EQ(entry.link, "/a//b/../c/");  // verbatim
    EXPECT_THAT(entry.xattrs, IsEmpty());
    entry = next();
    EXPECT_EQ(entry.type, EntryType::hardlink);
    EXPECT_EQ(entry.link, "d/f");
    entry = next();
    EXPECT_EQ(entry.type, EntryType::char_device);
    EXPECT_EQ(std::pair(entry.major, entry.minor), std::pair(5U, 6U));
    entry = next();
    EXPECT_EQ(entry.type, EntryType::block_device);
    EXPECT_EQ(std::pair(entry.major, entry.minor), std::pair(7U, 8U));
    EXPECT_EQ(next().type, EntryType::fifo);
    EXPECT_EQ(next().path, "e");
    entry = next();
    EXPECT_EQ(entry.path, "");
    EXPECT_EQ(entry.type, EntryType::directory);
    EXPECT_FALSE(reader->next().has_value());
}

TEST_F(Read, UnreadContentIsSkipped) {
    open(RawTar().file("a", std::string(700'000, 'a')).file("b", "b").end().bytes());
    EXPECT_EQ(next().path, "a");
    EXPECT_EQ(next().path, "b");
    EXPECT_EQ(content_of(*reader), "b");
    EXPECT_EQ(content_of(*reader), "");
}

TEST_F(Read, BlocksAreTheContent) {
    const std::string content(700'000, 'a');
    open(RawTar().file("a", content).end().bytes());
    next();
    std::string out;
    while (const auto block = reader->next_block()) {
        EXPECT_EQ(block->offset, out.size());
        out += as_text(block->bytes);
    }
    EXPECT_TRUE(out == content);
}

// The names must come out as they are whatever the program's own locale.
TEST_F(Read, NamesAreBytesInEveryLocale) {
    const std::string before = std::setlocale(LC_ALL, nullptr);
    for (const char* locale : {"C", "C.UTF-8", "POSIX"}) {
        ASSERT_NE(std::setlocale(LC_ALL, locale), nullptr);
        open(RawTar()
                 .file("caf\xe9")
                 .pax({{"path", "caf\xc3\xa9"}})
                 .file("x")
                 .pax({{"path", "caf\xe9/\xff"}})
                 .file("x")
                 .pax({{"hdrcharset", "BINARY"}, {"path", "\xc3\xa9\xe9"}})
                 .file("x")
                 .end()
                 .bytes());
        EXPECT_EQ(next().path, "caf\xe9") << locale;
        EXPECT_EQ(next().path, "caf\xc3\xa9") << locale;
        EXPECT_EQ(next().path, "caf\xe9/\xff") << locale;
        EXPECT_EQ(next().path, "\xc3\xa9\xe9") << locale;
    }
    std::setlocale(LC_ALL, before.c_str());
}

class FailingSource final : public Source {
  public:
    explicit FailingSource(std::string bytes) : bytes_(std::move(bytes)), source_(std::string_view(bytes_)) {}
    std::size_t read(std::span<std::byte> buffer) override {
        const std::size_t n = source_.read(buffer.first(std::min<std::size_t>(buffer.size(), 512)));
        if (n == 0) throw Error(ErrorCode::unavailable, "the network is gone");
        return n;
    }

  private:
    std::string bytes_;
    MemorySource source_;
};

TEST(ReadErrors, OfTheSourceComeThroughUnchanged) {
    const std::string tar = RawTar().file("a", std::string(5000, 'a')).bytes();
    FailingSource source(tar.substr(0, 2048));
    TarReader reader(source);
    ASSERT_TRUE(reader.next().has_value());
    std::vector<std::byte> buffer(10000);
    try {
        while (reader.read(buffer) != 0) {
        }
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::unavailable);
        EXPECT_EQ(error.message(), "the network is gone");
    }
}

TEST(ReadErrors, NameTheEntry) {
    const std::string tar = RawTar().file("first").file("dir/second", std::string(5000, 'a')).bytes();
    MemorySource source(std::string_view(tar).substr(0, 3000));
    TarReader reader(source);
    ASSERT_TRUE(reader.next().has_value());
    ASSERT_TRUE(reader.next().has_value());
    std::vector<std::byte> buffer(10000);
    try {
        while (reader.read(buffer) != 0) {
        }
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::corrupt);
        EXPECT_THAT(error.message(), HasSubstr("entry 2 (dir/second)"));
    }
}

TEST_F(Read, WhatTheWriterWrites) {
    StringSink sink;
    TarWriter writer(sink);
    Entry entry{.path = std::string(150, 'a') + "/" + std::string(150, 'b'),
                .mode = 0644,
                .uid = 4294967294,
                .gid = 3000000,
                .size = 3,
                .mtime = -5};
    entry.xattrs = {{"security.capability", std::string("\x01\x00\x02", 3)}, {"user.x", "a=b\n"}};
    MemorySource content(std::string_view("abc"));
    writer.add(entry, &content);
    const Entry link{.path = "l", .type = EntryType::symlink, .mode = 0777, .link = std::string(3000, 't')};
    writer.add(link);
    writer.finish();
    open(sink.take());
    const Entry read = next();
    EXPECT_EQ(read.path, entry.path);
    EXPECT_EQ(read.uid, entry.uid);
    EXPECT_EQ(read.gid, entry.gid);
    EXPECT_EQ(read.mtime, entry.mtime);
    EXPECT_EQ(read.xattrs, entry.xattrs);
    EXPECT_EQ(content_of(*reader), "abc");
    EXPECT_EQ(next().link, link.link);
}

}  // namespace
}  // namespace mkimg::layers
