// Hostile contexts and images: nothing outside the two trees is read, written or touched.
#include <gmock/gmock.h>

#include "base/stream.h"
#include "copy_fixture.h"
#include "layers/tar_writer.h"

namespace mkimg::builder {
namespace {

using testing::CopyFixture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::old_time;

class CopySecurityTest : public CopyFixture {
  protected:
    CopySecurityTest() {
        put("context/a", "A");
        set_time("canary", old_time);
    }
    ~CopySecurityTest() override {
        EXPECT_EQ(content("canary/secret"), "secret");
        EXPECT_THAT(names("canary"), ElementsAre("secret"));
        EXPECT_EQ(stat_of("canary/secret").st_mtim.tv_sec, old_time);
        EXPECT_EQ(stat_of("canary/secret").st_mode & 07777U, 0644U);
        EXPECT_EQ(stat_of("canary").st_mtim.tv_sec, old_time);
        EXPECT_EQ(stat_of("canary").st_mode & 07777U, 0755U);
    }
    std::string canary() const { return base_ + "/canary"; }
    std::string missing(const std::string& source) {
        return error_of([&] { copy({source}, "/x/"); }, ErrorCode::not_found);
    }
};

TEST_F(CopySecurityTest, SourcesDontLeaveTheContext) {
    put_link("context/absolute", canary() + "/secret");
    put_link("context/relative", "../canary/secret");
    put_link("context/deep/relative", "../../canary/secret");
    put_link("context/directory", canary());
    put_link("context/dots", "../canary");
    put_link("context/magic", "/proc/self/cwd");
    for (const char* source : {"absolute", "relative", "deep/relative", "directory", "directory/secret", "dots",
                               "dots/secret", "dots/*", "magic", "magic/etc/passwd", "*/secret"}) {
        EXPECT_THAT(missing(source), HasSubstr(std::string("COPY ") + source)) << source;
    }
    for (const char* source : {"../canary/secret", "/../canary/secret", "../../../../etc/passwd"}) {
        EXPECT_THAT(missing(source), HasSubstr("not in the context")) << source;
    }
    EXPECT_FALSE(exists("image/x"));
}

TEST_F(CopySecurityTest, LinksOutInsideADirectoryAreCopiedAsLinks) {
    put_link("context/dir/file", canary() + "/secret");
    put_link("context/dir/directory", canary());
    copy({"dir"}, "/x");
    EXPECT_EQ(link_of("image/x/file"), canary() + "/secret");
    EXPECT_EQ(link_of("image/x/directory"), canary());
}

TEST_F(CopySecurityTest, AnImagesTreeIsHeldTheSame) {
    put_link("stage/etc", canary());
    put_link("stage/up", "../../../../../../etc");
    EXPECT_THAT(error_of([&] { run(image("stage"), request({"/etc/secret"}, "/x/")); }, ErrorCode::not_found),
                HasSubstr("not in the image"));
    EXPECT_THAT(error_of([&] { run(image("stage"), request({"/up/passwd"}, "/x/")); }, ErrorCode::not_found),
                HasSubstr("not in the image"));
}

TEST_F(CopySecurityTest, TargetsDontLeaveTheImage) {
    put_link("image/absolute", canary());
    put_link("image/relative", "../canary");
    put_link("image/file", canary() + "/secret");
    put_link("image/magic", "/proc/self/cwd");
    copy({"a"}, "/absolute/");
    copy({"a"}, "/absolute/new/b");
    copy({"a"}, "/relative/secret");
    copy({"a"}, "/file");
    copy({"a"}, "/magic/x");
    copy({"a"}, "/../../canary/secret");
    EXPECT_EQ(content("image" + canary() + "/a"), "A");
    EXPECT_EQ(content("image" + canary() + "/new/b"), "A");
    EXPECT_EQ(content("image" + canary() + "/secret"), "A");
    EXPECT_EQ(content("image/canary/secret"), "A");
}

TEST_F(CopySecurityTest, MergingDoesntFollowTheImagesLinks) {
    put("context/dir/sub/secret", "evil");
    put("context/dir/file", "evil");
    put_link("image/file", canary() + "/secret");
    put_link("image/sub", canary());
    EXPECT_EQ(error_of([&] { copy({"dir"}, "/"); }, ErrorCode::conflict),
              "cannot copy a directory to non-directory: /sub");
    copy({"dir/file"}, "/x/../");
    EXPECT_EQ(link_of("image/file"), "(no link)");
    EXPECT_EQ(content("image/file"), "evil");
}

TEST_F(CopySecurityTest, AHardLinkToTheOutsideIsReplacedNotWritten) {
    ASSERT_EQ(::link(at("canary/secret").c_str(), at("image/a").c_str()), 0);
    copy({"a"}, "/");
    EXPECT_EQ(content("image/a"), "A");
    put("context/dir/one", "1");
    ASSERT_EQ(::link(at("context/dir/one").c_str(), at("context/dir/two").c_str()), 0);
    put_link("image/two", canary() + "/secret");
    copy({"dir"}, "/");
    EXPECT_EQ(content("image/two"), "1");
}

TEST_F(CopySecurityTest, ParentsDontFollowTheImagesLinks) {
    put("context/p/q/secret", "evil");
    put_link("image/p", canary());
    CopyRequest wanted = request({"p/q/secret"}, "/");
    wanted.parents = true;
    EXPECT_EQ(error_of([&] { run(source_tree(context()), wanted); }, ErrorCode::conflict),
              "cannot copy a directory to non-directory: /p");
}

TEST_F(CopySecurityTest, WhatBecomesALinkAfterTheDigestIsNotFollowed) {
    put("context/dir/sub/secret", "was here");
    for (const char* path : {"context/dir/sub/secret", "context/dir/sub", "context/dir"}) {
        CopyPlan plan = plan_copy(source_tree(context()), request({"dir"}, "/x"));
        content_digest(plan, pool_);
        const std::string outside = canary() + (std::string(path).ends_with("secret") ? "/secret" : "");
        ASSERT_EQ(::rename(at(path).c_str(), at("context/aside").c_str()), 0);
        ASSERT_EQ(::symlink(outside.c_str(), at(path).c_str()), 0);
        EXPECT_THAT(error_of([&] { execute(plan); }, ErrorCode::conflict), HasSubstr("changed while the build"));
        ASSERT_EQ(::unlink(at(path).c_str()), 0);
        ASSERT_EQ(::rename(at("context/aside").c_str(), at(path).c_str()), 0);
    }
}

TEST_F(CopySecurityTest, AFifoInTheContextStopsNobody) {
    ASSERT_EQ(::mkfifo(at("context/pipe").c_str(), 0644), 0);
    CopyRequest wanted = request({"pipe"}, "/x/");
    wanted.add = wanted.unpack = true;
    run(source_tree(context()), wanted);
    EXPECT_TRUE(S_ISFIFO(stat_of("image/x/pipe").st_mode));
    CopyPlan plan = plan_copy(source_tree(context()), request({"a"}, "/x/"));
    content_digest(plan, pool_);
    ASSERT_EQ(::unlink(at("context/a").c_str()), 0);
    ASSERT_EQ(::mkfifo(at("context/a").c_str(), 0644), 0);
    EXPECT_THAT(error_of([&] { execute(plan); }, ErrorCode::conflict), HasSubstr("a changed while the build"));
}

TEST_F(CopySecurityTest, ArchivesDontLeaveTheImage) {
    StringSink sink;
    layers::TarWriter writer(sink);
    layers::Entry link;
    link.path = "out";
    link.type = layers::EntryType::symlink;
    link.mode = 0777;
    link.link = canary();
    writer.add(link);
    layers::Entry file;
    file.path = "out/secret";
    file.mode = 0600;
    file.size = 4;
    MemorySource evil(std::string_view("evil"));
    writer.add(file, &evil);
    writer.finish();
    put("context/evil.tar", sink.text());
    CopyRequest wanted = request({"evil.tar"}, "/x/");
    wanted.add = wanted.unpack = true;
    try {
        run(source_tree(context()), wanted);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::corrupt);
    }
    EXPECT_EQ(link_of("image/x/out"), canary());
}

}  // namespace
}  // namespace mkimg::builder
