#include "layers/tree_tar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <thread>

#include "base/error.h"
#include "base/overlay.h"
#include "layers/apply.h"
#include "tests/unit/layers/shell.h"
#include "tests/unit/layers/tree_text.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::layers {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

class TreeTar : public testing::Test {
  protected:
    std::string at(const std::string& name) const { return tree.path(name); }
    void dir(const std::string& name, mode_t mode = 0755) const { make_directory(tree.fd(), name, mode); }
    void special(const std::string& name, mode_t mode, dev_t device = 0) const {
        ASSERT_EQ(::mknod(at(name).c_str(), mode, device), 0) << name;
    }
    void link(const std::string& target, const std::string& name) const {
        ASSERT_EQ(::link(at(target).c_str(), at(name).c_str()), 0) << name;
    }
    void symlink(const std::string& target, const std::string& name) const {
        ASSERT_EQ(::symlink(target.c_str(), at(name).c_str()), 0) << name;
    }
    void xattr(const std::string& name, const char* key, const std::string& value) const {
        ASSERT_EQ(::lsetxattr(at(name).c_str(), key, value.data(), value.size(), 0), 0) << name << " " << key;
    }
    void times(const std::string& name, std::int64_t seconds, long nanoseconds = 0) const {
        const timespec both[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
        ASSERT_EQ(::utimensat(AT_FDCWD, at(name).c_str(), both, AT_SYMLINK_NOFOLLOW), 0);
    }
    std::string tar(const TreeTarOptions& options = {}) const {
        StringSink sink;
        summary = write_tree_tar(tree.fd(), sink, options);
        return sink.take();
    }
    // The members as GNU tar lists them, without the times.
    std::string listing(const TreeTarOptions& options = {}) const {
        const TempDir out;
        out.write("t.tar", tar(options));
        return output_of("tar --numeric-owner -tvf " + out.path("t.tar") +
                         " | sed -E 's/ +[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}//'");
    }
    std::vector<std::string> names(const TreeTarOptions& options = {}) const {
        const TempDir out;
        out.write("t.tar", tar(options));
        std::vector<std::string> found;
        const std::string text = output_of("tar --quoting-style=literal -tf " + out.path("t.tar"));
        for (std::size_t start = 0, end = 0; (end = text.find('\n', start)) != std::string::npos; start = end + 1) {
            found.push_back(text.substr(start, end - start));
        }
        return found;
    }

    TempDir tree;
    mutable TreeSummary summary;
};

TEST_F(TreeTar, SortedByTheNamesInTheTar) {
    for (const char* name : {"a", "a-b", "B", "a/d", "a.d"}) dir(name);
    for (const char* name : {"a/x", "a/d/y", "a0", "a-b/z", "\xff", "z"}) tree.write(name, "");
    EXPECT_THAT(names(), ElementsAre("B/", "a-b/", "a-b/z", "a.d/", "a/", "a/d/", "a/d/y", "a/x", "a0", "z", "\xff"));
    EXPECT_EQ(summary.entries, 11U);
}

TEST_F(TreeTar, WhiteoutsAndOpaqueMarks) {
    dir("d");
    dir("gone-below");
    tree.write("d/.a", "");
    tree.write("keep", "");
    special("d/x", S_IFCHR, makedev(0, 0));
    ASSERT_EQ(::link(at("d/x").c_str(), at("gone").c_str()), 0);  // overlay links all its whiteouts
    xattr("d", overlay_uses_user_xattrs() ? "user.overlay.opaque" : "trusted.overlay.opaque", "y");
    EXPECT_EQ(listing(),
              "---------- 0/0               0 .wh.gone\n"
              "drwxr-xr-x 0/0               0 d/\n"
              "---------- 0/0               0 d/.wh..wh..opq\n"
              "-rw-r--r-- 0/0               0 d/.a\n"
              "---------- 0/0               0 d/.wh.x\n"
              "drwxr-xr-x 0/0               0 gone-below/\n"
              "-rw-r--r-- 0/0               0 keep\n");
    // In a merged tree the same things are what they look like.
    EXPECT_THAT(listing({.overlay_marks = false}), HasSubstr("c--------- 0/0             0,0 d/x\n"));
    EXPECT_THAT(listing({.overlay_marks = false}), Not(HasSubstr(".wh.")));
}

TEST_F(TreeTar, OpaqueRoot) {
    tree.write("a", "");
    xattr(".", "trusted.overlay.opaque", "y");
    EXPECT_THAT(names(), ElementsAre(".wh..wh..opq", "a"));
}

TEST_F(TreeTar, FilesThatLookLikeWhiteoutsAreRefused) {
    tree.write(".wh.x", "");
    try {
        tar();
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::unsupported);
        EXPECT_THAT(error.message(), HasSubstr(".wh.x"));
    }
    EXPECT_THAT(names({.overlay_marks = false}), ElementsAre(".wh.x"));
}

