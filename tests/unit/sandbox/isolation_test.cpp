// What a command sees of the host, and what it may do.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/sched.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/overlay.h"
#include "fixture.h"
#include "sandbox/privileges.h"

namespace mkimg::sandbox {
namespace {

using testing::HasSubstr;
using testing::Not;

class IsolationTest : public SandboxTest {};

// chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod
// audit_write setfcap: as `docker run` shows them.
constexpr const char* docker_default = "00000000a80425fb";

TEST_F(IsolationTest, CapabilitiesOfRoot) {
    const std::string expected = std::string("CapInh:\t0000000000000000\nCapPrm:\t") + docker_default + "\nCapEff:\t" +
                                 docker_default + "\nCapBnd:\t" + docker_default + "\nCapAmb:\t0000000000000000\n";
    EXPECT_EQ(run_shell("grep ^Cap /proc/self/status").out, expected);
    EXPECT_EQ(run_shell("grep NoNewPrivs /proc/self/status").out, "NoNewPrivs:\t0\n");
}

TEST_F(IsolationTest, CapabilitiesOfAnotherUser) {
    Command step = shell("grep ^Cap /proc/self/status");
    step.user = "1000";
    EXPECT_EQ(run(step).out,
              std::string("CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
                          "CapBnd:\t") +
                  docker_default + "\nCapAmb:\t0000000000000000\n");
}

TEST_F(IsolationTest, UserAndGroups) {
    layers.push_back(make_layer("layer"));
    make_directories(layers[0].get(), {"etc"});
    write_file(layers[0].get(), "etc/passwd", "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/srv/app:/bin/sh\n");
    write_file(layers[0].get(), "etc/group", "root:x:0:\nadm:x:4:root\napp:x:1001:\nextra:x:2000:app\n");
    const std::string script = "grep -E '^(Uid|Gid|Groups):' /proc/self/status; echo $HOME";
    const auto as = [&](const std::string& user) {
        Command step = shell(script);
        step.user = user;
        return run(step).out;
    };
    EXPECT_EQ(as(""), "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t0 4 \n/root\n");
    EXPECT_EQ(as("app"), "Uid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001\nGroups:\t1001 2000 \n/srv/app\n");
    EXPECT_EQ(as("app:extra"),
              "Uid:\t1000\t1000\t1000\t1000\nGid:\t2000\t2000\t2000\t2000\nGroups:\t2000 \n/srv/app\n");
    EXPECT_EQ(as("33:44"), "Uid:\t33\t33\t33\t33\nGid:\t44\t44\t44\t44\nGroups:\t44 \n/\n");
}

TEST_F(IsolationTest, SetuidProgramsWork) {
    layers.push_back(make_layer("layer"));
    make_directories(layers[0].get(), {"etc", "suid"});
    write_file(layers[0].get(), "etc/passwd", "root::0:0::/:/bin/sh\nuser::1000:1000::/:/bin/sh\n");
    write_file(layers[0].get(), "suid/su", read_all(open_path("/bin/busybox", O_RDONLY).get(), 1U << 24U, "busybox"));
    ASSERT_EQ(::fchmodat(layers[0].get(), "suid/su", 04755, 0), 0);
    Command step = command({"/suid/su", "root", "-c", "id -u"});
    step.user = "1000";
    EXPECT_EQ(run(step).out, "0\n");
}

// The answer of a system call under the profile: 0 or an errno.
int under_profile(const std::function<long()>& call) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        restrict_privileges();
        errno = 0;
        ::_exit(call() < 0 ? errno : 0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    EXPECT_TRUE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST_F(IsolationTest, SeccompProfile) {
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_getpid); }), 0);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, nullptr); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_unshare, CLONE_NEWUSER); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_setns, 0, 0); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_keyctl, 0, 0, 0, 0, 0); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_add_key, "user", "x", "y", 1, -2); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_bpf, 0, nullptr, 0); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_perf_event_open, nullptr, 0, 0, 0, 0); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_userfaultfd, 0); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_io_uring_setup, 1, nullptr); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_open_by_handle_at, -1, nullptr, 0); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_fsopen, "tmpfs", 0); }), EPERM);
    EXPECT_EQ(
        under_profile([] { return ::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, nullptr); }),
        EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0); }), 0);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_personality, PER_LINUX); }), 0);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_personality, ADDR_NO_RANDOMIZE); }), EPERM);
    EXPECT_EQ(under_profile([] { return ::syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0); }), 0);
    // fchmodat2 and getxattrat are younger than some C libraries that must not take EPERM for an answer.
    EXPECT_EQ(under_profile([] { return ::syscall(452, -1, "x", 0, 0); }), EBADF);
    EXPECT_THAT(under_profile([] { return ::syscall(464, -1, "x", 0, "user.x", nullptr, 0); }), Not(EPERM));
    EXPECT_EQ(under_profile([] { return ::syscall(500); }), ENOSYS);
}

