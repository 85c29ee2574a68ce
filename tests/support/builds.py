"""Tests that build on a small busybox image called "base"."""

import json
import os
import re
import subprocess

from .mkimg import TestCase
from .rootfs import busybox_rootfs

_base_tar = None


def base_tar():
    """The root file system of "base", made once per test program."""
    global _base_tar
    if _base_tar is None:
        import atexit
        import shutil
        import tempfile
        folder = tempfile.mkdtemp(prefix="mkimg-base-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _base_tar = busybox_rootfs(os.path.join(folder, "base.tar"))
    return _base_tar


class BuildTestCase(TestCase):
    def setUp(self):
        super().setUp()
        self.mkimg.ok("import", base_tar(), "base", env={"SOURCE_DATE_EPOCH": "1000000000"})

    def context(self, recipe, files=(), name="context"):
        """Writes a context folder; files are {name: content}. Returns its path."""
        self.write(f"{name}/Dockerfile", recipe)
        for path, content in dict(files).items():
            self.write(f"{name}/{path}", content)
        return self.path(name)

    def build(self, recipe, *options, files=(), name="context", **keywords):
        return self.mkimg.ok("build", *options, self.context(recipe, files, name), **keywords)

    def image_id(self, recipe, *options, **keywords):
        return self.build(recipe, "-q", *options, **keywords).stdout.strip()

    def build_fails(self, status, recipe, *options, files=(), **keywords):
        return self.mkimg.fails(status, "build", *options, self.context(recipe, files), **keywords)

    def config(self, image):
        """The image config as the store holds it."""
        with open(os.path.join(self.mkimg.root, "blobs/sha256", image.removeprefix("sha256:")), "rb") as file:
            return json.load(file)

    def in_image(self, image, *command, **keywords):
        """What a command prints when it is run in the image."""
        return self.mkimg.ok("run", "--entrypoint", command[0], image, *command[1:], **keywords).stdout

    @staticmethod
    def read(path, mode="r"):
        with open(path, mode) as file:
            return file.read()

    def cached(self, result):
        """Step numbers that the cache answered, and those that ran."""
        hit = [int(n) for n in re.findall(r"^#(\d+) CACHED$", result.stderr, re.M)]
        ran = [int(n) for n in re.findall(r"^#(\d+) DONE ", result.stderr, re.M)]
        return hit, ran


def mounts_below(path):
    """Mount points of this host below a path: there must be none after a build."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return [line.split()[4] for line in file if line.split()[4].startswith(path)]


def processes_with(text):
    """PIDs of processes whose command line holds the text."""
    found = subprocess.run(["pgrep", "-f", "--", text], capture_output=True, check=False).stdout
    return [int(pid) for pid in found.split() if int(pid) != os.getpid()]