TEST_F(TreeTar, XattrsThatALayerCarries) {
    tree.write("f", "");
    xattr("f", "user.b", "2");
    xattr("f", "user.a", "1\0\n"s);
    xattr("f", "trusted.secret", "x");
    xattr("f", "security.evm", "x");
    xattr("f", "trusted.overlay.origin", "x");
    const std::string bytes = tar();
    EXPECT_THAT(bytes, HasSubstr("27 SCHILY.xattr.user.a=1\0\n\n25 SCHILY.xattr.user.b=2\n"s));
    EXPECT_THAT(bytes, Not(HasSubstr("trusted")));
    EXPECT_THAT(bytes, Not(HasSubstr("evm")));
}

TEST_F(TreeTar, CapabilitiesAreTheSameForRootAndRootless) {
    const std::string v2("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
    std::string v3 = v2 + "\xe8\x03\x00\x00"s;
    v3[3] = 3;
    tree.write("f", "x");
    times("f", 5);
    xattr("f", "security.capability", v2);
    const std::string first = tar();
    EXPECT_THAT(first, HasSubstr("SCHILY.xattr.security.capability=" + v2 + "\n"));
    xattr("f", "security.capability", v3);
    EXPECT_EQ(tar(), first);
}

TEST_F(TreeTar, HardLinks) {
    dir("b");
    tree.write("b/2", "content");
    link("b/2", "a");
    link("b/2", "c");
    symlink("x", "l1");
    link("l1", "l2");
    special("p", S_IFIFO | 0644);
    link("p", "q");
    EXPECT_EQ(listing(),
              "-rw-r--r-- 0/0               7 a\n"
              "drwxr-xr-x 0/0               0 b/\n"
              "hrw-r--r-- 0/0               0 b/2 link to a\n"
              "hrw-r--r-- 0/0               0 c link to a\n"
              "lrwxrwxrwx 0/0               0 l1 -> x\n"
              "hrwxrwxrwx 0/0               0 l2 link to l1\n"
              "prw-r--r-- 0/0               0 p\n"
              "hrw-r--r-- 0/0               0 q link to p\n");
    EXPECT_EQ(summary.bytes, 7U);
}

TEST_F(TreeTar, AFileWithLinksElsewhereIsAFile) {
    const TempDir other;
    tree.write("a", "content");
    if (::link(at("a").c_str(), other.path("b").c_str()) != 0) FAIL();
    EXPECT_EQ(listing(), "-rw-r--r-- 0/0               7 a\n");
}

TEST_F(TreeTar, EveryTypeModeAndOwner) {
    tree.write("f", "x");
    ASSERT_EQ(::lchown(at("f").c_str(), 3000000, 4294967294U), 0);
    ASSERT_EQ(::chmod(at("f").c_str(), 06711), 0);
    special("null", S_IFCHR | 0666, makedev(1, 3));
    special("loop", S_IFBLK | 0660, makedev(7, 300));
    symlink("/etc/x y", "s");
    ASSERT_EQ(::chmod(at("null").c_str(), 0666), 0);
    ASSERT_EQ(::chmod(at("loop").c_str(), 0660), 0);
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const UniqueFd closer(listener);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    at("socket").copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listing(),
              "-rws--s--x 3000000/4294967294 1 f\n"
              "brw-rw---- 0/0            7,300 loop\n"
              "crw-rw-rw- 0/0              1,3 null\n"
              "lrwxrwxrwx 0/0                0 s -> /etc/x y\n");
    EXPECT_EQ(summary.entries, 4U);
}

