// Expected values: BuildKit's and Buildah's behaviour, see docs/copy.md.
#include "builder/copy.h"

#include <gmock/gmock.h>
#include <sys/sysmacros.h>

#include "base/stream.h"
#include "copy_fixture.h"
#include "layers/compression.h"
#include "layers/tar_writer.h"

namespace mkimg::builder {
namespace {

using testing::CopyFixture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::old_time;

class CopyTest : public CopyFixture {
  protected:
    CopyTest() {
        put("context/a", "A");
        put("context/b", "B", 0600);
        put("context/dir/f", "F");
        put("context/dir/.hidden", "H");
        put("context/dir/sub/g", "G", 0755);
        put_link("context/dir/link", "f");
        EXPECT_EQ(::chmod(at("context/dir/sub").c_str(), 0711), 0);
        EXPECT_EQ(::chmod(at("context/dir").c_str(), 0750), 0);
        set_time("context/dir/sub", old_time);
    }
    mode_t mode(const std::string& path) const { return stat_of(path).st_mode & 07777U; }
    std::string owner(const std::string& path) const {
        const struct stat stat = stat_of(path);
        return std::to_string(stat.st_uid) + ":" + std::to_string(stat.st_gid);
    }
    std::string conflict(std::vector<std::string> sources, const std::string& target) {
        return error_of([&] { copy(std::move(sources), target); }, ErrorCode::conflict);
    }
    // A tar of one directory "d" and one file "d/in".
    std::string tar() const {
        StringSink sink;
        layers::TarWriter writer(sink);
        layers::Entry entry;
        entry.path = "d";
        entry.type = layers::EntryType::directory;
        entry.mode = 0750;
        entry.mtime = old_time;
        writer.add(entry);
        entry.path = "d/in";
        entry.type = layers::EntryType::file;
        entry.mode = 04755;
        entry.uid = 5;
        entry.gid = 6;
        entry.size = 2;
        MemorySource content(std::string_view("in"));
        writer.add(entry, &content);
        writer.finish();
        return sink.text();
    }
    std::string gzip(const std::string& text) {
        StringSink sink;
        const auto out = layers::compress(sink, {layers::Compression::gzip, 6}, pool_);
        out->write(as_bytes(text));
        out->finish();
        return sink.text();
    }
    void add(std::vector<std::string> sources, const std::string& target) {
        CopyRequest wanted = request(std::move(sources), target);
        wanted.add = wanted.unpack = true;
        run(source_tree(context()), std::move(wanted));
    }
};

TEST_F(CopyTest, AFileUnderANewName) {
    copy({"a"}, "/new/place/name");
    EXPECT_EQ(content("image/new/place/name"), "A");
    EXPECT_EQ(mode("image/new/place/name"), 0644U);
    EXPECT_EQ(mode("image/new"), 0755U);
    EXPECT_EQ(stat_of("image/new/place/name").st_mtim.tv_sec, old_time);
}

TEST_F(CopyTest, FilesIntoADirectory) {
    copy({"a", "b"}, "/x/");
    EXPECT_THAT(names("image/x"), ElementsAre("a", "b"));
    EXPECT_EQ(mode("image/x/b"), 0600U);
    copy({"a"}, "/x");  // exists as a directory
    copy({"b"}, ".");
    EXPECT_THAT(names("image"), ElementsAre("b", "x"));
}

TEST_F(CopyTest, ADirectoryGivesItsContents) {
    copy({"dir"}, "/x");
    EXPECT_THAT(names("image/x"), ElementsAre(".hidden", "f", "link", "sub"));
    EXPECT_EQ(link_of("image/x/link"), "f");
    EXPECT_EQ(mode("image/x"), 0755U);  // a new directory's, not the source's
    EXPECT_EQ(mode("image/x/sub"), 0711U);
    EXPECT_EQ(mode("image/x/sub/g"), 0755U);
    for (const char* path : {"image/x/f", "image/x/sub", "image/x/sub/g", "image/x/link"}) {
        EXPECT_EQ(stat_of(path).st_mtim.tv_sec, old_time) << path;
    }
}

TEST_F(CopyTest, DirectoriesMerge) {
    put("image/x/sub/old", "old");
    put("image/x/f", "before");
    ASSERT_EQ(::chmod(at("image/x").c_str(), 0700), 0);
    copy({"dir"}, "/x/");
    EXPECT_THAT(names("image/x/sub"), ElementsAre("g", "old"));
    EXPECT_EQ(content("image/x/f"), "F");
    EXPECT_EQ(mode("image/x"), 0700U);      // the target's own mode stays
    EXPECT_EQ(mode("image/x/sub"), 0711U);  // one below takes the source's
}

TEST_F(CopyTest, TheUmaskDoesntMatter) {
    const mode_t before = ::umask(077);
    put("context/open", "", 0777);
    copy({"dir", "open"}, "/x/y/");
    ::umask(before);
    EXPECT_EQ(mode("image/x"), 0755U);
    EXPECT_EQ(mode("image/x/y/open"), 0777U);
    EXPECT_EQ(mode("image/x/y/sub/g"), 0755U);
}

TEST_F(CopyTest, OwnersAndModes) {
    ASSERT_EQ(::chown(at("context/dir/f").c_str(), 7, 8), 0);
    put("context/setuid", "s", 06755);
    copy({"dir", "setuid"}, "/plain/");
    EXPECT_EQ(owner("image/plain/f"), "0:0");
    EXPECT_EQ(mode("image/plain/setuid"), 06755U);
    CopyRequest wanted = request({"dir", "setuid"}, "/new/owned/");
    wanted.chown = "11:12";
    wanted.chmod = "u=rwX,go=rX";
    run(source_tree(context()), wanted);
    for (const char* path : {"image/new", "image/new/owned", "image/new/owned/f", "image/new/owned/link",
                             "image/new/owned/sub", "image/new/owned/sub/g", "image/new/owned/setuid"}) {
        EXPECT_EQ(owner(path), "11:12") << path;
    }
    EXPECT_EQ(mode("image/new/owned/f"), 0644U);
    EXPECT_EQ(mode("image/new/owned/sub"), 0755U);
    CopyRequest with_setuid = request({"a"}, "/suid");
    with_setuid.chown = "3:4";
    with_setuid.chmod = "4750";
    run(source_tree(context()), with_setuid);
    EXPECT_EQ(mode("image/suid"), 04750U);
    EXPECT_EQ(owner("image/suid"), "3:4");
}

TEST_F(CopyTest, OwnersByName) {
    put("image/etc/passwd", "app:x:41:42::/:/bin/sh\n");
    put("image/etc/group", "web:x:43:\n");
    CopyRequest wanted = request({"a"}, "/one");
    wanted.chown = "app:web";
    run(source_tree(context()), wanted);
    EXPECT_EQ(owner("image/one"), "41:43");
}

TEST_F(CopyTest, AnImagesOwnersComeAlong) {
    put("stage/k/f", "F");
    ASSERT_EQ(::chown(at("stage/k/f").c_str(), 21, 22), 0);
    ASSERT_EQ(::chmod(at("stage/k/f").c_str(), 06755), 0);
    run(image("stage"), request({"/k"}, "/z"));
    EXPECT_EQ(owner("image/z"), "0:0");
    EXPECT_EQ(owner("image/z/f"), "21:22");
    EXPECT_EQ(mode("image/z/f"), 06755U);
    CopyRequest wanted = request({"/k/f"}, "/y/");
    wanted.chown = "31:32";
    run(image("stage"), wanted);
    EXPECT_EQ(owner("image/y"), "31:32");
    EXPECT_EQ(owner("image/y/f"), "31:32");
    EXPECT_EQ(mode("image/y/f"), 06755U);
}

TEST_F(CopyTest, AnImageIsCopiedWithoutReadingForDigests) {
    put("stage/k/f", "F");
    put_link("stage/k/l", "f");
    ASSERT_EQ(::setxattr(at("stage/k/f").c_str(), "user.x", "1", 1, 0), 0);
    CopyPlan plan = plan_copy(image("stage"), request({"/k"}, "/z"));
    index_sources(plan, pool_);
    execute(plan);
    EXPECT_EQ(content("image/z/f"), "F");
    EXPECT_EQ(link_of("image/z/l"), "f");
    char value = 0;
    EXPECT_EQ(::getxattr(at("image/z/f").c_str(), "user.x", &value, 1), 1);
}

TEST_F(CopyTest, ExtendedAttributes) {
    const std::string capability("\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
    ASSERT_EQ(::setxattr(at("context/a").c_str(), "user.x", "1", 1, 0), 0);
    ASSERT_EQ(::setxattr(at("context/a").c_str(), "security.capability", capability.data(), capability.size(), 0), 0);
    ASSERT_EQ(::setxattr(at("context/dir/sub").c_str(), "user.d", "2", 1, 0), 0);
    copy({"a", "dir"}, "/x/");
    char value[64];
    EXPECT_EQ(::getxattr(at("image/x/a").c_str(), "user.x", value, sizeof value), 1);
    EXPECT_EQ(::getxattr(at("image/x/sub").c_str(), "user.d", value, sizeof value), 1);
    EXPECT_LT(::getxattr(at("image/x/a").c_str(), "security.capability", value, sizeof value), 0);
    CopyRequest wanted = request({"/a"}, "/y/");
    wanted.chown = "5:6";
    run(image("context"), wanted);
    EXPECT_EQ(::getxattr(at("image/y/a").c_str(), "security.capability", value, sizeof value), 20);
}

TEST_F(CopyTest, HardLinksStayHardLinks) {
    put("context/h/one", "same");
    put_directory("context/h/z");
    ASSERT_EQ(::link(at("context/h/one").c_str(), at("context/h/z/two").c_str()), 0);
    set_time("context/h/z", old_time);
    put("image/x/z/two", "in the way");
    copy({"h"}, "/x/");
    EXPECT_EQ(stat_of("image/x/one").st_ino, stat_of("image/x/z/two").st_ino);
    EXPECT_EQ(stat_of("image/x/one").st_nlink, 2U);
    EXPECT_EQ(stat_of("image/x/z").st_mtim.tv_sec, old_time);
    copy({"h/one", "h/z/two"}, "/y/");  // two sources are two files
    EXPECT_NE(stat_of("image/y/one").st_ino, stat_of("image/y/two").st_ino);
}

TEST_F(CopyTest, SpecialFiles) {
    ASSERT_EQ(::mkfifo(at("context/dir/fifo").c_str(), 0640), 0);
    ASSERT_EQ(::mknod(at("context/dir/null").c_str(), S_IFCHR | 0600, makedev(1, 3)), 0);
    ASSERT_EQ(::mknod(at("context/dir/sock").c_str(), S_IFSOCK | 0600, 0), 0);
    copy({"dir"}, "/x");
    EXPECT_TRUE(S_ISFIFO(stat_of("image/x/fifo").st_mode));
    EXPECT_EQ(mode("image/x/fifo"), 0640U);
    EXPECT_EQ(stat_of("image/x/null").st_rdev, makedev(1, 3));
    EXPECT_FALSE(exists("image/x/sock"));
}

TEST_F(CopyTest, LargeFilesBesideSmallOnes) {
    const std::string large(20U << 20U, 'l');
    const std::string medium(100'000, 'm');
    put("context/data/sub/large", large, 0640);
    put("context/data/medium", medium);
    put("context/data/empty", "");
    set_time("context/data/sub", old_time);
    copy({"data"}, "/x");
    EXPECT_TRUE(content("image/x/sub/large") == large);
    EXPECT_TRUE(content("image/x/medium") == medium);
    EXPECT_EQ(content("image/x/empty"), "");
    EXPECT_EQ(mode("image/x/sub/large"), 0640U);
    EXPECT_EQ(stat_of("image/x/sub/large").st_mtim.tv_sec, old_time);
    EXPECT_EQ(stat_of("image/x/sub").st_mtim.tv_sec, old_time);
}

TEST_F(CopyTest, ManyDirectoriesOnManyThreads) {
    for (int i = 0; i < 60; ++i)
        put("context/many/d" + std::to_string(i % 8) + "/e" + std::to_string(i), std::to_string(i));
    copy({"many"}, "/x");
    for (int i = 0; i < 60; ++i) {
        EXPECT_EQ(content("image/x/d" + std::to_string(i % 8) + "/e" + std::to_string(i)), std::to_string(i));
    }
}

TEST_F(CopyTest, SymlinksInTheTargetAreFollowedInsideTheImage) {
    put_directory("image/real");
    put("image/file", "before");
    put_link("image/link", "/real");
    put_link("image/to_file", "file");
    put_link("image/dangling", "/made/later");
    put_link("image/up", "../../..//real/deep");
    copy({"a"}, "/link/");
    copy({"a"}, "/link");
    copy({"b"}, "/link/renamed");
    EXPECT_THAT(names("image/real"), ElementsAre("a", "renamed"));
    copy({"a"}, "/to_file");
    EXPECT_EQ(link_of("image/to_file"), "file");
    EXPECT_EQ(content("image/file"), "A");
    copy({"a"}, "/dangling");
    EXPECT_EQ(content("image/made/later"), "A");
    copy({"b"}, "/up/x");
    EXPECT_EQ(content("image/real/deep/x"), "B");
    copy({"dir"}, "/link");
    EXPECT_TRUE(exists("image/real/sub/g"));
    EXPECT_EQ(link_of("image/link"), "/real");
}

TEST_F(CopyTest, InsideADirectorySymlinksAreReplacedNotFollowed) {
    put("image/x/kept", "kept");
    put_link("image/x/f", "kept");
    copy({"dir"}, "/x");
    EXPECT_EQ(content("image/x/f"), "F");
    EXPECT_EQ(link_of("image/x/f"), "(no link)");
    EXPECT_EQ(content("image/x/kept"), "kept");
}

TEST_F(CopyTest, ConflictsSayWhatIsInTheWay) {
    put("image/file", "x");
    put("image/x/sub", "a file where a directory comes");
    EXPECT_EQ(conflict({"dir"}, "/file"), "/file exists and is not a directory");
    EXPECT_EQ(conflict({"a"}, "/file/"), "/file exists and is not a directory");
    EXPECT_EQ(conflict({"a"}, "/file/x"), "/file exists and is not a directory");
    EXPECT_EQ(conflict({"dir"}, "/x"), "cannot copy a directory to non-directory: /x/sub");
    put_directory("image/y/f");
    EXPECT_EQ(conflict({"dir"}, "/y"), "cannot replace the directory /y/f with a file");
    put_directory("image/z/a");
    EXPECT_EQ(conflict({"a"}, "/z/"), "cannot replace the directory /z/a with a file");
    put_link("image/loop", "loop");
    EXPECT_THAT(conflict({"a"}, "/loop"), HasSubstr("too many levels of symbolic links"));
    EXPECT_THAT(conflict({"a"}, "/loop/x"), HasSubstr("too many levels of symbolic links"));
}

TEST_F(CopyTest, SeveralMatchesNeedADirectory) {
    EXPECT_EQ(error_of([&] { copy({"[ab]"}, "/new"); }, ErrorCode::recipe),
              "COPY [ab] means several files, but the target /new is no directory");
    put_directory("image/there");
    copy({"[ab]"}, "/there");
    EXPECT_THAT(names("image/there"), ElementsAre("a", "b"));
}

TEST_F(CopyTest, Heredocs) {
    CopyRequest wanted = request({}, "/etc/app.conf");
    wanted.heredocs.push_back({"EOF", "key=1\n"});
    wanted.epoch = 1'234'567'890;
    run(source_tree(context()), wanted);
    EXPECT_EQ(content("image/etc/app.conf"), "key=1\n");
    EXPECT_EQ(mode("image/etc/app.conf"), 0644U);
    EXPECT_EQ(stat_of("image/etc/app.conf").st_mtim.tv_sec, 1'234'567'890);
    EXPECT_EQ(stat_of("image/etc").st_mtim.tv_sec, stat_of("image").st_mtim.tv_sec);
    wanted = request({"a"}, "/x/");
    wanted.heredocs = {{"one", "1"}, {"two", "2"}};
    wanted.chmod = "755";
    wanted.chown = "5:6";
    run(source_tree(context()), wanted);
    EXPECT_THAT(names("image/x"), ElementsAre("a", "one", "two"));
    EXPECT_EQ(mode("image/x/one"), 0755U);
    EXPECT_EQ(owner("image/x/two"), "5:6");
}

TEST_F(CopyTest, ParentsComeAlong) {
    put("context/p/q/r", "R");
    ASSERT_EQ(::chmod(at("context/p/q").c_str(), 0711), 0);
    CopyRequest wanted = request({"p/q/r", "dir/./sub"}, "/x/");
    wanted.parents = true;
    run(source_tree(context()), wanted);
    EXPECT_EQ(content("image/x/p/q/r"), "R");
    EXPECT_EQ(mode("image/x/p/q"), 0711U);
    EXPECT_EQ(content("image/x/sub/g"), "G");
    EXPECT_EQ(mode("image/x/sub"), 0711U);
}

TEST_F(CopyTest, ExcludedFilesStayAway) {
    CopyRequest wanted = request({"dir"}, "/x/");
    wanted.exclude = {"sub", ".hid*"};
    run(source_tree(context()), wanted);
    EXPECT_THAT(names("image/x"), ElementsAre("f", "link"));
}

TEST_F(CopyTest, ArchivesAreKnownByContent) {
    put("context/plain", tar());
    put("context/packed", gzip(tar()));
    put("context/not.tar", "no archive");
    put("context/text.gz", gzip("just text"));
    put("context/cut.tar", tar().substr(0, 100));
    put("context/zeros.tar", std::string(10240, '\0'));
    put("context/holds/archive", tar());
    add({"plain"}, "/one");
    EXPECT_EQ(content("image/one/d/in"), "in");
    EXPECT_EQ(mode("image/one/d/in"), 04755U);
    EXPECT_EQ(owner("image/one/d/in"), "5:6");
    EXPECT_EQ(mode("image/one/d"), 0750U);
    add({"packed", "not.tar", "text.gz", "cut.tar", "zeros.tar", "holds"}, "/two/");
    EXPECT_THAT(names("image/two"), ElementsAre("archive", "cut.tar", "d", "not.tar", "text.gz", "zeros.tar"));
    copy({"plain"}, "/three/");
    EXPECT_THAT(names("image/three"), ElementsAre("plain"));
}

TEST_F(CopyTest, ArchivesKeepTheirOwners) {
    put("context/plain", tar());
    CopyRequest wanted = request({"plain"}, "/x/");
    wanted.add = wanted.unpack = true;
    wanted.chown = "7:8";
    wanted.chmod = "600";
    run(source_tree(context()), wanted);
    EXPECT_EQ(owner("image/x"), "7:8");
    EXPECT_EQ(owner("image/x/d/in"), "5:6");
    EXPECT_EQ(mode("image/x/d/in"), 04755U);
}

TEST_F(CopyTest, OnlyWhatWasDigestedIsCopied) {
    CopyPlan plan = plan_copy(source_tree(context()), request({"dir"}, "/x"));
    content_digest(plan, pool_);
    put("context/dir/late", "came after the digest");
    execute(plan);
    EXPECT_THAT(names("image/x"), ElementsAre(".hidden", "f", "link", "sub"));
}

TEST_F(CopyTest, AFileThatChangesMeanwhileIsAnError) {
    const auto changed = [&](const std::string& source, auto change) {
        CopyPlan plan = plan_copy(source_tree(context()), request({source}, "/x/"));
        content_digest(plan, pool_);
        change();
        return error_of([&] { execute(plan); }, ErrorCode::conflict);
    };
    EXPECT_EQ(changed("dir", [&] { put("context/dir/f", "X"); }), "dir/f changed while the build was reading it");
    EXPECT_EQ(changed("a", [&] { put("context/a", "longer than it was"); }),
              "a changed while the build was reading it");
    EXPECT_EQ(changed("dir", [&] { put_link("context/dir/link", "sub"); }),
              "dir/link changed while the build was reading it");
    EXPECT_EQ(changed("dir", [&] { ::unlink(at("context/dir/sub/g").c_str()); }),
              "dir/sub/g changed while the build was reading it");
    EXPECT_EQ(changed("b", [&] { ::unlink(at("context/b").c_str()); }), "b changed while the build was reading it");
}

}  // namespace
}  // namespace mkimg::builder
