"""Running the program as an ordinary user with id ranges. Needs root, to make that user."""

import fcntl
import os
import pwd
import shutil
import subprocess

from .mkimg import MKIMG, Mkimg, Result

USER = "mkimgtest"
NO_RANGES = "mkimgplain"


def ensure_user(name, ranges):
    """Makes the user where it is missing, with or without subordinate ids."""
    with open("/tmp/mkimg-test-users.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side, and useradd doesn't wait
        make_user(name, ranges)


def make_user(name, ranges):
    try:
        pwd.getpwnam(name)
    except KeyError:
        subprocess.run(["useradd", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh", name], check=True)
    for kind in ("subuid", "subgid"):
        with open(f"/etc/{kind}", encoding="ascii") as file:
            has = any(line.startswith(name + ":") for line in file)
        if ranges and not has:
            subprocess.run(["usermod", f"--add-{kind}s", "700000-765535", name], check=True)
        if not ranges and has:
            subprocess.run(["usermod", f"--del-{kind}s", "0-4294967294", name], check=True)


class RootlessMkimg(Mkimg):
    """The same program, run by that user with a store of its own. `folder` must be reachable by it."""

    def __init__(self, folder, user=USER, ranges=True):
        ensure_user(user, ranges)
        self.user = pwd.getpwnam(user)
        self.program = os.path.join(folder, "mkimg")
        if not os.path.exists(self.program):
            shutil.copy(MKIMG, self.program)  # the build folder may be closed to others
            os.chmod(self.program, 0o755)
        os.chmod(folder, 0o755)
        home = os.path.join(folder, "home-" + user)
        os.makedirs(home, exist_ok=True)
        os.chown(home, self.user.pw_uid, self.user.pw_gid)
        super().__init__(os.path.join(home, "store"), {"HOME": home})

    def argv(self, *arguments):
        return ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups", self.program,
                "--root", self.root, *map(str, arguments)]

    def run(self, *arguments, stdin=None, cwd=None, env=None, timeout=300):
        environment = {k: v for k, v in os.environ.items() if k not in ("MKIMG_ROOT", "SOURCE_DATE_EPOCH", "XDG_RUNTIME_DIR")}
        environment.update(self.env)
        environment.update(env or {})
        argv = self.argv(*arguments)
        process = subprocess.run(
            argv, input=stdin.encode() if isinstance(stdin, str) else stdin, stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=environment, timeout=timeout, check=False)
        return Result(argv, process)
