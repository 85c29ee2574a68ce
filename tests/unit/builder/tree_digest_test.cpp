#include "builder/tree_digest.h"

#include <gmock/gmock.h>
#include <sys/inotify.h>

#include <thread>

#include "copy_fixture.h"

namespace mkimg::builder {
namespace {

using testing::CopyFixture;
using ::testing::HasSubstr;
using testing::old_time;

class TreeDigestTest : public CopyFixture {
  protected:
    TreeDigestTest() {
        put("context/dir/a", "A");
        put("context/dir/sub/b", "B");
        put_link("context/dir/link", "a");
    }
    std::string of(std::vector<std::string> sources, const std::string& target = "/x/") {
        return to_hex(digest(std::move(sources), target));
    }
};

TEST_F(TreeDigestTest, OnlyTimesAndOwnersOfTheContextDontCount) {
    const std::string before = of({"dir"});
    set_time("context/dir/a", old_time + 5);
    set_time("context/dir/sub", old_time + 5);
    set_time("context/dir/link", old_time + 5);
    ASSERT_EQ(::chown(at("context/dir/a").c_str(), 5, 6), 0);
    EXPECT_EQ(of({"dir"}), before);
    ASSERT_EQ(::chmod(at("context/dir").c_str(), 0700), 0);  // the target has its own mode
    EXPECT_EQ(of({"dir"}), before);
}

TEST_F(TreeDigestTest, EverythingElseCounts) {
    std::vector<std::string> seen = {of({"dir"})};
    const auto differs = [&](const char* what) {
        const std::string now = of({"dir"});
        EXPECT_THAT(seen, ::testing::Not(::testing::Contains(now))) << what;
        seen.push_back(now);
    };
    put("context/dir/a", "B");
    differs("content");
    ASSERT_EQ(::chmod(at("context/dir/a").c_str(), 0755), 0);
    differs("mode of a file");
    ASSERT_EQ(::chmod(at("context/dir/sub").c_str(), 0700), 0);
    differs("mode of a directory");
    put_link("context/dir/link", "b");
    differs("target of a link");
    put("context/dir/link", "b");
    differs("a file instead of a link");
    ASSERT_EQ(::rename(at("context/dir/a").c_str(), at("context/dir/c").c_str()), 0);
    differs("name");
    ASSERT_EQ(::setxattr(at("context/dir/c").c_str(), "user.x", "1", 1, 0), 0);
    differs("extended attribute");
    ASSERT_EQ(::setxattr(at("context/dir/c").c_str(), "user.x", "2", 1, 0), 0);
    differs("value of an extended attribute");
    ASSERT_EQ(::setxattr(at("context/dir/sub").c_str(), "user.x", "2", 1, 0), 0);
    differs("extended attribute of a directory");
    put_directory("context/dir/empty");
    differs("empty directory");
    put("context/dir/one", "same");
    put("context/dir/two", "same");
    differs("two files");
    ASSERT_EQ(::unlink(at("context/dir/two").c_str()), 0);
    ASSERT_EQ(::link(at("context/dir/one").c_str(), at("context/dir/two").c_str()), 0);
    differs("two names of one file");
    ASSERT_EQ(::mkfifo(at("context/dir/fifo").c_str(), 0644), 0);
    differs("FIFO");
}

TEST_F(TreeDigestTest, StructureIsNotConcatenation) {
    put("context/one/ab/c", "");
    put("context/two/a/bc", "");
    EXPECT_NE(of({"one"}), of({"two"}));
    put("context/three/a", "xy");
    put("context/three/b", "");
    put("context/four/a", "x");
    put("context/four/b", "y");
    EXPECT_NE(of({"three"}), of({"four"}));
    EXPECT_NE(of({"dir/a", "dir/sub"}), of({"dir/sub", "dir/a"}));
}

TEST_F(TreeDigestTest, WhereTheSourceLiesDoesntMatter) {
    put("context/other/place/a", "A");
    put("context/other/place/sub/b", "B");
    put_link("context/other/place/link", "a");
    EXPECT_EQ(of({"other/place"}), of({"dir"}));
}

TEST_F(TreeDigestTest, ChmodAndChownMask) {
    const auto with = [&](const std::string& chmod, const std::string& chown, const SourceTree& tree) {
        CopyRequest wanted = request({"dir"}, "/x/");
        wanted.chmod = chmod;
        wanted.chown = chown;
        return to_hex(digest(tree, std::move(wanted)));
    };
    const std::string masked = with("755", "", source_tree(context()));
    const std::string symbolic = with("a+x", "", source_tree(context()));
    const std::string image_owned = with("", "", image("context"));
    const std::string image_chowned = with("", "7:8", image("context"));
    ASSERT_EQ(::chmod(at("context/dir/a").c_str(), 0755), 0);
    EXPECT_EQ(with("755", "", source_tree(context())), masked);
    EXPECT_EQ(with("a+x", "", source_tree(context())), symbolic);
    ASSERT_EQ(::chmod(at("context/dir/a").c_str(), 0644), 0);
    EXPECT_EQ(with("", "7:8", image("context")), image_chowned);
    EXPECT_EQ(with("", "", image("context")), image_owned);
    ASSERT_EQ(::chown(at("context/dir/a").c_str(), 5, 6), 0);
    EXPECT_NE(with("", "", image("context")), image_owned);
    EXPECT_EQ(with("", "7:8", image("context")), image_chowned);
}

TEST_F(TreeDigestTest, IgnoredAndExcludedFilesDontCount) {
    const std::string ignore = "**/*.log\n";
    const auto ignoring = [&] { return to_hex(digest(source_tree(context(ignore)), request({"dir"}, "/x/"))); };
    const auto excluding = [&] {
        CopyRequest wanted = request({"dir"}, "/x/");
        wanted.exclude = {"**/*.log"};
        return to_hex(digest(source_tree(context()), std::move(wanted)));
    };
    const std::string plain = of({"dir"});
    EXPECT_EQ(ignoring(), plain);
    EXPECT_EQ(excluding(), plain);
    put("context/dir/sub/x.log", "noise");
    EXPECT_EQ(ignoring(), plain);
    EXPECT_EQ(excluding(), plain);
    EXPECT_NE(of({"dir"}), plain);
}

TEST_F(TreeDigestTest, AnIgnoredDirectoryShowsWhatAnExceptionBringsBack) {
    put("context/t/deep/er/z", "Z");
    put("context/t/deep/q", "Q");
    put("context/t/other/r", "R");
    put("context/u/deep/er/z", "Z");
    EXPECT_EQ(to_hex(digest(source_tree(context("t\n!t/deep/er/z\n!t/nothing/here\n")), request({"t"}, "/x/"))),
              of({"u"}));
    EXPECT_THAT(error_of([&] { digest(source_tree(context("t\n!t/nothing/here\n")), request({"t"}, "/x/")); },
                         ErrorCode::not_found),
                HasSubstr("`.dockerignore:1` (`t`) excludes it"));
}

TEST_F(TreeDigestTest, LargeFilesAreTheSameForAnyNumberOfThreads) {
    std::string large(5U << 20U, 'x');
    for (std::size_t i = 0; i < large.size(); i += 1000) large[i] = static_cast<char>('a' + i % 26);
    put("context/large", large);
    put("context/large2", large);
    const std::string one = of({"large"});
    ThreadPool single(1);
    CopyPlan plan = plan_copy(source_tree(context()), request({"large"}, "/x/"));
    EXPECT_EQ(to_hex(content_digest(plan, single)), one);
    large[(4U << 20U) + 17] ^= 1;
    put("context/large", large);
    EXPECT_NE(of({"large"}), one);
    large.push_back('x');
    put("context/large", large);
    EXPECT_NE(of({"large"}), one);
}

TEST_F(TreeDigestTest, AWarmContextIsNotRead) {
    put("context/dir/large", std::string(3U << 20U, 'l'));
    std::this_thread::sleep_for(std::chrono::milliseconds(2100));  // younger files are not trusted
    const UniqueFd notify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    for (const char* name : {"context/dir/a", "context/dir/sub/b", "context/dir/large"}) {
        ASSERT_GE(::inotify_add_watch(notify.get(), at(name).c_str(), IN_OPEN), 0);
    }
    const auto opened = [&] {
        char buffer[4096];
        std::size_t count = 0;
        for (ssize_t n = 0; (n = ::read(notify.get(), buffer, sizeof buffer)) > 0;) {
            count += static_cast<std::size_t>(n) / sizeof(inotify_event);
        }
        return count;
    };
    const auto first = digest(source_tree(context()), request({"dir"}, "/x/"));
    EXPECT_EQ(opened(), 3U);
    EXPECT_EQ(digest(source_tree(context()), request({"dir"}, "/x/")), first);
    EXPECT_EQ(opened(), 0U);
    put("context/dir/a", "changed");
    EXPECT_NE(digest(source_tree(context()), request({"dir"}, "/x/")), first);
}

TEST_F(TreeDigestTest, WhatIsNotNamedIsNotRead) {
    put("context/other/file", "x");
    ASSERT_EQ(::mkdir(at("context/unnamed").c_str(), 0755), 0);
    const UniqueFd notify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    ASSERT_GE(::inotify_add_watch(notify.get(), at("context/other").c_str(), IN_OPEN), 0);
    ASSERT_GE(::inotify_add_watch(notify.get(), at("context").c_str(), IN_ACCESS), 0);
    of({"dir/a"});
    char buffer[4096];
    EXPECT_LT(::read(notify.get(), buffer, sizeof buffer), 0);
}

TEST_F(TreeDigestTest, MountsDigestWholeTreesAsTheyAre) {
    const auto whole = [&](const std::string& path) { return to_hex(content_digest(image("context"), path, pool_)); };
    const std::string before = whole("/dir");
    put_link("context/to_dir", "/dir");
    EXPECT_EQ(whole("to_dir"), before);
    ASSERT_EQ(::chmod(at("context/dir").c_str(), 0700), 0);
    EXPECT_NE(whole("/dir"), before);
    EXPECT_EQ(error_of([&] { whole("/nope"); }, ErrorCode::not_found), "/nope: not in the image");
}

}  // namespace
}  // namespace mkimg::builder