TEST_F(TreeTar, RootEntry) {
    ASSERT_EQ(::fchmod(tree.fd(), 0711), 0);
    EXPECT_EQ(listing({.root_entry = true}), "drwx--x--x 0/0               0 ./\n");
    EXPECT_EQ(listing(), "");
}

TEST_F(TreeTar, TimesAreWholeSecondsAndClamped) {
    tree.write("a", "");
    tree.write("b", "");
    times("a", -1, 500'000'000);  // half a second before 1970
    times("b", 2000, 1);
    const std::string bytes = tar({.epoch = 1500});
    EXPECT_THAT(bytes, HasSubstr("12 mtime=-1\n"));
    EXPECT_THAT(bytes, HasSubstr("00000002734"));  // 1500
}

TEST_F(TreeTar, SparseFilesAreWhole) {
    const UniqueFd file = open_at(tree.fd(), "s", O_WRONLY | O_CREAT, 0644);
    ASSERT_EQ(::pwrite(file.get(), "begin", 5, 0), 5);
    ASSERT_EQ(::pwrite(file.get(), "middle", 6, 5'000'000), 6);
    ASSERT_EQ(::ftruncate(file.get(), 9'000'001), 0);
    std::string expected(9'000'001, '\0');
    expected.replace(0, 5, "begin");
    expected.replace(5'000'000, 6, "middle");
    EXPECT_TRUE(tar().substr(512, expected.size()) == expected);
    EXPECT_EQ(summary.bytes, expected.size());
}

TEST_F(TreeTar, ALongerHoleThanMemory) {
    const UniqueFd file = open_at(tree.fd(), "s", O_WRONLY | O_CREAT, 0644);
    ASSERT_EQ(::ftruncate(file.get(), 3LL << 30U), 0);
    NullSink sink;
    EXPECT_EQ(write_tree_tar(tree.fd(), sink).bytes, 3ULL << 30U);
}

TEST_F(TreeTar, DeeperThanDescriptorsReach) {
    UniqueFd here = tree.fd() >= 0 ? open_at(tree.fd(), ".", O_RDONLY | O_DIRECTORY) : UniqueFd();
    constexpr int levels = 2000;
    for (int i = 0; i < levels; ++i) {
        make_directory(here.get(), "d", 0755);
        if (i % 500 == 0) make_directory(here.get(), "e", 0755);  // to come back to
        here = open_at(here.get(), "d", O_RDONLY | O_DIRECTORY);
    }
    StringSink sink;
    EXPECT_EQ(write_tree_tar(tree.fd(), sink).entries, levels + 4U);
    const TempDir copy;
    MemorySource source{std::string_view(sink.text())};
    apply_tar(source, copy.fd(), {});
    StringSink again;
    write_tree_tar(copy.fd(), again);
    EXPECT_TRUE(again.text() == sink.text());
    output_of("rm -rf " + tree.path("d") + " " + copy.path("d"));
}

TEST_F(TreeTar, APathThatNobodyCouldOpenIsRefused) {
    UniqueFd here = open_at(tree.fd(), ".", O_RDONLY | O_DIRECTORY);
    const std::string name(255, 'n');
    for (int i = 0; i < 17; ++i) {
        make_directory(here.get(), name, 0755);
        here = open_at(here.get(), name, O_RDONLY | O_DIRECTORY);
    }
    EXPECT_THROW(tar(), Error);
    output_of("cd " + tree.path() + " && rm -rf n*");
}

