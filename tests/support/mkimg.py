"""Running the program against a store of its own."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest

MKIMG = os.environ.get("MKIMG", "mkimg")


class Result:
    """One finished run. stdout and stderr are text; `raw` is stdout's bytes."""

    def __init__(self, argv, process):
        self.argv = argv
        self.status = process.returncode
        self.raw = process.stdout
        self.stdout = process.stdout.decode(errors="surrogateescape")
        self.stderr = process.stderr.decode(errors="surrogateescape")

    def json(self):
        return json.loads(self.raw)

    def __str__(self):
        return f"{' '.join(self.argv)}\nexit status {self.status}\n{self.stdout}{self.stderr}"


class Mkimg:
    """The program with --root given."""

    def __init__(self, root, env=None):
        self.root = str(root)
        self.env = env or {}

    def run(self, *arguments, stdin=None, cwd=None, env=None, timeout=300):
        """Runs `mkimg --root ROOT ARGUMENTS…`, whatever its exit status."""
        argv = [MKIMG, "--root", self.root, *map(str, arguments)]
        environment = {k: v for k, v in os.environ.items() if k not in ("MKIMG_ROOT", "SOURCE_DATE_EPOCH")}
        environment.update(self.env)
        environment.update(env or {})
        if isinstance(stdin, str):
            stdin = stdin.encode()
        process = subprocess.run(
            argv, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=environment, timeout=timeout, check=False)
        return Result(argv, process)

    def ok(self, *arguments, **keywords):
        """The same; a status other than 0 is a failure of the test."""
        result = self.run(*arguments, **keywords)
        if result.status != 0:
            raise AssertionError(str(result))
        return result

    def fails(self, status, *arguments, **keywords):
        """The same for a run that must fail with this status and say why."""
        result = self.run(*arguments, **keywords)
        if result.status != status or not result.stderr:
            raise AssertionError(f"expected exit status {status} and a message: {result}")
        return result


class TestCase(unittest.TestCase):
    """Gives each test a scratch folder, `self.dir`, and an empty store, `self.mkimg`.

    $MKIMG_TEST_DIR is where scratch folders are made (a fast file system helps)."""

    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mkimg-test-", dir=os.environ.get("MKIMG_TEST_DIR"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.mkimg = Mkimg(self.path("store"))

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, content, mode=0o644):
        """Writes a file below the scratch folder and returns its path."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(path, mode)
        return path

    def files_below(self, path):
        """Every regular file's path below `path`: to see that nothing was left or written."""
        return sorted(os.path.join(base, name) for base, _, names in os.walk(path) for name in names)


def digest(data):
    """sha256:… of bytes, or of the file at a path."""
    if isinstance(data, str):
        with open(data, "rb") as file:
            return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    return "sha256:" + hashlib.sha256(data).hexdigest()
