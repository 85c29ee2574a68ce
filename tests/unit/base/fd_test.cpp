#include "base/fd.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <thread>

#include "base/error.h"
#include "tests/unit/temp_dir.h"

namespace mkimg {
namespace {

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(UniqueFd, ClosesOnceAndMoves) {
    const TempDir dir;
    UniqueFd a = open_at(dir.fd(), ".", O_RDONLY);
    const int raw = a.get();
    EXPECT_EQ(::fcntl(raw, F_GETFD), FD_CLOEXEC);
    UniqueFd b = std::move(a);
    EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): what a move leaves is what is tested
    EXPECT_EQ(b.get(), raw);
    UniqueFd copy = b.dup();
    EXPECT_NE(copy.get(), raw);
    EXPECT_EQ(::fcntl(copy.get(), F_GETFD), FD_CLOEXEC);
    b.reset();
    EXPECT_FALSE(is_open(raw));
    EXPECT_TRUE(is_open(copy.get()));
    const int released = copy.release();
    EXPECT_TRUE(is_open(released));
    ::close(released);
}

TEST(OpenAt, ThrowsWithTheName) {
    const TempDir dir;
    try {
        open_at(dir.fd(), "nothing", O_RDONLY);
        FAIL();
    } catch (const Error& e) {
        EXPECT_EQ(e.code(), ErrorCode::not_found);
        EXPECT_NE(std::string(e.what()).find("nothing"), std::string::npos);
    }
}

TEST(ReadAll, StopsAtTheLimit) {
    const TempDir dir;
    const std::string text(200000, 'x');
    dir.write("f", text);
    const auto open = [&] { return open_at(dir.fd(), "f", O_RDONLY); };
    EXPECT_EQ(read_all(open().get(), 200000, "f"), text);
    EXPECT_THROW(read_all(open().get(), 199999, "f"), Error);
    EXPECT_THROW(read_all(open_path("/dev/zero", O_RDONLY).get(), 1U << 20U, "zeros"), Error);
}

TEST(ReadFull, WaitsForAPipe) {
    Pipe pipe = make_pipe();
    std::thread writer([&] {
        for (const char* part : {"ab", "cd", "ef"}) write_full(pipe.write.get(), std::string_view(part));
        pipe.write.reset();
    });
    std::byte buffer[10];
    EXPECT_EQ(read_full(pipe.read.get(), std::span(buffer, 4)), 4U);
    EXPECT_EQ(as_text(std::span(buffer, 4)), "abcd");
    EXPECT_EQ(read_full(pipe.read.get(), buffer), 2U);
    writer.join();
}

TEST(ListDirectory, IsSortedByBytesAndLeavesTheDescriptorAlone) {
    const TempDir dir;
    for (const char* name : {"b", "\xFF", "A", "a", ".x"}) dir.write(name, "");
    for (int i = 0; i < 2; ++i) {
        std::vector<std::string> names;
        for (const DirEntry& entry : list_directory(dir.fd())) names.push_back(entry.name);
        EXPECT_EQ(names, (std::vector<std::string>{".x", "A", "a", "b", "\xFF"}));
    }
}

TEST(RemoveTree, TakesEverythingAndFollowsNothing) {
    const TempDir dir;
    const TempDir canary;
    canary.write("keep", "1");
    make_directory(dir.fd(), "t", 0755);
    make_directory(dir.fd(), "t/locked", 0755);
    dir.write("t/locked/f", "");
    ASSERT_EQ(::symlinkat(canary.path().c_str(), dir.fd(), "t/link"), 0);
    ASSERT_EQ(::mkfifoat(dir.fd(), "t/fifo", 0600), 0);
    ASSERT_EQ(::fchmodat(dir.fd(), "t/locked", 0, 0), 0);
    remove_tree(dir.fd(), "t");
    EXPECT_TRUE(list_directory(dir.fd()).empty());
    EXPECT_EQ(canary.read("keep"), "1");
    ASSERT_EQ(::symlinkat(canary.path().c_str(), dir.fd(), "t"), 0);
    remove_tree(dir.fd(), "t");
    EXPECT_EQ(canary.read("keep"), "1");
    EXPECT_NO_THROW(remove_tree(dir.fd(), "missing"));
}

// What `while mkdir d && cd d` in a RUN leaves: deeper than there may be open files.
TEST(RemoveTree, DepthCostsNoDescriptors) {
    const TempDir dir;
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    UniqueFd at = open_at(dir.fd(), ".", O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 400; ++i) {
        ASSERT_EQ(::mkdirat(at.get(), "d", 0755), 0);
        ASSERT_EQ(::mkdirat(at.get(), "e", 0755), 0);
        at = open_at(at.get(), "d", O_RDONLY | O_DIRECTORY);
    }
    at.reset();
    const rlimit few{std::min<rlim_t>(128, before.rlim_cur), before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    EXPECT_NO_THROW(remove_tree(dir.fd(), "d"));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    remove_tree(dir.fd(), "e");
    EXPECT_TRUE(list_directory(dir.fd()).empty());
}

TEST(MakeDirectory, ModeIsExactWhateverTheUmask) {
    const TempDir dir;
    const mode_t before = ::umask(0077);
    make_directory(dir.fd(), "d", 01777);
    ::umask(before);
    EXPECT_EQ(stat_fd(open_at(dir.fd(), "d", O_RDONLY).get()).st_mode & 07777U, 01777U);
    EXPECT_NO_THROW(make_directory(dir.fd(), "d", 0755));
}

}  // namespace
}  // namespace mkimg