TEST_F(TreeTar, AMountBelowIsNotRead) {
    std::string said;
    // In a mount namespace of its own, so that nothing stays mounted whatever happens.
    std::thread([&] {
        dir("m");
        ASSERT_EQ(::unshare(CLONE_FS | CLONE_NEWNS), 0);
        ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
        ASSERT_EQ(::mount("tmpfs", at("m").c_str(), "tmpfs", 0, nullptr), 0);
        try {
            NullSink sink;
            const UniqueFd root = open_path(tree.path(), O_RDONLY | O_DIRECTORY);
            write_tree_tar(root.get(), sink);
        } catch (const Error& error) {
            said = error.message();
        }
        ::umount(at("m").c_str());
    }).join();
    EXPECT_EQ(said, "something is mounted at m");
}

// Changes a file of the tree when the tar's first bytes come out: the first entry is then read.
class MeddlingSink final : public Sink {
  public:
    explicit MeddlingSink(std::function<void()> meddle) : meddle_(std::move(meddle)) {}
    void write(std::span<const std::byte>) override {
        if (meddle_) std::exchange(meddle_, nullptr)();
    }

  private:
    std::function<void()> meddle_;
};

TEST_F(TreeTar, AFileThatChangesMeanwhileIsAConflict) {
    const std::string megabyte(1U << 20U, 'x');
    const std::vector<std::function<void()>> changes = {
        [&] { ASSERT_EQ(::truncate(at("big").c_str(), 600'000), 0); },
        [&] { tree.write("big", megabyte + "more"); },
        [&] { tree.write("big", megabyte); },
        [&] { ASSERT_EQ(::chmod(at("big").c_str(), 0600), 0); },
    };
    for (const auto& change : changes) {
        tree.write("big", megabyte);
        MeddlingSink sink(change);
        try {
            write_tree_tar(tree.fd(), sink);
            FAIL();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::conflict);
            EXPECT_EQ(error.message(), "big changed while it was read");
        }
    }
}

TEST_F(TreeTar, RoundTripThroughGnuTarAndBack) {
    dir("d", 01777);
    dir("caf\xe9");
    tree.write("d/" + std::string(150, 'n'), "long");
    tree.write("caf\xe9/\xff", "bytes");
    tree.write("f", "content");
    xattr("f", "user.k", "v");
    link("f", "hard");
    symlink(std::string(300, 't'), "soft");
    special("fifo", S_IFIFO | 0600);
    special("dev", S_IFCHR | 0600, makedev(1, 3));
    ASSERT_EQ(::lchown(at("soft").c_str(), 5000000, 6), 0);
    for (const char* name : {"d", "f", "soft", "fifo", "dev", "caf\xe9", "."}) times(name, 1'500'000'000);
    times("d/" + std::string(150, 'n'), -100);
    times("caf\xe9/\xff", 10'000'000'000);
    const TreeTextOptions exact{.times = true, .owners = true};
    const std::string expected = tree_text(tree.path(), exact);
    const std::string bytes = tar({.root_entry = true});

    const TempDir by_tar;
    by_tar.write("t.tar", bytes);
    dir("../" + by_tar.path().substr(by_tar.path().rfind('/') + 1) + "/x");
    output_of("tar --numeric-owner --xattrs --xattrs-include='*' -C " + by_tar.path("x") + " -xpf " +
              by_tar.path("t.tar"));
    EXPECT_EQ(tree_text(by_tar.path("x"), exact), expected);

    const TempDir by_us;
    MemorySource source{std::string_view(bytes)};
    apply_tar(source, by_us.fd(), {});
    EXPECT_EQ(tree_text(by_us.path(), exact), expected);
}

TEST_F(TreeTar, ClampTimes) {
    dir("d");
    tree.write("d/late", "");
    tree.write("early", "");
    symlink("early", "link");
    special("gone", S_IFCHR, makedev(0, 0));
    times("d/late", 2000);
    times("early", 999, 999'999'999);
    times("link", 1000, 1);
    times("d", 3000);
    clamp_times(tree.fd(), 1000);
    EXPECT_THAT(tree_text(tree.path(), {.times = true}),
                testing::StartsWith("/ 700 @1000\nd/ 755 @1000\nd/late 644 '' @1000\nearly 644 '' @999\n"));
    struct stat st {};
    ASSERT_EQ(::lstat(at("link").c_str(), &st), 0);
    EXPECT_EQ(st.st_mtim.tv_sec, 1000);
    EXPECT_EQ(st.st_mtim.tv_nsec, 0);
    ASSERT_EQ(::lstat(at("early").c_str(), &st), 0);
    EXPECT_EQ(st.st_mtim.tv_nsec, 999'999'999);
}

class SameButForTimes : public testing::Test {
  protected:
    SameButForTimes() {
        for (const TempDir* side : {&a, &b}) {
            make_directory(side->fd(), "d", 0755);
            side->write("d/f", std::string(300'000, 'x'));
            side->write("g", "g");
        }
    }
    bool same() const { return same_but_for_times(a.fd(), b.fd()); }

    TempDir a;
    TempDir b;
};

TEST_F(SameButForTimes, TimesDoNotMatter) {
    const timespec times[2] = {{1, 0}, {1, 0}};
    for (const char* name : {"d", "g", "."}) ASSERT_EQ(::utimensat(b.fd(), name, times, 0), 0);
    EXPECT_TRUE(same());
}

TEST_F(SameButForTimes, EverythingElseDoes) {
    const std::vector<std::function<void()>> changes = {
        [&] { b.write("d/f", std::string(299'999, 'x') + "y"); },
        [&] { b.write("d/f", std::string(300'001, 'x')); },
        [&] { b.write("new", ""); },
        [&] { ASSERT_EQ(::unlinkat(b.fd(), "g", 0), 0); },
        [&] { ASSERT_EQ(::fchmodat(b.fd(), "d", 0700, 0), 0); },
        [&] { ASSERT_EQ(::fchmod(b.fd(), 0711), 0); },
        [&] { ASSERT_EQ(::fchownat(b.fd(), "g", 1, 0, 0), 0); },
        [&] { ASSERT_EQ(::setxattr(b.path("g").c_str(), "user.k", "v", 1, 0), 0); },
        [&] { ASSERT_EQ(::setxattr(b.path("d").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0); },
        [&] {
            ASSERT_EQ(::unlinkat(b.fd(), "g", 0), 0);
            ASSERT_EQ(::mknodat(b.fd(), "g", S_IFCHR, 0), 0);
        },
        [&] {
            ASSERT_EQ(::unlinkat(b.fd(), "g", 0), 0);
            ASSERT_EQ(::symlinkat("d/f", b.fd(), "g"), 0);
        },
    };
    for (std::size_t i = 0; i < changes.size(); ++i) {
        output_of("rm -rf " + b.path("*") + " && cp -a " + a.path("d") + " " + a.path("g") + " " + b.path() +
                  " && chmod 700 " + b.path());
        ASSERT_TRUE(same());
        changes[i]();
        EXPECT_FALSE(same()) << i;
    }
}

TEST_F(SameButForTimes, HardLinksAreNotCopies) {
    ASSERT_EQ(::linkat(a.fd(), "g", a.fd(), "h", 0), 0);
    b.write("h", "g");
    EXPECT_FALSE(same());
    ASSERT_EQ(::unlinkat(b.fd(), "h", 0), 0);
    ASSERT_EQ(::linkat(b.fd(), "g", b.fd(), "h", 0), 0);
    EXPECT_TRUE(same());
}

}  // namespace
}  // namespace mkimg::layers
