#include "layers/apply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/overlay.h"
#include "layers/tree_tar.h"
#include "tests/unit/layers/raw_tar.h"
#include "tests/unit/layers/shell.h"
#include "tests/unit/layers/tree_text.h"
#include "tests/unit/temp_dir.h"

namespace mkimg::layers {
namespace {

using testing::HasSubstr;

Applied apply(const std::string& tar, int root, const ApplyOptions& options = {}) {
    MemorySource source{std::string_view(tar)};
    return apply_tar(source, root, options);
}

TEST(Apply, CountsWhatItDid) {
    const TempDir root;
    const Applied applied = apply(RawTar().dir("d").file("d/a", "12345").hardlink("b", "d/a").end().bytes(), root.fd());
    EXPECT_EQ(applied.entries, 3U);
    EXPECT_EQ(applied.bytes, 5U);
    EXPECT_EQ(applied.skipped_devices, 0U);
}

TEST(Apply, TheRootTakesItsEntry) {
    const TempDir root;
    apply(RawTar()
              .add({.name = "./", .type = '5', .mode = 01750, .uid = 3, .gid = 4, .mtime = 7})
              .file("a")
              .end()
              .bytes(),
          root.fd());
    EXPECT_EQ(tree_text(root.path(), {.times = true, .owners = true}), "/ 1750 3:4 @7\na 644 '' 0:0 @1000\n");
}

TEST(Apply, EpochClamps) {
    const TempDir root;
    apply(RawTar()
              .add({.name = "d", .type = '5', .mode = 0755, .mtime = 2000})
              .file("d/a")
              .file("e/b")
              .symlink("s", "x")
              .end()
              .bytes(),
          root.fd(), {.epoch = 500});
    EXPECT_THAT(tree_text(root.path(), {.times = true}),
                HasSubstr("d/ 755 @500\nd/a 644 '' @500\ne/ 755 @500\ne/b 644 '' @500\ns -> x @500\n"));
    const TempDir early;
    apply(RawTar().file("a").end().bytes(), early.fd(), {.epoch = 1001});
    EXPECT_THAT(tree_text(early.path(), {.times = true}), HasSubstr("a 644 '' @1000\n"));
}

TEST(Apply, OwnerAndModeOfAdd) {
    const TempDir root;
    apply(RawTar().dir("d").file("d/a", "x", 0600).symlink("s", "d/a").end().bytes(), root.fd(),
          {.whiteouts = Whiteouts::as_files, .owner = std::pair(7U, 8U), .mode = 0751});
    EXPECT_THAT(tree_text(root.path(), {.owners = true}), HasSubstr("d/ 751 7:8\nd/a 751 'x' 7:8\ns -> d/a 7:8\n"));
}

TEST(Apply, ModesDoNotDependOnTheUmask) {
    const mode_t before = ::umask(077);
    const TempDir root;
    apply(RawTar()
              .dir("d", 0777)
              .file("d/a", "x", 0666)
              .add({.name = "p", .type = '6', .mode = 0666})
              .file("e/f")
              .end()
              .bytes(),
          root.fd());
    ::umask(before);
    EXPECT_THAT(tree_text(root.path()), HasSubstr("d/ 777\nd/a 666 'x'\ne/ 755\ne/f 644 ''\np fifo 666\n"));
}

TEST(Apply, LargeZerosBecomeHoles) {
    const TempDir root;
    const std::string content = "begin" + std::string(20'000'000, '\0') + "end";
    apply(RawTar().file("a", content).end().bytes(), root.fd());
    EXPECT_TRUE(root.read("a") == content);
    struct stat st {};
    ASSERT_EQ(::fstatat(root.fd(), "a", &st, 0), 0);
    EXPECT_EQ(st.st_size, 20'000'008);
    EXPECT_LT(st.st_blocks * 512, 5'000'000);
}

TEST(Apply, AllZerosHaveTheirSize) {
    const TempDir root;
    apply(RawTar().file("a", std::string(1'000'000, '\0')).file("b", std::string(100, '\0')).end().bytes(), root.fd());
    EXPECT_EQ(root.read("a"), std::string(1'000'000, '\0'));
    EXPECT_EQ(root.read("b"), std::string(100, '\0'));
}

TEST(Apply, ANameOf4096Bytes) {
    std::string name;
    for (int i = 0; i < 2047; ++i) name += "d/";
    name += "ff";
    ASSERT_EQ(name.size(), 4096U);
    const TempDir root;
    EXPECT_EQ(apply(RawTar().gnu('L', name).file("x", "deep").end().bytes(), root.fd()).entries, 1U);
    UniqueFd here = open_at(root.fd(), ".", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 2047; ++i) here = open_at(here.get(), "d", O_RDONLY | O_DIRECTORY);
    EXPECT_EQ(read_all(open_at(here.get(), "ff", O_RDONLY).get(), 100, "ff"), "deep");
    output_of("rm -rf " + root.path("d"));
}

TEST(Apply, WhatGnuTarWritesInEveryFormat) {
    const TempDir from;
    make_directory(from.fd(), "d", 01777);
    from.write("d/" + std::string(200, 'n'), "long");
    from.write("a", "content", 0755);
    ASSERT_EQ(::linkat(from.fd(), "a", from.fd(), "h", 0), 0);
    ASSERT_EQ(::symlinkat(std::string(200, 't').c_str(), from.fd(), "s"), 0);
    ASSERT_EQ(::fchownat(from.fd(), "a", 123456, 2097151, 0), 0);
    const UniqueFd sparse = open_at(from.fd(), "sparse", O_WRONLY | O_CREAT, 0644);
    ASSERT_EQ(::pwrite(sparse.get(), "x", 1, 500'000), 1);
    output_of("find " + from.path() + " -exec touch -h -d @1500000000 {} +");
    const TreeTextOptions exact{.times = true, .owners = true};
    const std::string expected = tree_text(from.path(), exact);
    for (const std::string format : {"gnu", "gnu --sparse", "pax", "pax --sparse --sparse-version=0.0",
                                     "pax --sparse --sparse-version=0.1", "pax --sparse --sparse-version=1.0"}) {
        const std::string tar = output_of("tar -C " + from.path() + " --format=" + format + " -c .");
        const TempDir root;
        apply(tar, root.fd());
        EXPECT_EQ(tree_text(root.path(), exact), expected) << format;
    }
}

// Layers as overlay shows them, one on the other.
class Stack {
  public:
    void add(const std::string& tar) {
        layers_.push_back(std::make_unique<TempDir>());
        std::vector<int> lower;
        for (auto layer = layers_.rbegin() + 1; layer != layers_.rend(); ++layer) lower.push_back((*layer)->fd());
        ASSERT_EQ(::fchmod(layers_.back()->fd(), 0755), 0);
        apply(tar, layers_.back()->fd(), {.lower = lower});
    }
    std::string merged() const {
        std::vector<int> lower;
        for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) lower.push_back((*layer)->fd());
        const UniqueFd mount = mount_overlay({.lower = lower});
        return tree_text("/proc/self/fd/" + std::to_string(mount.get()) + "/.");
    }
    // The top layer as a tar, and back again.
    void rewrite_top() {
        StringSink sink;
        write_tree_tar(layers_.back()->fd(), sink, {.root_entry = true});
        layers_.pop_back();
        add(sink.text());
    }

  private:
    std::vector<std::unique_ptr<TempDir>> layers_;
};

class ApplyLayers : public testing::Test {
  protected:
    void expect(const std::string& top, const std::string& tree) {
        stack.add(RawTar()
                      .dir("a", 0700)
                      .file("a/x", "1")
                      .dir("a/d")
                      .file("a/d/y", "2")
                      .file("f", "3")
                      .dir("tmp", 01777)
                      .end()
                      .bytes());
        stack.add(top);
        EXPECT_EQ(stack.merged(), tree);
        stack.rewrite_top();
        EXPECT_EQ(stack.merged(), tree) << "after a round trip";
    }
    Stack stack;
};

TEST_F(ApplyLayers, WhiteoutOfAFileAndADirectory) {
    expect(RawTar().file(".wh.f").dir("a", 0700).file("a/.wh.d").end().bytes(),
           "/ 755\na/ 700\na/x 644 '1'\ntmp/ 1777\n");
}

TEST_F(ApplyLayers, OpaqueDirectory) {
    expect(RawTar().dir("a").file("a/new", "n").file("a/.wh..wh..opq").end().bytes(),
           "/ 755\na/ 755\na/new 644 'n'\nf 644 '3'\ntmp/ 1777\n");
}

TEST_F(ApplyLayers, ADirectoryMadeAgainShowsNothingOfTheOldOne) {
    expect(RawTar().file(".wh.a").dir("a").file("a/new", "n").end().bytes(),
           "/ 755\na/ 755\na/new 644 'n'\nf 644 '3'\ntmp/ 1777\n");
}

TEST_F(ApplyLayers, ADirectoryThatIsNotNamedKeepsOwnerAndMode) {
    expect(RawTar().file("tmp/t", "t").file("a/d/z", "z").end().bytes(),
           "/ 755\na/ 700\na/d/ 755\na/d/y 644 '2'\na/d/z 644 'z'\na/x 644 '1'\nf 644 '3'\ntmp/ 1777\ntmp/t 644 't'\n");
}

TEST_F(ApplyLayers, OpaqueRootHidesAllBelow) {
    expect(RawTar().file(".wh..wh..opq").dir("a").file("a/new", "n").file("g", "g").end().bytes(),
           "/ 755\na/ 755\na/new 644 'n'\ng 644 'g'\n");
}

TEST_F(ApplyLayers, AFileTakesADirectorysPlace) {
    expect(RawTar().file("a", "now a file").end().bytes(), "/ 755\na 644 'now a file'\nf 644 '3'\ntmp/ 1777\n");
}

// Runs `work` in a process whose root is uid 1000 of the host, and returns its exit status. It is
// cloned into the namespace, not forked and then moved: under the thread sanitizer a forked process
// has a second thread at once, and may not enter one.
template <typename Work>
int as_root_of_a_namespace(Work work) {
    Pipe mapped = make_pipe();
    const auto child = static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    if (child < 0) throw_errno("clone into a user namespace");
    if (child == 0) {
        mapped.write.reset();
        char go = 0;
        if (::read(mapped.read.get(), &go, 1) != 1) ::_exit(10);
        if (::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0) ::_exit(11);
        try {
            ::_exit(work());
        } catch (const Error& error) {
            ::fputs(error.what(), stderr);
            ::_exit(13);
        }
    }
    const std::string proc = "/proc/" + std::to_string(child);
    write_full(open_path(proc + "/uid_map", O_WRONLY).get(), "0 1000 1");
    write_full(open_path(proc + "/gid_map", O_WRONLY).get(), "0 1000 1");
    write_full(mapped.write.get(), "x");
    int status = 0;
    if (::waitpid(child, &status, 0) != child) throw_errno("wait for a child");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// In a user namespace with all ids mapped, on a tmpfs of its own: what a rootless build is.
TEST(ApplyRootless, DevicesAreLeftOutAndWhiteoutsAndUserXattrsWork) {
    const std::string tar = RawTar()
                                .add({.name = "null", .type = '3', .mode = 0666, .major = 1, .minor = 3})
                                .hardlink("zero", "null")
                                .file(".wh.gone")
                                .pax({{"SCHILY.xattr.user.overlay.opaque", "y"}, {"SCHILY.xattr.user.k", "v"}})
                                .dir("d")
                                .dir("e")
                                .file("e/.wh..wh..opq")
                                .add({.name = "p", .type = '6', .mode = 0600})
                                .end()
                                .bytes();
    const TempDir out;
    ASSERT_EQ(::fchmod(out.fd(), 0777), 0);
    ASSERT_EQ(::fchown(out.fd(), 1000, 1000), 0);
    EXPECT_EQ(as_root_of_a_namespace([&] {
                  const Applied applied = apply(tar, out.fd());
                  StringSink again;
                  write_tree_tar(out.fd(), again);
                  const UniqueFd file = open_at(out.fd(), "again.tar", O_WRONLY | O_CREAT, 0644);
                  write_full(file.get(), again.text());
                  return applied.skipped_devices == 1 ? 0 : 12;
              }),
              0);
    EXPECT_EQ(output_of("tar --xattrs --xattrs-include='*' --numeric-owner -tvvf " + out.path("again.tar") +
                        " | sed -E 's/ +[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}//'"),
              "----------  0/0               0 .wh.gone\n"
              "drwxr-xr-x* 0/0               0 d/\n"
              "  x: 1 user.k\n"
              "  x: 1 user.overlay.opaque\n"
              "drwxr-xr-x  0/0               0 e/\n"
              "----------  0/0               0 e/.wh..wh..opq\n"
              "prw-------  0/0               0 p\n");
    EXPECT_EQ(output_of("cd " + out.path() + " && getfattr -d -m - d e | grep -v '^$'"),
              "# file: d\nuser.k=\"v\"\nuser.overlay.overlay.opaque=\"y\"\n# file: e\nuser.overlay.opaque=\"y\"\n");
}

TEST(ApplyRootless, AnOwnerOutsideTheRangeIsExplained) {
    const std::string tar = RawTar().add({.name = "a", .uid = 5}).end().bytes();
    const TempDir out;
    ASSERT_EQ(::fchown(out.fd(), 1000, 1000), 0);
    EXPECT_EQ(as_root_of_a_namespace([&] {
                  try {
                      apply(tar, out.fd());
                      return 12;
                  } catch (const Error& error) {
                      const bool explained = error.hint().find("/etc/subuid") != std::string::npos;
                      return error.code() == ErrorCode::host && explained ? 0 : 13;
                  }
              }),
              0);
}

}  // namespace
}  // namespace mkimg::layers
