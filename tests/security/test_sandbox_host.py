"""Hosts that refuse something: mkimg does without it, or says what is missing and how to get it."""

import ctypes
import fcntl
import os
import pwd
import shutil
import subprocess
import unittest

from support.builds import base_tar
from support.mkimg import MKIMG, TestCase
from support.rootless import NO_RANGES, RootlessMkimg, ensure_user
from support.seccomp import refuse

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
EPERM, ENOSYS = 1, 38
OPENAT2, CLONE3, CLOSE_RANGE = 437, 435, 436  # the same on every architecture


class HostTest(TestCase):
    def assert_refused(self, result, *words):
        self.assertEqual(result.returncode, 3, result)
        for word in words:
            self.assertIn(word, result.stderr)


class Root(HostTest):
    def run_with(self, preexec, *arguments, **keywords):
        return subprocess.run([MKIMG, "--root", self.mkimg.root, *arguments], preexec_fn=preexec, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, check=False, **keywords)

    def test_without_openat2(self):
        canary = self.write("canary/hosts", "")
        self.mkimg.ok("import", base_tar(), "base")
        self.write("context/Dockerfile",
                   f"FROM base\nRUN ln -s {self.path('canary')} /link && echo built >/file\nWORKDIR /link/deep\nRUN touch here\n")
        # As a kernel without these calls, and as a filter that doesn't know the younger one.
        for refused in (refuse(ENOSYS, OPENAT2, CLONE3), refuse(EPERM, OPENAT2)):
            result = self.run_with(refused, "build", "--no-cache", "-t", "result", self.path("context"))
            self.assertEqual(result.returncode, 0, result)
            result = self.run_with(refused, "run", "--entrypoint", "/bin/cat", "result", "/file", "/etc/hostname")
            self.assertEqual(result.stdout, "built\nmkimg\n", result)
            self.assertEqual(self.files_below(self.path("canary")), [canary])
            self.assertEqual(os.listdir(self.path("canary")), ["hosts"])

    def test_without_close_range(self):
        self.mkimg.ok("import", base_tar(), "base")
        leak = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 77)  # far from the numbers that mkimg itself takes
        self.addCleanup(os.close, leak)
        result = self.run_with(refuse(ENOSYS, CLOSE_RANGE), "run", "--entrypoint", "/bin/sh", "base", "-c", "ls /proc/$$/fd; true",
                               pass_fds=[leak])
        self.assertEqual(result.stdout, "0\n1\n2\n", result)

    def test_root_without_sys_admin(self):
        self.mkimg.ok("import", base_tar(), "base")
        result = subprocess.run(["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", MKIMG, "--root", self.mkimg.root,
                                 "run", "--entrypoint", "/bin/true", "base"], capture_output=True, text=True, check=False)
        self.assert_refused(result, "CAP_SYS_ADMIN", "--privileged")


class User(HostTest):
    def setUp(self):
        super().setUp()
        self.user = RootlessMkimg(self.dir)

    def as_user(self, *options, env=None):
        user = pwd.getpwnam(self.user.user.pw_name)
        return subprocess.run(
            [shutil.which("setpriv"), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *options, self.user.program,
             "--root", self.user.root, "run", "base"], env=env or os.environ, capture_output=True, text=True, check=False)

    def test_no_ranges(self):
        result = RootlessMkimg(self.dir, user=NO_RANGES, ranges=False).fails(3, "run", "base")
        self.assertIn("/etc/subuid and /etc/subgid", result.stderr)
        self.assertRegex(result.stderr, rf"usermod --add-subuids \d+-\d+ --add-subgids \d+-\d+ {NO_RANGES}\n")

    def test_no_newuidmap(self):
        self.assert_refused(self.as_user(env={"PATH": "/nowhere"}), "newuidmap: not installed", "uidmap")

    def test_newuidmap_without_its_privilege(self):
        self.assert_refused(self.as_user("--no-new-privs"), "newuidmap", "setuid root")

    def test_user_namespaces_switched_off(self):
        # In a user namespace of the test's own, where that setting can be changed without a trace.
        ensure_user(self.user.user.pw_name, True)
        ready, mapped = os.pipe(), os.pipe()
        out = self.path("out")
        pid = os.fork()
        if pid == 0:
            try:
                if LIBC.unshare(CLONE_NEWUSER) != 0:
                    raise OSError(ctypes.get_errno(), "unshare")
                os.write(ready[1], b"x")
                os.read(mapped[0], 1)
                with open("/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as file:
                    file.write("0")
                os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT), 2)
                user = self.user.user
                os.setgroups([])
                os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
                os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
                os.execv(self.user.program, ["mkimg", "--root", self.user.root, "run", "base"])
            finally:
                os._exit(99)
        os.read(ready[0], 1)
        for kind in ("uid", "gid"):
            with open(f"/proc/{pid}/{kind}_map", "w", encoding="ascii") as file:
                file.write("0 0 1000000")
        os.write(mapped[1], b"x")
        _, status = os.waitpid(pid, 0)
        with open(out, encoding="utf-8") as file:
            text = file.read()
        self.assertEqual(os.waitstatus_to_exitcode(status), 3, text)
        self.assertIn("user.max_user_namespaces is 0", text)
        self.assertIn("sysctl -w user.max_user_namespaces=", text)


if __name__ == "__main__":
    unittest.main()
