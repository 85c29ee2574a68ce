// What a container leaves in upper, which becomes the layer: what the command did and nothing else,
// whatever the image and the command try.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fixture.h"

namespace mkimg::sandbox {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class UpperTest : public SandboxTest {
  protected:
    // Directories of the host that must stay as they are, and a file in each.
    UniqueFd make_canary() {
        UniqueFd canary = make_layer("canary");
        for (const char* name : {"hosts", "hostname", "resolv.conf"}) write_file(canary.get(), name, "");
        return canary;
    }
    void expect_untouched(const UniqueFd& canary) {
        std::vector<std::string> names;
        for (const DirEntry& entry : list_directory(canary.get())) names.push_back(entry.name);
        EXPECT_THAT(names, ElementsAre("hostname", "hosts", "resolv.conf"));
        for (const std::string& name : names)
            EXPECT_EQ(stat_fd(open_at(canary.get(), name, O_RDONLY).get()).st_size, 0);
    }
};

constexpr timespec long_ago{1'000'000'000, 5};

void age(int directory, const char* name) {
    const timespec times[2] = {long_ago, long_ago};
    ASSERT_EQ(::utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

TEST_F(UpperTest, ACommandThatDoesNothingLeavesNothing) {
    Command step = command({"/bin/true"});  // of an image without /proc, /sys, /dev and /etc
    ASSERT_EQ(::fchmod(upper.get(), 0751), 0);
    age(AT_FDCWD, path_of("upper1").c_str());
    EXPECT_EQ(run(step).exit.status, 0);
    EXPECT_THAT(upper_names(), IsEmpty());
    const struct stat after = stat_fd(upper.get());
    EXPECT_EQ(after.st_mode & 07777U, 0751U);
    EXPECT_EQ(after.st_mtim.tv_sec, long_ago.tv_sec);
    EXPECT_EQ(after.st_mtim.tv_nsec, long_ago.tv_nsec);
}

TEST_F(UpperTest, DirectoriesOfTheImageStayAsTheyAre) {
    layers.push_back(make_layer("layer"));
    make_directories(layers[0].get(), {"etc", "etc/conf"});
    ASSERT_EQ(::fchmodat(layers[0].get(), "etc", 0711, 0), 0);
    age(layers[0].get(), "etc");
    run(command({"/bin/true"}));
    EXPECT_THAT(upper_names(), IsEmpty());
    // What the command does deeper down takes the directory along as the image has it.
    run_shell("touch /etc/conf/x");
    EXPECT_THAT(upper_names(), ElementsAre("etc", "etc/conf", "etc/conf/x"));
    struct stat st {};
    ASSERT_EQ(::fstatat(upper.get(), "etc", &st, 0), 0);
    EXPECT_EQ(st.st_mode & 07777U, 0711U);
    EXPECT_EQ(st.st_mtim.tv_sec, long_ago.tv_sec);
    EXPECT_EQ(st.st_mtim.tv_nsec, long_ago.tv_nsec);
    // What it does to the directory itself stays.
    run_shell("chmod 700 /etc");
    EXPECT_THAT(upper_names(), ElementsAre("etc"));
    run_shell("touch -d @5 /etc");
    EXPECT_THAT(upper_names(), ElementsAre("etc"));
    ASSERT_EQ(::fstatat(upper.get(), "etc", &st, 0), 0);
    EXPECT_EQ(st.st_mtim.tv_sec, 5);
}

TEST_F(UpperTest, WhatTheCommandMakesBesideAMountPointStays) {
    run_shell("echo a >/etc/a; mkdir /srv; echo changed >/etc/hosts");
    EXPECT_THAT(upper_names(), ElementsAre("etc", "etc/a", "srv"));
}

TEST_F(UpperTest, DanglingLinksAreFollowedInsideTheImage) {
    layers.push_back(make_layer("layer"));
    make_directories(layers[0].get(), {"etc"});
    ASSERT_EQ(::symlinkat("../run/systemd/resolve/stub-resolv.conf", layers[0].get(), "etc/resolv.conf"), 0);
    EXPECT_EQ(run_shell("test -s /etc/resolv.conf && readlink /etc/resolv.conf").out,
              "../run/systemd/resolve/stub-resolv.conf\n");
    EXPECT_THAT(upper_names(), IsEmpty());
}

TEST_F(UpperTest, WhiteoutsOfTheImageComeBack) {
    layers.push_back(make_layer("top"));
    layers.push_back(make_layer("below"));
    make_directories(layers[0].get(), {"etc"});
    make_directories(layers[1].get(), {"etc"});
    write_file(layers[1].get(), "etc/hosts", "old");
    if (::mknodat(layers[0].get(), "etc/hosts", S_IFCHR, 0) != 0) FAIL() << "can't make a whiteout";
    EXPECT_EQ(run_shell("head -n 1 /etc/hosts").out, "127.0.0.1\tlocalhost mkimg\n");
    EXPECT_THAT(upper_names(), IsEmpty());
}

TEST_F(UpperTest, WorkingDirectoryIsMadeAndStays) {
    Command step = shell("stat -c '%n %a %u:%g' . && readlink /proc/self/cwd");
    step.working_dir = "/srv/app/";
    step.user = "1000";
    EXPECT_EQ(run(step).out, ". 755 0:0\n/srv/app\n");
    EXPECT_THAT(upper_names(), ElementsAre("srv", "srv/app"));
}

TEST_F(UpperTest, WorkingDirectoryOutsideTheRootIsRefused) {
    std::vector<std::string> targets = {"/proc/self/cwd", "/proc/1/cwd", "/proc/self/root", "/proc/1/root"};
    for (int fd = 0; fd < 64; ++fd) targets.push_back("/proc/self/fd/" + std::to_string(fd));
    for (const std::string& target : targets) {
        Command step = command({"/bin/ls"});
        step.working_dir = target;
        expect_error(ErrorCode::recipe, [&] { run(step); });
    }
    const UniqueFd canary = make_canary();
    layers.push_back(make_layer("layer"));
    ASSERT_EQ(::symlinkat(path_of("canary").c_str(), layers[0].get(), "link"), 0);
    ASSERT_EQ(::symlinkat("/proc/1/root/../../..", layers[0].get(), "up"), 0);
    Command step = shell("touch here");
    step.working_dir = "/link/deep";
    EXPECT_EQ(run(step).exit.status, 0);
    expect_untouched(canary);
    step = shell("ls -1 /; readlink /proc/self/cwd");
    step.working_dir = "/up";
    EXPECT_EQ(run(step).out, "bin\ndev\netc\nlink\nproc\nsys\nup\n/\n");
}

TEST_F(UpperTest, BindMounts) {
    const UniqueFd source = make_layer("source");
    write_file(source.get(), "file", "bound");
    const auto with = [&](Command&& step, const std::string& target, bool read_only, const char* from = ".") {
        step.mounts.push_back({open_at(source.get(), from, O_PATH), target, read_only});
        return run(step);
    };
    EXPECT_EQ(with(shell("cat /mnt/deep/file; echo new >/mnt/deep/new"), "/mnt/deep", false).out, "bound");
    EXPECT_THAT(upper_names(), IsEmpty());
    EXPECT_EQ(read_all(open_at(source.get(), "new", O_RDONLY).get(), 100, "new"), "new\n");
    EXPECT_NE(with(shell("echo no >/mnt/no"), "/mnt", true).exit.status, 0);
    EXPECT_EQ(with(shell("cat /run/secrets/token"), "/run/secrets/token", true, "file").out, "bound");
    EXPECT_THAT(upper_names(), IsEmpty());
    EXPECT_THAT(expect_error(ErrorCode::recipe, [&] { with(shell("true"), "/bin/busybox", true); }).message(),
                HasSubstr("/bin/busybox"));
    expect_error(ErrorCode::recipe, [&] { with(shell("true"), "/bin", true, "file"); });
    expect_error(ErrorCode::recipe, [&] { with(shell("true"), "/", true); });
    expect_error(ErrorCode::recipe, [&] { with(shell("true"), "/proc/sys", false); });
    expect_error(ErrorCode::recipe, [&] { with(shell("true"), "/sys/kernel", false); });
}

TEST_F(UpperTest, BindMountsInBindMounts) {
    const UniqueFd outer = make_layer("outer");
    const UniqueFd inner = make_layer("inner");
    write_file(inner.get(), "file", "inner");
    Command step = shell("cat /a/b/file");
    step.mounts.push_back({open_at(outer.get(), ".", O_PATH), "/a", false});
    step.mounts.push_back({open_at(inner.get(), ".", O_PATH), "/a/b", false});
    EXPECT_EQ(run(step).out, "inner");
    EXPECT_THAT(upper_names(), IsEmpty());
}

TEST_F(UpperTest, ThreeHundredMounts) {
    const UniqueFd source = make_layer("source");
    Command step = shell("ls -1 /m | wc -l");
    for (int i = 0; i < 300; ++i)
        step.mounts.push_back({open_at(source.get(), ".", O_PATH), "/m/" + std::to_string(i), true});
    EXPECT_EQ(run(step).out, "300\n");
    EXPECT_THAT(upper_names(), IsEmpty());
}

TEST_F(UpperTest, SwappingTheParentOfAMountPoint) {  // CVE-2024-23652
    const UniqueFd canary = make_canary();
    const std::string target = path_of("canary");
    const Result result = run_shell("mv /etc /moved && ln -s " + target + " /etc && ls -d /moved");
    EXPECT_EQ(result.out, "/moved\n");
    expect_untouched(canary);
    EXPECT_THAT(upper_names(), testing::Contains("moved"));

    // The same with a directory of the command's own, whose empty files are no mount points of mkimg's.
    run_shell("mv /etc /moved && mkdir /etc && touch /etc/hosts");
    EXPECT_THAT(upper_names(), testing::Contains("etc/hosts"));

    const UniqueFd source = make_layer("source");
    Command step = shell("mv /mnt /moved && ln -s " + target + " /mnt");
    step.mounts.push_back({open_at(source.get(), ".", O_PATH), "/mnt/hosts/deep", true});
    run(step);
    expect_untouched(canary);
}

TEST_F(UpperTest, EtcOfTheImageIsALink) {
    const UniqueFd canary = make_canary();
    layers.push_back(make_layer("layer"));
    ASSERT_EQ(::symlinkat(path_of("canary").c_str(), layers[0].get(), "etc"), 0);
    EXPECT_EQ(run_shell("head -n 1 /etc/hosts; echo x >/etc/x").out, "127.0.0.1\tlocalhost mkimg\n");
    expect_untouched(canary);
}

TEST_F(UpperTest, SpecialDirectoriesOfTheImageAreNone) {
    const UniqueFd canary = make_canary();
    for (const std::string name : {"proc", "sys", "dev"}) {
        layers.clear();
        layers.push_back(make_layer("link-" + name));
        ASSERT_EQ(::symlinkat(path_of("canary").c_str(), layers[0].get(), name.c_str()), 0);
        Error error = expect_error(ErrorCode::denied, [&] { run(command({"/bin/true"})); });
        EXPECT_THAT(error.message(), HasSubstr("/" + name + " is a symbolic link"));
        layers.clear();
        layers.push_back(make_layer("file-" + name));
        write_file(layers[0].get(), name, "");
        error = expect_error(ErrorCode::denied, [&] { run(command({"/bin/true"})); });
        EXPECT_THAT(error.message(), HasSubstr("/" + name + " is not a directory"));
    }
    expect_untouched(canary);
}

TEST_F(UpperTest, FilesOfEtcAreSomethingElse) {
    layers.push_back(make_layer("layer"));
    make_directories(layers[0].get(), {"etc", "dev"});
    for (const char* name : {"etc/passwd", "etc/group", "etc/hosts"})
        ASSERT_EQ(::mkfifoat(layers[0].get(), name, 0666), 0);
    write_file(layers[0].get(), "dev/null", "planted");
    ASSERT_EQ(::symlinkat("/etc", layers[0].get(), "dev/shm"), 0);
    EXPECT_EQ(run_shell("head -n 1 /etc/hosts; cat /dev/null; ls /dev/shm").out, "127.0.0.1\tlocalhost mkimg\n");
    Command step = command({"/bin/true"});
    step.user = "app";
    expect_error(ErrorCode::not_found, [&] { run(step); });  // and doesn't wait for a writer of the FIFO
    step = command({"/bin/true"});
    step.user = "4294967296";
    expect_error(ErrorCode::recipe, [&] { run(step); });

    layers.clear();
    layers.push_back(make_layer("file"));
    write_file(layers[0].get(), "etc", "");
    EXPECT_THAT(expect_error(ErrorCode::conflict, [&] { run(command({"/bin/true"})); }).message(), HasSubstr("/etc"));
}

TEST_F(UpperTest, ReadOnlyRoot) {
    Command step = shell("echo x >/x; echo done");
    step.upper = step.work = -1;
    EXPECT_THAT(expect_error(ErrorCode::conflict, [&] { run(step); }).message(), HasSubstr("/proc"));
    layers.push_back(make_layer("layer"));
    make_directories(layers[0].get(), {"etc", "proc", "sys", "dev"});
    for (const char* name : {"etc/hosts", "etc/hostname", "etc/resolv.conf"}) write_file(layers[0].get(), name, "");
    step = shell("echo x >/x; echo done");
    step.upper = step.work = -1;
    const Result result = run(step);
    EXPECT_EQ(result.out, "done\n");
    EXPECT_THAT(result.err, HasSubstr("Read-only file system"));
}

TEST_F(UpperTest, TreeWithOneStaticProgram) {
    const UniqueFd only = make_layer("only");
    write_file(only.get(), "true", read_all(open_path("/bin/busybox", O_RDONLY).get(), 1U << 24U, "busybox"));
    ASSERT_EQ(::fchmodat(only.get(), "true", 0755, 0), 0);
    Command step = command({"/true"});
    step.lower = {only.get()};
    EXPECT_EQ(run(step).exit.status, 0);
    EXPECT_THAT(upper_names(), IsEmpty());
    // FROM scratch with the program in a mount.
    step = command({"/tools/true"});
    step.lower = {};
    step.mounts.push_back({open_at(only.get(), ".", O_PATH), "/tools", true});
    EXPECT_EQ(run(step).exit.status, 0);
    EXPECT_THAT(upper_names(), IsEmpty());
}

}  // namespace
}  // namespace mkimg::sandbox
