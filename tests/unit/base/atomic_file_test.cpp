#include "base/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/unit/temp_dir.h"

namespace mkimg {
namespace {

TEST(AtomicFile, AppearsOnCommitAlone) {
    const TempDir dir;
    dir.write("f", "old");
    {
        AtomicFile file(dir.fd(), "f", 0640);
        file.write("new");
        EXPECT_EQ(dir.read("f"), "old");
    }
    EXPECT_EQ(dir.read("f"), "old");
    EXPECT_EQ(list_directory(dir.fd()).size(), 1U);
    {
        AtomicFile file(dir.fd(), "f", 0640);
        file.write("new");
        file.commit();
    }
    EXPECT_EQ(dir.read("f"), "new");
    EXPECT_EQ(stat_fd(open_at(dir.fd(), "f", O_RDONLY).get()).st_mode & 07777U, 0640U);
    EXPECT_EQ(list_directory(dir.fd()).size(), 1U);
}

TEST(AtomicFile, AMovedOneCommitsAndTheOtherDoesNothing) {
    const TempDir dir;
    {
        AtomicFile first(dir.fd(), "f");
        first.write("x");
        AtomicFile second = std::move(first);
        second.commit();
    }
    EXPECT_EQ(dir.read("f"), "x");
    EXPECT_EQ(list_directory(dir.fd()).size(), 1U);
}

TEST(AtomicFile, NamesUpToTheFileSystemsLimit) {
    const TempDir dir;
    const std::string name(255, 'n');
    write_file_atomically(dir.path(name), "x");
    EXPECT_EQ(dir.read(name), "x");
}

TEST(WriteFileAtomically, WritesIntoADeviceInsteadOfReplacingIt) {
    const TempDir dir;
    ASSERT_EQ(::symlinkat("/dev/null", dir.fd(), "null"), 0);
    write_file_atomically(dir.path("null"), "x");
    struct stat st {};
    ASSERT_EQ(::fstatat(dir.fd(), "null", &st, AT_SYMLINK_NOFOLLOW), 0);
    EXPECT_TRUE(S_ISLNK(st.st_mode));
    ASSERT_EQ(::mknodat(dir.fd(), "device", S_IFCHR | 0600, makedev(1, 3)), 0) << "needs root";
    write_file_atomically(dir.path("device"), "x");
    ASSERT_EQ(::fstatat(dir.fd(), "device", &st, AT_SYMLINK_NOFOLLOW), 0);
    EXPECT_TRUE(S_ISCHR(st.st_mode));
}

TEST(WriteFileAtomically, SaysWhatIsWrong) {
    const TempDir dir;
    EXPECT_THROW(write_file_atomically(dir.path("missing/f"), "x"), Error);
    EXPECT_THROW(write_file_atomically(dir.path() + "/", "x"), Error);
    EXPECT_THROW(write_file_atomically(dir.path(), "x"), Error);
}

TEST(ReadFile, NamesThePathInTheError) {
    const TempDir dir;
    dir.write("f", "text");
    EXPECT_EQ(read_file(dir.path("f"), 4), "text");
    try {
        read_file(dir.path("f"), 3);
        FAIL();
    } catch (const Error& e) {
        EXPECT_NE(std::string(e.what()).find(dir.path("f")), std::string::npos);
    }
}

}  // namespace
}  // namespace mkimg
