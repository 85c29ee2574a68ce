// Each test runs three times: with openat2, and with a seccomp filter that refuses it as an old
// kernel does (ENOSYS) and as some container hosts do (EPERM). What is expected is what openat2
// does; the fallback must do the same.
#include "base/tree_path.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <functional>

#include "base/error.h"
#include "tests/unit/temp_dir.h"

namespace mkimg {
namespace {

void refuse_openat2(int error) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
    ASSERT_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

// The parameter is the errno that openat2 answers; 0: it works.
class TreePath : public testing::TestWithParam<int> {
  protected:
    // The filter can't be taken off again, so each test runs in a process of its own.
    void run(const std::function<void()>& body) {
        const pid_t pid = ::fork();
        ASSERT_GE(pid, 0);
        if (pid == 0) {
            if (GetParam() != 0) refuse_openat2(GetParam());
            try {
                body();
            } catch (const std::exception& e) {
                ADD_FAILURE() << "threw " << e.what();
            }
            ::_exit(HasFailure() ? 1 : 0);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0) << "see the failure above";
    }

    void link(const std::string& target, const std::string& name) const {
        ASSERT_EQ(::symlinkat(target.c_str(), dir.fd(), name.c_str()), 0);
    }
    // The content of the file that the path leads to; "-" where there is none.
    std::string content(const std::string& path, int flags = 0) const {
        const auto file = try_open_in_root(dir.fd(), path, O_RDONLY | flags);
        return file ? read_all(file->get(), 1000, path) : "-";
    }

    TempDir dir;
    TempDir canary;

