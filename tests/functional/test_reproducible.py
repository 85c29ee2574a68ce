"""Same inputs, same bytes: from another directory, umask, order of entries, number of threads, user."""

import os
import shutil
import subprocess
import unittest

from support import MKIMG, Mkimg, digest
from support.builds import BuildTestCase, base_tar
from support.rootless import NO_RANGES, RootlessMkimg

EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}
RECIPE = """\
FROM base AS tools
RUN mkdir /opt && cd /opt && echo tool > tool && chmod 4755 tool && ln tool hard && ln -s tool soft && mkfifo pipe
RUN chown 1000:2000 /opt/soft /opt/pipe; chown 60000:65535 /opt/hard
FROM base AS other
RUN echo other > /other; rm /etc/group; rm -r /home; mkdir /home
FROM base
WORKDIR /srv/app
COPY --from=tools /opt/ /opt/
COPY --from=other /other .
COPY --chown=app:app tree/ ./
ADD archive.tar.gz /unpacked/
RUN date > /now && rm /now; touch /marker
ENV A=1
"""


class Reproducible(BuildTestCase):
    def tree(self, name, reverse=False):
        """A context; with `reverse`, its files are made in the other order."""
        files = {"Dockerfile": RECIPE, "tree/a": "1", "tree/b/c": "2", "tree/b/d": "3", "tree/z": "4"}
        for path, content in sorted(files.items(), reverse=reverse):
            self.write(f"{name}/{path}", content)
        for folder in ("tree", "tree/b"):
            os.chmod(self.path(name, folder), 0o755)
        packed = self.path("archive.tar.gz")
        if not os.path.exists(packed):
            self.write("packed/x", "x")
            subprocess.run(["tar", "-C", self.path("packed"), "--mtime=@5", "-czf", packed, "x"], check=True)
        shutil.copy(packed, self.path(name, "archive.tar.gz"))
        return self.path(name)

    def result(self, mkimg, context, *options, base=True, **keywords):
        """(image ID, digest of the OCI archive) of a build in an empty store."""
        if base:
            mkimg.ok("import", base_tar(), "base", env={"SOURCE_DATE_EPOCH": "1000000000"})
        archive = os.path.join(os.path.dirname(mkimg.root), "out.tar")
        image = mkimg.ok("build", "-q", "-t", "app", "-o", f"type=oci,dest={archive}", *options, context,
                         env=EPOCH, **keywords).stdout.strip()
        return image, digest(archive)

    def fresh(self, name):
        os.makedirs(self.path(name), exist_ok=True)
        return Mkimg(self.path(name, "store"))

    def test_the_same_bytes_whatever_the_surroundings(self):
        first = self.result(self.fresh("one"), self.tree("context"))
        self.assertEqual(self.result(self.fresh("two"), self.tree("elsewhere/deeper", reverse=True), "--jobs", "1"), first)
        self.assertEqual(self.result(self.fresh("three"), self.tree("third"), "--jobs", "7"), first)
        # A warm build, and one that runs everything again.
        self.assertEqual(self.result(Mkimg(self.path("one/store")), self.path("context"), base=False), first)
        self.assertEqual(self.result(Mkimg(self.path("one/store")), self.path("context"), "--no-cache", base=False), first)

    def test_another_umask(self):
        first = self.result(self.fresh("one"), self.tree("context"))
        before = os.umask(0o077)
        self.addCleanup(os.umask, before)
        self.assertEqual(self.result(self.fresh("two"), self.path("context")), first)

    def test_without_an_epoch_a_warm_build_is_the_same_image(self):
        context = self.tree("context")
        mkimg = self.fresh("one")
        mkimg.ok("import", base_tar(), "base", env={"SOURCE_DATE_EPOCH": "1000000000"})
        first = mkimg.ok("build", "-q", context).stdout
        self.assertEqual(mkimg.ok("build", "-q", context).stdout, first)


class Rootless(Reproducible):
    def test_an_ordinary_user_builds_the_same_bytes(self):
        os.chmod(self.dir, 0o755)
        context = self.tree("context")
        first = self.result(self.fresh("one"), context)
        rootless = RootlessMkimg(self.path())
        with open(base_tar(), "rb") as file:
            base = file.read()
        rootless.ok("import", "-", "base", stdin=base, env={"SOURCE_DATE_EPOCH": "1000000000"})
        self.assertEqual(self.result(rootless, context, base=False), first)

    def test_without_ranges_the_error_says_how_to_get_them(self):
        os.chmod(self.dir, 0o755)
        result = RootlessMkimg(self.path(), user=NO_RANGES, ranges=False).fails(3, "build", self.tree("context"))
        self.assertIn("/etc/subuid", result.stderr)
        self.assertIn("usermod --add-subuids", result.stderr)
        self.assertIn(NO_RANGES, result.stderr)


if __name__ == "__main__":
    unittest.main()
