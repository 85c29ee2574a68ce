// Expected values: BuildKit's and Buildah's behaviour, see docs/copy.md.
#include "builder/copy_plan.h"

#include <gmock/gmock.h>

#include "copy_fixture.h"

namespace mkimg::builder {
namespace {

using testing::CopyFixture;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class CopyPlanTest : public CopyFixture {
  protected:
    CopyPlanTest() {
        put("context/a", "A");
        put("context/b.txt", "B");
        put("context/c.txt", "C");
        put("context/.dot", "D");
        put("context/[b]x", "X");
        put("context/dir/f", "F");
        put("context/dir/sub/g", "G");
        put("context/dir2/h", "H");
        put_link("context/to_a", "a");
        put_link("context/to_dir", "/dir");
        put_link("context/up", "../../../../../../dir/f");
        put_link("context/out", "/etc/passwd");
        put_link("context/loop1", "loop2");
        put_link("context/loop2", "loop1");
    }

    // "source path>name" of each item; directories have a '/' at their end.
    std::vector<std::string> items(const CopyPlan& plan) {
        std::vector<std::string> all;
        for (const CopyItem& item : plan.items)
            all.push_back(item.path + (item.is_directory ? "/" : "") + ">" + item.name);
        return all;
    }
    std::vector<std::string> items(std::vector<std::string> sources, const std::string& ignore = "") {
        return items(plan_copy(source_tree(context(ignore)), request(std::move(sources), "/x/")));
    }
    std::string refusal(CopyRequest wanted, ErrorCode code, const std::string& ignore = "") {
        return error_of([&] { plan_copy(source_tree(context(ignore)), std::move(wanted)); }, code);
    }
};

TEST_F(CopyPlanTest, FilesKeepTheirNamesAndDirectoriesGiveTheirContents) {
    EXPECT_THAT(items({"a"}), ElementsAre("a>a"));
    EXPECT_THAT(items({"dir/sub/g"}), ElementsAre("dir/sub/g>g"));
    EXPECT_THAT(items({"dir"}), ElementsAre("dir/>"));
    EXPECT_THAT(items({"dir/"}), ElementsAre("dir/>"));
    EXPECT_THAT(items({"dir/."}), ElementsAre("dir/>"));
    EXPECT_THAT(items({"."}), ElementsAre("/>"));
    EXPECT_THAT(items({""}), ElementsAre("/>"));
    EXPECT_THAT(items({"a/"}), ElementsAre("a>a"));
}

TEST_F(CopyPlanTest, PathsStayInTheContext) {
    EXPECT_THAT(items({"/a"}), ElementsAre("a>a"));
    EXPECT_THAT(items({"../a"}), ElementsAre("a>a"));
    EXPECT_THAT(items({"dir/../../../a"}), ElementsAre("a>a"));
    EXPECT_THAT(items({"up"}), ElementsAre("dir/f>up"));
    EXPECT_THAT(refusal(request({"out"}, "/x"), ErrorCode::not_found),
                HasSubstr("COPY out: a symbolic link leads to etc/passwd, which is not in the context"));
}

TEST_F(CopyPlanTest, NamedSymlinksAreFollowed) {
    EXPECT_THAT(items({"to_a"}), ElementsAre("a>to_a"));
    EXPECT_THAT(items({"to_dir"}), ElementsAre("dir/>"));
    EXPECT_THAT(items({"to_dir/f"}), ElementsAre("dir/f>f"));
    EXPECT_THAT(refusal(request({"loop1"}, "/x"), ErrorCode::not_found), HasSubstr("COPY loop1: "));
    EXPECT_THAT(refusal(request({"loop1/x"}, "/x"), ErrorCode::not_found), HasSubstr("COPY loop1/x: "));
}

TEST_F(CopyPlanTest, GlobsMatchPerComponent) {
    EXPECT_THAT(items({"*.txt"}), ElementsAre("b.txt>b.txt", "c.txt>c.txt"));
    EXPECT_THAT(items({"dir*"}), ElementsAre("dir/>", "dir2/>"));
    EXPECT_THAT(items({"dir*/?"}), ElementsAre("dir/f>f", "dir2/h>h"));
    EXPECT_THAT(items({"*/sub/*"}), ElementsAre("dir/sub/g>g", "dir/sub/g>g"));  // also by to_dir
    EXPECT_THAT(items({".d*"}), ElementsAre(".dot>.dot"));
    EXPECT_THAT(items({"[ab]*"}), ElementsAre("a>a", "b.txt>b.txt"));
    EXPECT_THAT(items({"[[]b]x"}), ElementsAre("[b]x>[b]x"));
    EXPECT_THAT(refusal(request({"[a"}, "/x/"), ErrorCode::recipe), HasSubstr("["));
}

TEST_F(CopyPlanTest, APatternMayMatchNothingBesideAnotherSource) {
    EXPECT_THAT(items({"a", "*.lock"}), ElementsAre("a>a"));
    EXPECT_EQ(refusal(request({"*.lock"}, "/x/"), ErrorCode::not_found), "COPY *.lock: no file matches in the context");
    EXPECT_EQ(refusal(request({"*.txt"}, "/x/"), ErrorCode::not_found, "# none\n*.txt\n"),
              "COPY *.txt: what matches is not in the context; `.dockerignore:2` (`*.txt`) excludes it");
}

TEST_F(CopyPlanTest, WhatIsIgnoredIsNotThere) {
    EXPECT_EQ(refusal(request({"b.txt"}, "/x"), ErrorCode::not_found, "*.txt\n"),
              "COPY b.txt: not in the context; `.dockerignore:1` (`*.txt`) excludes it");
    EXPECT_EQ(refusal(request({"nope"}, "/x"), ErrorCode::not_found), "COPY nope: not in the context");
    EXPECT_EQ(
        refusal(request({"to_a"}, "/x"), ErrorCode::not_found, "/a\n"),
        "COPY to_a: a symbolic link leads to a, which is not in the context; `.dockerignore:1` (`/a`) excludes it");
    EXPECT_EQ(refusal(request({"dir/f"}, "/x"), ErrorCode::not_found, "dir\n!dir/sub\n"),
              "COPY dir/f: not in the context; `.dockerignore:1` (`dir`) excludes it");
    EXPECT_THAT(items({"dir"}, "dir\n!dir/sub\n"), ElementsAre("dir/>"));
    EXPECT_THAT(items({"*.txt"}, "b.txt\n"), ElementsAre("c.txt>c.txt"));
}

TEST_F(CopyPlanTest, SeveralSourcesNeedADirectory) {
    const std::string message = refusal(request({"a", "b.txt"}, "dst"), ErrorCode::recipe);
    EXPECT_EQ(message, "COPY has 2 sources, but its target dst doesn't end in '/'");
    CopyRequest with_heredoc = request({"a"}, "dst");
    with_heredoc.heredocs.push_back({"EOF", "text"});
    EXPECT_THAT(refusal(with_heredoc, ErrorCode::recipe), HasSubstr("2 sources"));
    EXPECT_THAT(items(plan_copy(source_tree(context()), request({"a", "b.txt"}, "."))),
                ElementsAre("a>a", "b.txt>b.txt"));
    EXPECT_THAT(refusal(request({}, "/x/"), ErrorCode::recipe), HasSubstr("needs a source"));
}

TEST_F(CopyPlanTest, TargetsAreRelativeToTheWorkingDirectory) {
    const auto target = [&](const std::string& text) {
        CopyRequest wanted = request({"a"}, text);
        wanted.working_dir = "/work/here";
        const CopyPlan plan = plan_copy(source_tree(context()), std::move(wanted));
        return plan.target + (plan.target_is_directory ? " d" : " f");
    };
    EXPECT_EQ(target("new"), "/work/here/new f");
    EXPECT_EQ(target("."), "/work/here d");
    EXPECT_EQ(target("./"), "/work/here d");
    EXPECT_EQ(target("../x/"), "/work/x d");
    EXPECT_EQ(target("/x"), "/x f");
    EXPECT_EQ(target("/x/."), "/x f");
    EXPECT_EQ(target("/../../x"), "/x f");
    EXPECT_EQ(target("/"), "/ d");
}

TEST_F(CopyPlanTest, ParentsKeepThePathFromThePivot) {
    const auto with_parents = [&](std::vector<std::string> sources) {
        CopyRequest wanted = request(std::move(sources), "/x/");
        wanted.parents = true;
        return items(plan_copy(source_tree(context()), std::move(wanted)));
    };
    EXPECT_THAT(with_parents({"dir/sub/g"}), ElementsAre("dir/sub/g>dir/sub/g"));
    EXPECT_THAT(with_parents({"./dir/sub/g"}), ElementsAre("dir/sub/g>dir/sub/g"));
    EXPECT_THAT(with_parents({"dir/./sub/g"}), ElementsAre("dir/sub/g>sub/g"));
    EXPECT_THAT(with_parents({"dir/./sub"}), ElementsAre("dir/sub/>sub"));
    EXPECT_THAT(with_parents({"**/g"}), ElementsAre("dir/sub/g>dir/sub/g"));
    EXPECT_THAT(with_parents({"dir/**/?"}), ElementsAre("dir/f>dir/f", "dir/sub/g>dir/sub/g"));
    EXPECT_THAT(with_parents({"*.txt"}), ElementsAre("b.txt>b.txt", "c.txt>c.txt"));
}

TEST_F(CopyPlanTest, ExcludedFilesAreLeftOut) {
    CopyRequest wanted = request({"*"}, "/x/");
    wanted.sources = {"[abc]*"};
    wanted.exclude = {"*.txt", "!c.txt"};
    EXPECT_THAT(items(plan_copy(source_tree(context()), std::move(wanted))), ElementsAre("a>a", "c.txt>c.txt"));
    CopyRequest all = request({"a"}, "/x/");
    all.exclude = {"a"};
    EXPECT_THAT(items(plan_copy(source_tree(context()), std::move(all))), IsEmpty());
}

TEST_F(CopyPlanTest, ErrorsNameTheInstruction) {
    CopyRequest wanted = request({"nope"}, "/x/");
    wanted.add = true;
    EXPECT_EQ(refusal(wanted, ErrorCode::not_found), "ADD nope: not in the context");
    EXPECT_EQ(error_of([&] { plan_copy(image("context"), request({"nope"}, "/x/")); }), "COPY nope: not in the image");
    CopyRequest bad_mode = request({"a"}, "/x/");
    bad_mode.chmod = "rwx";
    EXPECT_THAT(refusal(bad_mode, ErrorCode::recipe), HasSubstr("--chmod=rwx"));
}

}  // namespace
}  // namespace mkimg::builder