TEST_F(IsolationTest, OnlyThreeDescriptors) {
    const UniqueFd leak(::open("/etc/passwd", O_RDONLY));  // without O_CLOEXEC, as some library may leave one
    launcher.emplace();
    EXPECT_EQ(run_shell("ls /proc/$$/fd; true").out, "0\n1\n2\n");
}

TEST_F(IsolationTest, InitGivesNothingAway) {
    EXPECT_EQ(run_shell("grep -c unit /proc/1/cmdline").out, "0\n");
    EXPECT_THAT(run_shell("cat /proc/1/environ").err, HasSubstr("Permission denied"));
    EXPECT_THAT(run_shell("readlink /proc/1/fd/3 || echo closed").out, "closed\n");
    EXPECT_THAT(run_shell("readlink /proc/1/exe || echo closed").out, HasSubstr("closed"));
    EXPECT_NE(run_shell("echo x >/proc/1/exe").exit.status, 0);
    EXPECT_NE(run_shell("echo x >/proc/1/mem").exit.status, 0);
}

TEST_F(IsolationTest, MkimgItselfIsNotToBeHadByExec) {  // CVE-2019-5736
    layers.push_back(make_layer("layer"));
    write_file(layers[0].get(), "script", "#!/proc/self/exe\n");
    ASSERT_EQ(::fchmodat(layers[0].get(), "script", 0755, 0), 0);
    // What they find there is the stub, which executes its second argument.
    EXPECT_EQ(run(command({"/proc/self/exe", "/bin/sh", "sh", "-c", "echo stub"})).out, "stub\n");
    const Result script = run(command({"/script"}));  // argv: /proc/self/exe /script
    EXPECT_EQ(script.exit.status, 127);
    EXPECT_EQ(script.err, "");
}

TEST_F(IsolationTest, MaskedAndReadOnlyPaths) {
    // Where the kernel has such a file it reads as /dev/null does, and such a directory is empty.
    EXPECT_EQ(run_shell("for f in kcore keys timer_list interrupts sched_debug latency_stats timer_stats; do\n"
                        "test ! -e /proc/$f || test -c /proc/$f || echo /proc/$f; done")
                  .out,
              "");
    EXPECT_EQ(run_shell("cat /proc/keys /proc/timer_list /proc/interrupts").out, "");
    EXPECT_EQ(run_shell("for d in /proc/acpi /proc/asound /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do\n"
                        "test ! -e $d || ls -A $d; done")
                  .out,
              "");
    for (const std::string path : {"/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper"}) {
        EXPECT_NE(run_shell("echo x >" + path).exit.status, 0) << path;
    }
    const std::string mounts = run_shell("cat /proc/self/mountinfo").out;
    for (const char* path : {" /proc/sys ro,", " /proc/bus ro,", " /proc/fs ro,", " /proc/irq ro,", " /sys ro,"}) {
        EXPECT_THAT(mounts, HasSubstr(path));
    }
}

