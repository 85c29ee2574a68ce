"""Killed at any moment, several at once, on a full disk: the store stays good."""

import os
import random
import re
import signal
import subprocess
import time
import unittest

from support import MKIMG, Mkimg
from support.builds import BuildTestCase, base_tar, mounts_below, processes_with

KILLS = int(os.environ.get("MKIMG_TEST_KILLS", "200"))


class Killed(BuildTestCase):
    RECIPE = """\
FROM base AS a
RUN for i in $(seq 40); do echo $i > /f$i; done; {wait}
FROM base
COPY tree/ /tree/
RUN cp -a /tree /copy; dd if=/dev/zero of=/big bs=1M count=8 2>/dev/null; {wait}
COPY --from=a /f1 /f40 /
RUN rm -r /tree && echo done > /done
"""

    def test_sigkill_at_random_moments(self):
        """Each time nothing is left of it, and the next build works and gives the right image."""
        marker = "sleep 0.0271"
        recipe = self.RECIPE.format(wait=marker)
        files = {f"tree/{i}": "x" * 997 * i for i in range(60)}
        context = self.context(recipe, files)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        argv = [MKIMG, "--root", self.mkimg.root, "build", "--progress", "plain", "--iidfile", self.path("iid"), context]
        again = argv + ["--no-cache"]

        def build(arguments):
            done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(self.path("iid"), encoding="ascii") as file:
                return file.read()

        def timed():
            start = time.monotonic()
            return build(again), time.monotonic() - start
        right, whole = min((timed() for _ in range(3)), key=lambda made: made[1])
        seed = random.randrange(1 << 32)
        moments = random.Random(seed)
        in_step = 0
        for round_number in range(KILLS):
            where = f"seed {seed}, round {round_number}"
            with open(self.path("progress"), "wb") as progress:
                process = subprocess.Popen(again, env=environment, stdout=subprocess.DEVNULL, stderr=progress)
                time.sleep(moments.uniform(0, whole))
                process.send_signal(signal.SIGKILL)
                process.wait()
            with open(self.path("progress"), encoding="utf-8") as progress:
                text = progress.read()
            # A step that was begun and not done was in its command or its commit.
            begun = re.findall(r"^#(\d+) \[[^]]*\] (?:RUN|COPY)", text, re.M)
            in_step += any(not re.search(rf"^#{step} DONE", text, re.M) for step in begun)
            self.assertEqual(mounts_below(self.dir), [], where)
            deadline = time.monotonic() + 10
            while (left := processes_with(self.mkimg.root) + processes_with(marker)) and time.monotonic() < deadline:
                time.sleep(0.005)
            self.assertEqual(left, [], where)
            self.assertEqual(build(argv), right, where)
            self.assertEqual(os.listdir(os.path.join(self.mkimg.root, "tmp")), [], where)
        self.assertGreaterEqual(in_step, KILLS // 2)
        self.mkimg.ok("fsck")
        self.assertEqual(build(again), right)


class AtOnce(BuildTestCase):
    def test_two_then_eight_builds_share_a_store(self):
        files = {f"tree/{i}": str(i) * 100 for i in range(50)}
        same = "FROM base\nCOPY tree /tree\nRUN cp -a /tree /copy\nRUN echo {} > /own\n"
        for count in (2, 8):
            contexts = [self.context(same.format(i % 3), files, name=f"c{count}-{i}") for i in range(count)]
            builds = [subprocess.Popen([MKIMG, "--root", self.mkimg.root, "build", "-q", "-t", f"app{i}", context],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                       env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
                      for i, context in enumerate(contexts)]
            results = [build.communicate(timeout=300) + (build.returncode,) for build in builds]
            self.assertEqual([status for _, _, status in results], [0] * count, results)
            for i, (image, _, _) in enumerate(results):
                self.assertEqual(image, results[i % 3][0])
                self.assertEqual(self.in_image(f"app{i}", "cat", "/own"), f"{i % 3}\n")
        self.mkimg.ok("fsck")


class FullDisk(BuildTestCase):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("small"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "mkimg-test", self.path("small")], check=True)
        self.addCleanup(subprocess.run, ["umount", self.path("small")], check=True)
        self.small = Mkimg(self.path("small/store"))
        self.small.ok("import", base_tar(), "base")

    def check(self, recipe, *options, files=()):
        result = self.small.fails(1, "build", *options, self.context(recipe, files))
        self.assertIn("No space left on device", result.stderr)
        self.assertIn("mkimg prune", result.stderr)
        self.assertEqual(os.listdir(self.path("small/store/tmp")), [])
        self.small.ok("fsck")
        # The store still builds what fits.
        self.small.ok("build", "-q", "-t", "fits", self.context("FROM base\nRUN echo small > /s\n"))
        self.assertEqual(self.small.ok("run", "fits", "cat", "/s").stdout, "small\n")

    def test_in_copy(self):
        self.check("FROM base\nCOPY big /big\n", files={"big": os.urandom(1 << 20) * 40})

    def test_in_run(self):
        """The command meets the full disk itself; mkimg says so."""
        result = self.small.fails(1, "build", self.context("FROM base\nRUN dd if=/dev/zero of=/big bs=1M count=40\n"))
        self.assertIn("No space left on device", result.stderr)
        self.small.ok("fsck")
        self.small.ok("build", "-q", self.context("FROM base\nRUN echo small > /s\n"))

    def test_in_export(self):
        archive = self.path("small/out.tar")
        self.check("FROM base\nCOPY big /big\n", "-o", f"type=oci,dest={archive}", files={"big": os.urandom(1 << 20) * 13})
        self.assertFalse(os.path.exists(archive))

    def test_in_fsck(self):
        """What there is no room to check is not called broken, and not dropped."""
        filler = self.path("small/filler")
        with open(filler, "wb") as file, self.assertRaises(OSError):
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        for repair in ((), ("--repair",)):
            result = self.small.fails(1, "fsck", *repair)
            self.assertIn("No space left on device", result.stderr)
            self.assertNotIn("damage", result.stdout)
        os.unlink(filler)
        self.small.ok("fsck")
        self.small.ok("run", "base", "true")


if __name__ == "__main__":
    unittest.main()
