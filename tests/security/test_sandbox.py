"""Attacks from inside a RUN step, from the image it runs in, and what a step sees of the host.

Each test runs twice: as root, and as an ordinary user in a user namespace."""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import unittest

from support.builds import base_tar, mounts_below, processes_with
from support.mkimg import MKIMG, TestCase
from support.rootfs import busybox_rootfs, make_tar
from support.rootless import RootlessMkimg

# chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod
# audit_write setfcap, as `docker run` shows them.
DOCKER_DEFAULT = "00000000a80425fb"


class Attacks(TestCase):
    """What holds for root and for a user alike."""

    def setUp(self):
        super().setUp()
        os.chmod(self.dir, 0o755)
        self.load(base_tar(), "base")

    def load(self, tar, name):
        with open(tar, "rb") as file:
            return self.mkimg.ok("import", "-", name, stdin=file.read())

    def image(self, name, entries):
        """An image of busybox and these entries."""
        self.load(busybox_rootfs(self.path(name + ".tar"), entries), name)

    def build(self, recipe, status=0, name="context"):
        self.write(f"{name}/Dockerfile", recipe)
        os.chmod(self.path(name), 0o755)
        arguments = ("build", "--no-cache", "--progress", "plain", "-t", "result", self.path(name))
        return self.mkimg.ok(*arguments) if status == 0 else self.mkimg.fails(status, *arguments)

    def sh(self, script, *options, image="base", **keywords):
        return self.mkimg.run("run", *options, "--entrypoint", "/bin/sh", image, "-c", script, **keywords)

    def canary(self, path=None):
        """A folder of the host that must stay as it is; open to all, so that only mkimg protects it."""
        path = path or self.path("canary")
        for name in ("hosts", "hostname", "resolv.conf", "passwd"):
            self.write(f"{path}/{name}", "", 0o666)
        os.chmod(path, 0o777)
        os.utime(path, (1, 1))
        before = self.state(path)
        self.addCleanup(lambda: self.assertEqual(self.state(path), before, "the canary has changed"))
        return path

    @staticmethod
    def state(path):
        return {name: (os.lstat(name).st_mtime_ns, os.lstat(name).st_mode, os.lstat(name).st_size)
                for name in [path, *(entry.path for entry in os.scandir(path))]}

    # What a step sees

    def test_environment_is_what_was_declared(self):  # CVE-2021-3602
        result = self.sh("env | sort", env={"HOST_SECRET": "geheim"})
        self.assertEqual(result.stdout,
                         "HOME=/root\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\nSHLVL=1\n")

    def test_capabilities(self):  # CVE-2022-27651
        out = self.sh("grep ^Cap /proc/self/status").stdout.split()
        self.assertEqual(out, ["CapInh:", "0" * 16, "CapPrm:", DOCKER_DEFAULT, "CapEff:", DOCKER_DEFAULT, "CapBnd:",
                               DOCKER_DEFAULT, "CapAmb:", "0" * 16])
        out = self.sh("grep -E '^Cap(Prm|Eff)' /proc/self/status", "--user", "app").stdout.split()
        self.assertEqual(out, ["CapPrm:", "0" * 16, "CapEff:", "0" * 16])

    def test_groups(self):  # CVE-2022-2990, CVE-2022-36109
        self.assertEqual(self.sh("grep ^Groups /proc/self/status", "--user", "app").stdout.split(), ["Groups:", "1000", "2000"])

    def test_numbers_of_users(self):  # CVE-2024-40635
        for user in ("4294967296", "-1", "+1"):
            self.assertNotEqual(self.sh("id -u", "--user", user).status, 0, user)

    def test_only_three_descriptors(self):  # CVE-2024-21626
        argv = [sys.executable, "-c", "import os, sys\n"
                "for fd in range(20, 200): os.dup2(os.open('/', os.O_RDONLY), fd, inheritable=True)\n"
                "os.execvp(sys.argv[1], sys.argv[1:])"]
        command = self.argv("run", "--entrypoint", "/bin/sh", "base", "-c", "ls /proc/$$/fd; true")
        out = subprocess.run(argv + command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True,
                             env={**os.environ, **self.mkimg.env}).stdout
        self.assertEqual(out, b"0\n1\n2\n")

    def test_working_directories_of_descriptors(self):  # CVE-2024-21626
        for number in (0, 3, 7, 8, 9, 20, 1023):
            result = self.sh("pwd", "--workdir", f"/proc/self/fd/{number}")
            self.assertNotEqual(result.status, 0, result)
            self.assertNotIn(self.dir, result.stdout)

    def test_working_directory_through_a_link(self):  # CVE-2026-55686
        self.image("links", [("out", None, {"type": tarfile.SYMTYPE, "linkname": self.canary()}),
                             ("up", None, {"type": tarfile.SYMTYPE, "linkname": "../../../../../.."})])
        self.build("FROM links\nWORKDIR /out/deep\nRUN touch made\nWORKDIR /up\nRUN touch made && ls / | grep -q made\n")

    def test_init_shows_nothing_of_mkimg(self):  # CVE-2019-5736
        out = self.sh("tr -d '\\0' </proc/1/cmdline; readlink /proc/1/exe || echo shut; cat /proc/1/environ || echo shut")
        self.assertEqual(out.stdout, "shut\nshut\n")
        for path in ("/proc/1/exe", "/proc/1/mem"):
            self.assertNotEqual(self.sh(f"echo x >{path}").status, 0)

    def test_exec_of_what_executed_it(self):  # CVE-2019-5736
        self.image("hostile", [("script", "#!/proc/self/exe\n", {"mode": 0o755})])
        result = self.mkimg.run("run", "--entrypoint", "/script", "hostile", "--version")
        self.assertNotIn("mkimg", result.stdout)
        result = self.mkimg.run("run", "--entrypoint", "/proc/self/exe", "base", "--version")
        self.assertNotIn("mkimg", result.stdout)

    def test_host_disks_stay_out_of_reach(self):
        script = "for at in /x /dev/x /dev/shm/x /tmp/x; do mknod $at c 1 5; head -c 1 $at && echo $at works; done; true"
        self.assertNotIn("works", self.sh(script).stdout)

    def test_kernel_settings_are_read_only(self):
        for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger", "/sys/kernel/uevent_helper",
                     "/proc/irq/default_smp_affinity"):
            self.assertNotEqual(self.sh(f"echo 0 >{path}").status, 0, path)

    # What an image may hold

    def test_special_folders_that_are_links(self):  # CVE-2026-41579
        canary = self.canary()
        for name in ("proc", "sys", "dev"):
            self.bare_image("link-" + name, [(name, None, {"type": tarfile.SYMTYPE, "linkname": canary})])
            result = self.build(f"FROM link-{name}\nRUN true\n", status=1)
            self.assertIn(f"/{name} is a symbolic link", result.stderr)

    def test_other_folders_that_are_links(self):  # CVE-2026-41579
        outside = tempfile.mkdtemp(dir="/var/tmp")  # below /tmp, the image's own /tmp would make it a loop
        self.addCleanup(shutil.rmtree, outside)
        canary = self.canary(outside)
        self.bare_image("links", [(name, None, {"type": tarfile.SYMTYPE, "linkname": canary}) for name in ("etc", "tmp", "run")])
        self.build("FROM links\nRUN echo x >/etc/hosts\n")
        self.write("source/file", "x")
        result = self.sh("cat /tmp/deep/file", "-v", self.path("source") + ":/tmp/deep", image="links")
        self.assertEqual(result.stdout, "x", result)

    def test_files_that_block(self):  # CVE-2024-9676, CVE-2026-47262
        kinds = {"fifo": {"type": tarfile.FIFOTYPE, "mode": 0o666}, "link": {"type": tarfile.SYMTYPE, "linkname": "/dev/zero"},
                 "out": {"type": tarfile.SYMTYPE, "linkname": "../../../../../../../../etc/shadow"}}
        for name, fields in kinds.items():
            self.bare_image(name, [("etc", None), ("etc/passwd", b"", fields), ("etc/group", b"", fields)])
            self.assertEqual(self.sh("echo $HOME", image=name, timeout=60).stdout, "/\n")
            self.assertNotEqual(self.sh("true", "--user", "daemon", image=name, timeout=60).status, 0)

    def test_replaced_devices(self):  # CVE-2025-31133, CVE-2025-52565
        canary = self.canary()
        self.image("devices", [("dev/null", None, {"type": tarfile.SYMTYPE, "linkname": canary + "/passwd"}),
                               ("dev/console", None, {"type": tarfile.SYMTYPE, "linkname": canary + "/hosts"}),
                               ("dev/pts", None, {"type": tarfile.SYMTYPE, "linkname": canary})])
        self.assertEqual(self.sh("echo x >/dev/null; ls -l /dev/null | cut -c1; cat /proc/keys", image="devices").stdout, "c\n")

    # What a step may do to what mkimg does after it

    def test_parent_of_a_mount_point_swapped(self):  # CVE-2024-23652
        canary = self.canary()
        self.bare_image("bare")  # every mount point is mkimg's own
        self.build(f"FROM bare\nRUN mv /etc /moved && ln -s {canary} /etc\n")
        self.build(f"FROM bare\nRUN rm -rf /etc/* || true; ln -s {canary} /link\nRUN mv /etc /moved && mv /link /etc\n")

    def test_mount_points_leave_no_trace(self):
        self.bare_image("bare")
        self.build("FROM bare\nRUN echo x >/kept\nRUN echo y >/etc/hosts; echo z >/etc/resolv.conf; echo a >/dev/shm/a\n")
        archive = self.path("result.tar")
        with open(archive, "wb") as file:
            file.write(self.mkimg.ok("save", "--format", "oci", "-o", "-", "result").raw)
        names = set()
        with tarfile.open(archive) as blobs:
            for blob in blobs:
                try:
                    names |= {name.strip("./") for name in tarfile.open(fileobj=blobs.extractfile(blob)).getnames()}
                except (tarfile.ReadError, ValueError):
                    pass  # a folder or a document
        self.assertEqual(names - {""}, {"bin", "bin/busybox", *("bin/" + name for name in self.APPLETS), "kept"})

    # The end

    def test_killed_mkimg_leaves_nothing(self):
        command = self.argv("run", "--entrypoint", "/bin/sh", "base", "-c",
                            "trap '' TERM INT HUP; sleep 98765 & echo up; sleep 98765")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                              env={**os.environ, **self.mkimg.env}) as process:
            self.assertEqual(process.stdout.readline(), b"up\n")
            process.send_signal(signal.SIGKILL)
            self.assertEqual(process.stdout.read(), b"")  # returns when the last process that holds it is gone
        self.assertEqual(mounts_below(self.dir), [])
        self.assertEqual(self.sh("echo well").stdout, "well\n")

    def test_interrupt_ends_what_ignores_it(self):
        seconds = str(90000 + os.getpid() % 9000)  # tells its processes from all others
        self.write("context/Dockerfile", f"FROM base\nRUN trap '' TERM INT HUP; sleep {seconds} & echo it is up; sleep {seconds}\n")
        command = self.argv("build", "--no-cache", "--progress", "plain", self.path("context"))
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                              env={**os.environ, **self.mkimg.env}) as process:
            for line in process.stderr:
                if line.rstrip().endswith(" it is up"):
                    break
            process.send_signal(signal.SIGINT)
            process.stderr.read()
            self.assertEqual(process.wait(), 130)
        self.assertEqual(processes_with("sleep " + seconds), [])
        self.assertEqual(mounts_below(self.dir), [])

    # Helpers

    APPLETS = ("sh", "cat", "ln", "mv", "rm", "true")

    def bare_image(self, name, entries=()):
        """Programs and nothing else: no /etc, /proc, /sys, /dev."""
        links = [("bin/" + applet, None, {"type": tarfile.SYMTYPE, "linkname": "busybox"}) for applet in self.APPLETS]
        self.load(make_tar(self.path(name + ".tar"), [
            ("bin", None), ("bin/busybox", self.busybox(), {"mode": 0o755}), *links, *entries]), name)

    @staticmethod
    def busybox():
        with open(shutil.which("busybox"), "rb") as file:
            return file.read()

    def argv(self, *arguments):
        return [MKIMG, "--root", self.mkimg.root, *arguments]


class RootlessAttacks(Attacks):
    def setUp(self):
        self.rootless = None
        super().setUp()

    def load(self, tar, name):
        if self.rootless is None:
            self.rootless = self.mkimg = RootlessMkimg(self.dir)
        return super().load(tar, name)

    def argv(self, *arguments):
        return self.rootless.argv(*arguments)


if __name__ == "__main__":
    unittest.main()