    void SetUp() override {
        canary.write("secret", "outside");
        dir.write("file", "file");
        make_directory(dir.fd(), "d", 0755);
        dir.write("d/inner", "inner");
    }
};

std::string name_of_answer(const testing::TestParamInfo<int>& answer) {
    return answer.param == 0 ? "openat2" : answer.param == ENOSYS ? "enosys" : "eperm";
}
INSTANTIATE_TEST_SUITE_P(, TreePath, testing::Values(0, ENOSYS, EPERM), name_of_answer);

TEST_P(TreePath, PlainPaths) {
    run([&] {
        for (const char* path :
             {"file", "/file", "//file", "./file", "d/../file", "/d/./../file", "../../file", "/../file"}) {
            EXPECT_EQ(content(path), "file") << path;
        }
        EXPECT_EQ(content("d//inner"), "inner");
        for (const char* path : {"", "/", ".", "..", "/../..", "d/.."}) {
            const UniqueFd root = open_in_root(dir.fd(), path, O_RDONLY | O_DIRECTORY);
            EXPECT_EQ(stat_fd(root.get()).st_ino, stat_fd(dir.fd()).st_ino) << path;
        }
    });
}

TEST_P(TreePath, WhatIsNotThere) {
    run([&] {
        for (const char* path : {"no", "no/x", "d/no", "no/../file", "file/x", "file/..", "file/", "file/."}) {
            EXPECT_EQ(content(path), "-") << path;
            EXPECT_FALSE(stat_in_root(dir.fd(), path)) << path;
        }
        EXPECT_EQ(content(std::string(300, 'n')), "-");
        EXPECT_EQ(content(std::string("file\0x", 6)), "-");
        EXPECT_EQ(content(std::string("d\0/../file", 10)), "-");
        try {
            open_in_root(dir.fd(), "no", O_RDONLY);
            ADD_FAILURE();
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::not_found);
        }
    });
}

TEST_P(TreePath, AbsoluteAndClimbingLinksStayInside) {
    link(canary.path(), "absolute");
    link(canary.path("secret"), "absolute-file");
    link("../../../../../../../.." + canary.path("secret"), "climbing");
    link("/", "slash");
    link("/file", "to-file");
    link("../file", "d/up");
    link("/d/up", "twice");
    run([&] {
        for (const char* path :
             {"absolute/secret", "absolute-file", "climbing", "slash/absolute/secret", "d/../climbing"}) {
            EXPECT_EQ(content(path), "-") << path;
        }
        for (const char* path : {"to-file", "d/up", "twice", "slash/file", "slash/slash/d/up", "slash/../../file"}) {
            EXPECT_EQ(content(path), "file") << path;
        }
        // Something of that name inside the root is what they mean.
        const std::string parent = canary.path().substr(1);
        make_directories_in_root(dir.fd(), parent, {});
        const UniqueFd inside = open_in_root(dir.fd(), parent + "/secret", O_WRONLY | O_CREAT, 0644);
        write_full(inside.get(), std::string_view("inside"));
        EXPECT_EQ(content("absolute/secret"), "inside");
        EXPECT_EQ(content("climbing"), "inside");
    });
    EXPECT_EQ(canary.read("secret"), "outside");
}

TEST_P(TreePath, MagicLinksLeadNowhere) {
    // A /proc inside the tree, as a hostile image can't have it but a bind mount may.
    const std::string number = std::to_string(canary.fd());
    link("/proc/self/fd/" + number + "/secret", "magic");
    link("/proc/self/root" + canary.path("secret"), "root");
    run([&] {
        EXPECT_EQ(content("magic"), "-");
        EXPECT_EQ(content("root"), "-");
        const UniqueFd proc = open_path("/proc", O_RDONLY | O_DIRECTORY);
        EXPECT_FALSE(try_open_in_root(proc.get(), "self/fd/" + number + "/secret", O_RDONLY));
        EXPECT_FALSE(try_open_in_root(proc.get(), "self/root" + canary.path("secret"), O_RDONLY));
        EXPECT_FALSE(try_open_in_root(proc.get(), "self/cwd/secret", O_RDONLY));
    });
}

TEST_P(TreePath, LoopsEnd) {
    link("b", "a");
    link("a", "b");
    link("self/x", "self");
    for (int i = 0; i < 45; ++i) link(i == 0 ? "file" : "chain" + std::to_string(i - 1), "chain" + std::to_string(i));
    run([&] {
        for (const char* path : {"a", "a/x", "self", "self/y"}) EXPECT_EQ(content(path), "-") << path;
        EXPECT_EQ(content("chain39"), "file");  // 40 links, the kernel's limit
        EXPECT_EQ(content("chain40"), "-");
    });
}

TEST_P(TreePath, TheLastComponentIsFollowedOrNot) {
    link("file", "l");
    link("d", "ld");
    link("nowhere", "dangling");
    link("file/", "not-a-directory");
    run([&] {
        EXPECT_TRUE(S_ISLNK(lstat_in_root(dir.fd(), "l")->st_mode));
        EXPECT_TRUE(S_ISREG(stat_in_root(dir.fd(), "l")->st_mode));
        EXPECT_TRUE(S_ISLNK(lstat_in_root(dir.fd(), "dangling")->st_mode));
        EXPECT_FALSE(stat_in_root(dir.fd(), "dangling"));
        EXPECT_TRUE(S_ISDIR(lstat_in_root(dir.fd(), "ld/")->st_mode));  // the slash asks for the directory
        EXPECT_TRUE(S_ISREG(lstat_in_root(dir.fd(), "ld/inner")->st_mode));
        EXPECT_EQ(content("l", O_NOFOLLOW), "-");
        EXPECT_EQ(content("not-a-directory"), "-");
        EXPECT_EQ(content("ld/inner", O_NOFOLLOW), "inner");
    });
}

TEST_P(TreePath, NoFollowMeansNoComponent) {
    link("d", "ld");
    link("file", "l");
    run([&] {
        EXPECT_TRUE(try_open_nofollow(dir.fd(), "d/inner", O_RDONLY));
        EXPECT_TRUE(try_open_nofollow(dir.fd(), "/d/inner", O_RDONLY));
        EXPECT_FALSE(try_open_nofollow(dir.fd(), "ld/inner", O_RDONLY));
        EXPECT_FALSE(try_open_nofollow(dir.fd(), "l", O_RDONLY));
        EXPECT_FALSE(try_open_nofollow(dir.fd(), "ld/", O_RDONLY));
        EXPECT_FALSE(try_open_nofollow(dir.fd(), "no", O_RDONLY));
    });
}

TEST_P(TreePath, CreatesInsideTheRoot) {
    link("/made", "dangling");
    link("never", "exclusive");
    link(canary.path("made"), "outward");
    run([&] {
        open_in_root(dir.fd(), "dangling", O_WRONLY | O_CREAT, 0600);
        EXPECT_TRUE(S_ISREG(lstat_in_root(dir.fd(), "made")->st_mode));
        EXPECT_THROW(open_in_root(dir.fd(), "outward", O_WRONLY | O_CREAT, 0600), Error);
        // O_EXCL never follows.
        EXPECT_THROW(open_in_root(dir.fd(), "outward", O_WRONLY | O_CREAT | O_EXCL, 0600), Error);
        EXPECT_THROW(open_in_root(dir.fd(), "exclusive", O_WRONLY | O_CREAT | O_EXCL, 0600), Error);
        EXPECT_FALSE(lstat_in_root(dir.fd(), "never"));
        EXPECT_THROW(open_in_root(dir.fd(), "slash/", O_WRONLY | O_CREAT, 0600), Error);
        EXPECT_FALSE(lstat_in_root(dir.fd(), "slash"));
        EXPECT_THROW(open_in_root(dir.fd(), "file", O_WRONLY | O_CREAT | O_EXCL, 0600), Error);
    });
    EXPECT_EQ(list_directory(canary.fd()).size(), 1U);
}

TEST_P(TreePath, MakesDirectoriesExactly) {
    run([&] {
        std::vector<std::string> made;
        const mode_t before = ::umask(0077);
        const UniqueFd fresh = make_directories_in_root(dir.fd(), "/d/x//y/./z", {0751, 12, 34, 1000}, &made);
        ::umask(before);
        EXPECT_EQ(made, (std::vector<std::string>{"/d/x", "/d/x/y", "/d/x/y/z"}));
        for (const char* path : {"d/x", "d/x/y", "d/x/y/z"}) {
            const auto st = lstat_in_root(dir.fd(), path);
            EXPECT_EQ(st->st_mode & 07777U, 0751U) << path;
            EXPECT_EQ(st->st_uid, 12U);
            EXPECT_EQ(st->st_gid, 34U);
        }
        EXPECT_EQ(stat_fd(fresh.get()).st_mtime, 1000);
        EXPECT_EQ(lstat_in_root(dir.fd(), "d")->st_mode & 07777U, 0755U);  // was there: untouched
        made.clear();
        make_directories_in_root(dir.fd(), "/d/x/y", {}, &made);
        make_directories_in_root(dir.fd(), "/", {}, &made);
        make_directories_in_root(dir.fd(), "", {}, &made);
        EXPECT_TRUE(made.empty());
    });
}

TEST_P(TreePath, MakesDirectoriesBehindLinksInsideTheRoot) {
    link("/deep/er", "dangling");
    link(canary.path("new"), "outward");
    link("../../..", "d/up");
    link("loop", "loop");
    run([&] {
        std::vector<std::string> made;
        make_directories_in_root(dir.fd(), "/dangling/x", {}, &made);
        EXPECT_EQ(made, (std::vector<std::string>{"/deep", "/deep/er", "/deep/er/x"}));
        made.clear();
        make_directories_in_root(dir.fd(), "d/up/y", {}, &made);
        EXPECT_EQ(made, (std::vector<std::string>{"/y"}));
        make_directories_in_root(dir.fd(), "d/../../z", {});
        EXPECT_TRUE(lstat_in_root(dir.fd(), "z"));
        make_directories_in_root(dir.fd(), "outward/x", {});
        EXPECT_TRUE(lstat_in_root(dir.fd(), canary.path("new/x")));
        EXPECT_THROW(make_directories_in_root(dir.fd(), "loop/x", {}), Error);
        try {
            make_directories_in_root(dir.fd(), "d/inner/x", {});
            ADD_FAILURE();
        } catch (const Error& e) {
            EXPECT_EQ(e.code(), ErrorCode::conflict);
            EXPECT_NE(std::string(e.what()).find("/d/inner"), std::string::npos) << e.what();
        }
    });
    EXPECT_EQ(list_directory(canary.fd()).size(), 1U);
}

TEST_P(TreePath, NamesAreBytes) {
    dir.write("\xFF\n caf\xC3\xA9", "odd");
    run([&] { EXPECT_EQ(content("\xFF\n caf\xC3\xA9"), "odd"); });
}

TEST(CleanPath, IsLexicalAndAbsolute) {
    EXPECT_EQ(clean_path(""), "/");
    EXPECT_EQ(clean_path("/"), "/");
    EXPECT_EQ(clean_path("a//b/./c/../d"), "/a/b/d");
    EXPECT_EQ(clean_path("/../../a/.."), "/");
    EXPECT_EQ(clean_path("/a/.../b"), "/a/.../b");
    EXPECT_EQ(clean_path("/a/"), "/a");
}

TEST(JoinPath, TakesRelativePathsFromTheDirectory) {
    EXPECT_EQ(join_path("/a/b", "c"), "/a/b/c");
    EXPECT_EQ(join_path("/a/b", "../c"), "/a/c");
    EXPECT_EQ(join_path("/a/b", "/c"), "/c");
    EXPECT_EQ(join_path("/a/b", ""), "/a/b");
    EXPECT_EQ(join_path("/", "../.."), "/");
}

TEST(SplitPath, GivesParentAndName) {
    using Pair = std::pair<std::string, std::string>;
    EXPECT_EQ(split_path("/a/b"), (Pair{"/a", "b"}));
    EXPECT_EQ(split_path("/a"), (Pair{"/", "a"}));
    EXPECT_EQ(split_path("/"), (Pair{"/", ""}));
}

}  // namespace
}  // namespace mkimg
