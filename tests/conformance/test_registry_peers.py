"""Images go between mkimg and skopeo, Buildah and Docker by way of Debian's registry: trees and digests are equal."""

import json
import os
import pathlib
import shutil
import tempfile
import unittest

from base_image import base_archive
from compare import compare_configs, compare_trees
from images import read_archive
from support.mkimg import Mkimg, digest
from support.peers import Buildah, Dockerd, skopeo
from support.registry import Registry

RECIPE = r"""FROM base
RUN mkdir -p /app/bin && echo '#!/bin/sh' > /app/bin/run && echo 'echo hello from $(id -u)' >> /app/bin/run \
 && chmod 755 /app/bin/run && ln /app/bin/run /app/bin/again && ln -s run /app/bin/link && mkfifo /app/fifo \
 && cp /bin/busybox /app/suid && chmod 4711 /app/suid && touch "/app/$(printf 'latin\351')" /app/日本 \
 && cp /bin/busybox /app/capable && setcap cap_net_bind_service=ep /app/capable
RUN rm /data/one && rm -rf /data/sub && mkdir -m 0711 /data/sub && echo new > /data/sub/new && chown 4000000:5000000 /data/two
LABEL org.example.kind=registry
USER app
ENTRYPOINT ["/app/bin/run"]
"""

FORMS = {"oci": [], "docker": ["--oci-mediatypes=false"], "zstd": ["--compression", "zstd", "--force-compression"]}


class Peers(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mkimg-peers-", dir=os.environ.get("MKIMG_TEST_DIR")))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.registry = Registry()
        cls.addClassCleanup(cls.registry.close)
        cls.host = cls.registry.host()
        cls.mkimg = Mkimg(cls.folder / "store", {"DOCKER_CONFIG": str(cls.folder / "none")})
        base_archive(cls.folder / "base.tar", cls.folder)
        cls.mkimg.ok("load", "-i", cls.folder / "base.tar")
        context = cls.folder / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(RECIPE)
        cls.mkimg.ok("build", "--network", "none", "-t", "app", context)
        cls.archive = cls.folder / "app.tar"
        cls.mkimg.ok("save", "-o", cls.archive, "app")
        cls.image = read_archive(cls.archive)
        cls.tree = cls.image.tree()
        cls.image_id = cls.mkimg.ok("inspect", "app").json()["id"]
        for form, options in FORMS.items():
            cls.mkimg.ok("push", *options, "app", f"{cls.host}/{form}:1")

    def check(self, archive, reference=None):
        """The archive that a reader wrote holds the image that mkimg pushed."""
        image = read_archive(archive, reference)
        self.assertEqual(compare_trees(self.tree, image.tree(), self.tree), [])
        self.assertEqual(compare_configs(self.image.config, image.config), [])

    def pull_anew(self, name):
        """The image of that name, pulled into an empty store and saved."""
        store = Mkimg(self.folder / ("store-" + name.replace("/", "-").replace(":", "-")), self.mkimg.env)
        image = store.ok("pull", f"{self.host}/{name}").stdout.strip()
        saved = self.folder / "pulled.tar"
        store.ok("save", "-o", saved, f"{self.host}/{name}")
        store.ok("fsck")
        return image, saved

    def test_skopeo_reads_what_mkimg_pushed(self):
        for form in FORMS:
            with self.subTest(form):
                copied = self.folder / f"skopeo-{form}.tar"
                skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{self.host}/{form}:1", f"oci-archive:{copied}")
                self.check(copied)
                config = skopeo("inspect", "--tls-verify=false", "--config", "--raw", f"docker://{self.host}/{form}:1")
                self.assertEqual(digest(config.encode()), self.image_id)

    def test_mkimg_reads_what_skopeo_pushed(self):
        for form in ("oci", "v2s2"):
            with self.subTest(form):
                skopeo("copy", "-q", "--format", form, "--dest-tls-verify=false", f"oci-archive:{self.archive}", f"docker://{self.host}/skopeo-{form}:1")
                image, saved = self.pull_anew(f"skopeo-{form}:1")
                self.check(saved)
                raw = skopeo("inspect", "--tls-verify=false", "--raw", f"docker://{self.host}/skopeo-{form}:1")
                self.assertEqual(json.loads(raw)["config"]["digest"], image)

    def test_buildah_both_ways(self):
        with Buildah(self.folder / "buildah") as buildah:
            trust = ("--tls-verify=false", "--signature-policy", buildah.policy)
            for form in FORMS:
                buildah.run("pull", "-q", *trust, f"docker://{self.host}/{form}:1")
                self.assertEqual(buildah.run("images", "-q", "--no-trunc", f"{self.host}/{form}:1").strip(), self.image_id)
            container = buildah.run("from", "--pull-never", *trust, f"{self.host}/oci:1").strip()
            self.assertEqual(buildah.run("run", "--isolation", "chroot", container, "/app/bin/link"), "hello from 1000\n")
            buildah.run("run", "--isolation", "chroot", "--user", "root", container, "--", "sh", "-c", "echo more > /more")
            for form in ("oci", "docker"):
                with self.subTest(form):
                    made = buildah.run("commit", "-q", "--format", form, container, f"made-{form}").strip()
                    archive = self.folder / f"buildah-{form}.tar"
                    buildah.run("push", "-q", *trust, made, f"docker-archive:{archive}:app:latest")
                    buildah.run("push", "-q", *trust, made, f"docker://{self.host}/buildah-{form}:1")
                    _, saved = self.pull_anew(f"buildah-{form}:1")
                    self.assertEqual(compare_trees(read_archive(archive).tree(), read_archive(saved).tree(), self.tree), [])
                    self.assertIn("more", read_archive(saved).tree())

    def test_docker_both_ways(self):
        with Dockerd(self.folder / "dockerd") as docker:
            for form in FORMS:
                with self.subTest(form):
                    docker.run("pull", "-q", f"{self.host}/{form}:1")
                    self.assertEqual(json.loads(docker.run("image", "inspect", f"{self.host}/{form}:1"))[0]["Id"], self.image_id)
            self.assertEqual(docker.run("run", "--rm", "--network", "none", f"{self.host}/oci:1"), "hello from 1000\n")
            saved = self.folder / "docker.tar"
            docker.save(f"{self.host}/oci:1", saved)
            self.check(saved)
            docker.run("tag", f"{self.host}/oci:1", f"{self.host}/from-docker:1")
            docker.run("push", "-q", f"{self.host}/from-docker:1")
            image, saved = self.pull_anew("from-docker:1")
            self.assertEqual(image, self.image_id)
            self.check(saved)

    def test_skopeo_reads_what_mkimg_copied(self):
        copied = self.mkimg.ok("copy", f"{self.host}/oci:1", f"{self.host}/copied:1").stdout.strip()
        seen = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{self.host}/copied:1"))
        self.assertEqual(seen["Digest"], copied)


if __name__ == "__main__":
    unittest.main()
