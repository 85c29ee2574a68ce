#include "base/passwd.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/unit/temp_dir.h"

namespace mkimg {
namespace {

class Passwd : public testing::Test {
  protected:
    void SetUp() override { make_directory(dir.fd(), "etc", 0755); }
    void usual() const {
        dir.write("etc/passwd",
                  "# comment\n"
                  "root:x:0:0:root:/root:/bin/sh\n"
                  "app:x:1000:1001:App:/home/app:/bin/sh\n"
                  "4242:x:7:8::/odd:/bin/sh\n"
                  "short:x:5\n"
                  "bad:x:99999999999:1::/:/bin/sh\n"
                  "nohome:x:77:77:::\n");
        dir.write("etc/group",
                  "root:x:0:root\nstaff:x:50:app,other\naudio:x:29:app\nstaff2:x:50:app\napp:x:1001:\n4242:x:9:\nempty:"
                  "x:60:\n");
    }
    ErrorCode failure(const std::string& spec) const {
        try {
            resolve_user(dir.fd(), spec);
        } catch (const Error& e) {
            return e.code();
        }
        ADD_FAILURE() << spec << " was taken";
        return ErrorCode::internal;
    }
    TempDir dir;
};

using Groups = std::vector<gid_t>;

TEST_F(Passwd, NamesAndNumbers) {
    usual();
    const UserIds app = resolve_user(dir.fd(), "app");
    EXPECT_EQ(app.uid, 1000U);
    EXPECT_EQ(app.gid, 1001U);
    EXPECT_EQ(app.groups, (Groups{29, 50}));
    EXPECT_EQ(app.home, "/home/app");
    const UserIds number = resolve_user(dir.fd(), "1000");  // the number of a known user is that user
    EXPECT_EQ(number.gid, 1001U);
    EXPECT_EQ(number.groups, (Groups{29, 50}));
    const UserIds unknown = resolve_user(dir.fd(), "31337");
    EXPECT_EQ(unknown.uid, 31337U);
    EXPECT_EQ(unknown.gid, 0U);
    EXPECT_TRUE(unknown.groups.empty());
    EXPECT_EQ(unknown.home, "/");
    EXPECT_EQ(resolve_user(dir.fd(), "nohome").home, "/");
    EXPECT_EQ(resolve_user(dir.fd(), "4294967294").uid, 4294967294U);
}

TEST_F(Passwd, GroupsGiven) {
    usual();
    const UserIds app = resolve_user(dir.fd(), "app:audio");
    EXPECT_EQ(app.gid, 29U);
    EXPECT_TRUE(app.groups.empty());  // a given group means no others, as Docker does
    EXPECT_EQ(resolve_user(dir.fd(), "app:77").gid, 77U);
    EXPECT_EQ(resolve_user(dir.fd(), "5:6").gid, 6U);
    EXPECT_EQ(resolve_user(dir.fd(), ":staff").gid, 50U);
}

TEST_F(Passwd, EmptyIsRoot) {
    usual();
    const UserIds root = resolve_user(dir.fd(), "");
    EXPECT_EQ(root.uid, 0U);
    EXPECT_EQ(root.groups, (Groups{0}));
    EXPECT_EQ(root.home, "/root");
}

// As runc and Docker do, whatever names the image's files hold.
TEST_F(Passwd, ANumberIsANumberAlsoWhereAUserHasItAsName) {
    usual();
    EXPECT_EQ(resolve_user(dir.fd(), "4242").uid, 4242U);
    EXPECT_EQ(resolve_user(dir.fd(), "4242").gid, 0U);
    EXPECT_EQ(resolve_user(dir.fd(), "0:4242").gid, 4242U);
}

// CVE-2024-40635: numbers that overflow must not become root.
TEST_F(Passwd, NumbersOutOfRange) {
    usual();
    for (const char* spec :
         {"4294967295", "4294967296", "-1", "+1", "99999999999999999999999", "0:4294967296", "0:-1", "1:+0"}) {
        EXPECT_EQ(failure(spec), ErrorCode::recipe) << spec;
        EXPECT_THROW(resolve_owner(dir.fd(), spec), Error) << spec;
    }
}

TEST_F(Passwd, UnknownNamesAndBrokenLines) {
    usual();
    for (const char* spec : {"nobody", "app:nogroup", "short", "bad", "0x10", "1 ", "app:audio:x"}) {
        EXPECT_EQ(failure(spec), ErrorCode::not_found) << spec;
    }
}

TEST_F(Passwd, NoFilesAtAll) {
    EXPECT_EQ(resolve_user(dir.fd(), "12:34").gid, 34U);
    EXPECT_EQ(failure("app"), ErrorCode::not_found);
    EXPECT_EQ(resolve_user(dir.fd(), "").uid, 0U);
}

// CVE-2024-9676 and its kin: nothing but a regular file of modest size is read.
TEST_F(Passwd, HostileFilesCountAsEmpty) {
    ASSERT_EQ(::mkfifoat(dir.fd(), "etc/passwd", 0644), 0);
    EXPECT_EQ(failure("app"), ErrorCode::not_found);
    remove_tree(dir.fd(), "etc/passwd");

    ASSERT_EQ(::mknodat(dir.fd(), "etc/passwd", S_IFCHR | 0644, makedev(1, 5)), 0) << "needs root";  // /dev/zero
    EXPECT_EQ(failure("app"), ErrorCode::not_found);
    remove_tree(dir.fd(), "etc/passwd");

    dir.write("etc/passwd", "app:x:1000:1001::/:\n");
    ASSERT_EQ(::ftruncate(open_at(dir.fd(), "etc/passwd", O_WRONLY).get(), 10LL << 30U), 0);
    EXPECT_EQ(failure("app"), ErrorCode::not_found);
    EXPECT_EQ(resolve_user(dir.fd(), "1000").uid, 1000U);
    remove_tree(dir.fd(), "etc/passwd");

    ASSERT_EQ(::symlinkat("/etc/passwd", dir.fd(), "etc/passwd"), 0);  // itself, inside the root
    EXPECT_EQ(failure("root"), ErrorCode::not_found);
    remove_tree(dir.fd(), "etc");
    ASSERT_EQ(::symlinkat("/proc/self/root/etc", dir.fd(), "etc"), 0);
    EXPECT_EQ(failure("root"), ErrorCode::not_found);
}

TEST_F(Passwd, LinksInsideTheImageAreFollowed) {
    usual();
    make_directory(dir.fd(), "usr", 0755);
    ASSERT_EQ(::renameat(dir.fd(), "etc/passwd", dir.fd(), "usr/passwd"), 0);
    ASSERT_EQ(::symlinkat("/usr/passwd", dir.fd(), "etc/passwd"), 0);
    EXPECT_EQ(resolve_user(dir.fd(), "app").uid, 1000U);
}

TEST_F(Passwd, Owners) {
    usual();
    const auto owner = [&](const char* spec) {
        const Owner o = resolve_owner(dir.fd(), spec);
        return std::pair(o.uid, o.gid);
    };
    using Pair = std::pair<uid_t, gid_t>;
    EXPECT_EQ(owner("12"), (Pair{12, 12}));
    EXPECT_EQ(owner("1000"), (Pair{1000, 1000}));
    EXPECT_EQ(owner("app"), (Pair{1000, 1001}));
    EXPECT_EQ(owner("app:audio"), (Pair{1000, 29}));
    EXPECT_EQ(owner("12:34"), (Pair{12, 34}));
    EXPECT_EQ(owner(":staff"), (Pair{0, 50}));
    EXPECT_THROW(resolve_owner(dir.fd(), "nobody"), Error);
}

}  // namespace
}  // namespace mkimg