TEST_F(IsolationTest, DevHoldsTheUsualAndNoMore) {
    EXPECT_EQ(run_shell("ls -1 /dev").out,
              "fd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n");
    EXPECT_EQ(run_shell("stat -c '%n %t:%T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty").out,
              "/dev/null 1:3 666\n/dev/zero 1:5 666\n/dev/full 1:7 666\n/dev/random 1:8 666\n/dev/urandom 1:9 666\n"
              "/dev/tty 5:0 666\n");
    EXPECT_EQ(run_shell("stat -c '%F %a' /dev /dev/shm /dev/pts").out,
              "directory 755\ndirectory 1777\ndirectory 755\n");
    EXPECT_EQ(
        run_shell(
            "echo x >/dev/null && head -c 3 /dev/zero | wc -c && echo to-out >>/dev/stdout && exec 5<>/dev/ptmx && "
            "ls /dev/pts")
            .out,
        "3\nto-out\n0\nptmx\n");
    Command step = shell("echo x >/dev/null && head -c 1 /dev/urandom | wc -c");
    step.user = "1000";
    EXPECT_EQ(run(step).out, "1\n");
}

TEST_F(IsolationTest, ShmHasItsSize) {
    Command step = shell("dd if=/dev/zero of=/dev/shm/x bs=1024 count=1024 2>/dev/null; stat -c %s /dev/shm/x");
    step.shm_size = 256UL * 1024;
    EXPECT_EQ(run(step).out, "262144\n");
}

TEST_F(IsolationTest, NewDeviceNodesAreDead) {
    // The node of /dev/zero, wherever a command may make one: with CAP_MKNOD the host's disks would be next.
    for (const std::string at : {"/x", "/dev/x", "/dev/shm/x", "/etc/x"}) {
        EXPECT_NE(run_shell("mkdir -p /etc; mknod " + at + " c 1 5; head -c 1 " + at).exit.status, 0) << at;
    }
}

TEST_F(IsolationTest, NetworkNoneHasOnlyLoopbackAndItIsUp) {
    Command step = shell("ls /sys/class/net; ip addr show lo");
    step.network = Network::none;
    const std::string out = run(step).out;
    EXPECT_EQ(out.substr(0, 3), "lo\n");
    EXPECT_THAT(out, HasSubstr("127.0.0.1/8"));
    EXPECT_THAT(out, HasSubstr("LOOPBACK,UP"));
    EXPECT_EQ(out.find("2: "), std::string::npos);
}

TEST_F(IsolationTest, NetworkHostIsTheHosts) {
    const UniqueFd here = open_path("/proc/self/ns/net", O_RDONLY);
    EXPECT_EQ(run_shell("stat -L -c %i /proc/self/ns/net").out, std::to_string(stat_fd(here.get()).st_ino) + "\n");
}

TEST_F(IsolationTest, HostnameAndHosts) {
    Command step = shell("cat /proc/sys/kernel/hostname /etc/hostname /etc/hosts");
    step.hostname = "builder";
    step.extra_hosts = {{"db", "10.0.0.7"}, {"v6", "fd00::1"}};
    EXPECT_EQ(
        run(step).out,
        "builder\nbuilder\n127.0.0.1\tlocalhost builder\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.7\tdb\n"
        "fd00::1\tv6\n");
    const UniqueFd resolv = open_path("/etc/resolv.conf", O_RDONLY);
    EXPECT_EQ(run_shell("cat /etc/resolv.conf").out, read_all(resolv.get(), 1U << 20U, "resolv.conf"));
}

TEST_F(IsolationTest, FilesOfTheHostAreOutOfReach) {
    EXPECT_EQ(run_shell("ls /..").out, run_shell("ls /").out);
    EXPECT_EQ(run_shell("ls /proc/1/root/ 2>/dev/null; ls -1 /").out, "bin\ndev\netc\nproc\nsys\n");
    EXPECT_EQ(run_shell("cd /proc && ls -d [0-9]* | wc -l").out, "4\n");  // init, the shell, ls, wc: none of the host's
}

TEST_F(IsolationTest, UmaskSignalsAndLimits) {
    EXPECT_EQ(run_shell("umask").out, "0022\n");
    EXPECT_EQ(run(command({"/bin/grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"})).out,
              "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n");
    EXPECT_EQ(run_shell("ulimit -c; ulimit -n; ulimit -s").out, "0\n1024\n8192\n");
}

}  // namespace
}  // namespace mkimg::sandbox
