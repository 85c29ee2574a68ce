"""What mkimg writes is read, unpacked and run by skopeo, umoci, Buildah and Docker."""

import hashlib
import json
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import unittest

from base_image import base_archive
from compare import compare_configs, compare_trees
from images import Node, read_archive
from support.mkimg import Mkimg
from support.peers import Buildah, Dockerd

RECIPE = r"""FROM base
ENV GREETING="hello there"
RUN mkdir -p /app/bin && echo '#!/bin/sh' > /app/bin/run && echo 'echo "$GREETING from $(id -u)"' >> /app/bin/run \
 && chmod 755 /app/bin/run && ln /app/bin/run /app/bin/again && ln -s run /app/bin/link && mkfifo /app/fifo
RUN cp /bin/busybox /app/capable && setcap cap_net_bind_service=ep /app/capable && chown 1000:50 /app/capable \
 && cp /bin/busybox /app/suid && chmod 4711 /app/suid && touch "/app/$(printf 'latin\351')" /app/日本 \
 && setcap cap_net_bind_service=ep /app/capable
RUN rm /data/one && rm -rf /data/sub && mkdir -m 0711 /data/sub && echo new > /data/sub/new && chown 4000000:5000000 /data/two
COPY --chown=web:staff notes.txt /app/notes.txt
LABEL org.example.kind=conformance
EXPOSE 8080
VOLUME /data
WORKDIR /app
USER app
HEALTHCHECK --interval=30s CMD true
ENTRYPOINT ["/app/bin/run"]
"""


def run(*argv, **keywords):
    return subprocess.run(
        [str(a) for a in argv], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, **keywords
    ).stdout


def tree_of_directory(root):
    """The tree below a directory of the host in the form of images.Image.tree()."""
    tree, by_inode = {}, {}
    root = os.fsencode(root)
    for base, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(base, name)
            inside = os.path.relpath(path, root).decode("utf-8", "surrogateescape")
            status = os.lstat(path)
            if status.st_ino in by_inode and not stat.S_ISDIR(status.st_mode):
                tree[inside] = by_inode[status.st_ino]
                continue
            tree[inside] = by_inode[status.st_ino] = _node_of(path, status)
    return tree


def _node_of(path, status):
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo",
             stat.S_IFCHR: "char", stat.S_IFBLK: "block"}
    node = Node(kinds[stat.S_IFMT(status.st_mode)], stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
    if node.kind == "file":
        with open(path, "rb") as file:
            node.digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        node.size = status.st_size
    elif node.kind == "symlink":
        node.target = os.readlink(path).decode("utf-8", "surrogateescape")
    node.xattrs = {n: os.getxattr(path, n, follow_symlinks=False).hex() for n in os.listxattr(path, follow_symlinks=False)}
    return node


class Readers(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mkimg-readers-", dir=os.environ.get("MKIMG_TEST_DIR")))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.mkimg = Mkimg(cls.folder / "store")
        base_archive(cls.folder / "base.tar", cls.folder)
        cls.mkimg.ok("load", "-i", cls.folder / "base.tar")
        context = cls.folder / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(RECIPE)
        (context / "notes.txt").write_text("notes\n")
        cls.oci = cls.folder / "image.oci.tar"
        cls.layout = cls.folder / "layout"
        cls.mkimg.ok("build", "--network", "none", "-t", "app", "-o", f"type=oci,dest={cls.oci}",
                     "-o", f"type=oci,dest={cls.layout},tar=false", context)
        # The image under the name that it keeps in the store, for the archives that `save` writes.
        cls.mkimg.ok("build", "--network", "none", "-t", "app", context)
        cls.image = read_archive(cls.oci)
        cls.tree = cls.image.tree()

    def check(self, image):
        """The image that a reader wrote again is the one that mkimg wrote."""
        self.assertEqual(compare_trees(self.tree, image.tree(), self.tree), [])
        self.assertEqual(compare_configs(self.image.config, image.config), [])

    def test_the_image_is_what_the_recipe_says(self):
        self.assertEqual(self.tree["app/capable"].xattrs, {"security.capability": "0100000200040000000000000000000000000000"})
        self.assertEqual((self.tree["data/two"].uid, self.tree["data/two"].gid), (4000000, 5000000))
        self.assertIs(self.tree["app/bin/run"], self.tree["app/bin/again"])
        self.assertEqual(self.tree["app/notes.txt"].uid, 33)
        self.assertEqual(self.image.config["config"]["Entrypoint"], ["/app/bin/run"])

    def test_skopeo_inspects(self):
        found = json.loads(run("skopeo", "inspect", f"oci-archive:{self.oci}"))
        self.assertEqual(found["Labels"], {"org.example.kind": "conformance"})
        self.assertEqual(found["Architecture"], "amd64")
        self.assertEqual(found["Layers"], [layer["digest"] for layer in self.image.manifest["layers"]])
        self.assertEqual(json.loads(run("skopeo", "inspect", "--config", f"oci-archive:{self.oci}"))["config"]["User"], "app")

    def test_skopeo_copies_every_form(self):
        forms = {"oci-archive": ["--format", "oci"], "docker-archive": ["--format", "docker"]}
        for transport, options in forms.items():
            with self.subTest(transport=transport):
                saved, copied = self.folder / f"{transport}.saved", self.folder / f"{transport}.copied"
                self.mkimg.ok("save", *options, "-o", saved, "app")
                run("skopeo", "--insecure-policy", "copy", "-q", f"{transport}:{saved}", f"docker-archive:{copied}:app:latest")
                self.check(read_archive(copied))

    def test_skopeo_reads_every_compression(self):
        context = self.folder / "context"
        for compression in ("gzip", "zstd", "uncompressed"):
            with self.subTest(compression=compression):
                archive = self.folder / f"{compression}.tar"
                self.mkimg.ok("build", "--network", "none", "-o", f"type=oci,dest={archive},compression={compression}", context)
                copied = self.folder / f"{compression}.copied"
                run("skopeo", "--insecure-policy", "copy", "-q", f"oci-archive:{archive}", f"oci-archive:{copied}")
                self.check(read_archive(copied))

    def test_umoci_unpacks_the_same_tree(self):
        tag = json.loads((self.layout / "index.json").read_text())["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
        bundle = self.folder / "bundle"
        run("umoci", "unpack", "--image", f"{self.layout}:{tag}", bundle)
        self.assertEqual(compare_trees(self.tree, tree_of_directory(bundle / "rootfs"), self.tree), [])

    def test_buildah_pulls_and_runs(self):
        with Buildah(self.folder / "buildah") as buildah:
            buildah.load(self.oci, "oci-archive")
            image = buildah.run("images", "-q").split()[0]
            container = buildah.run("from", "--pull-never", "--signature-policy", buildah.policy, image).strip()
            self.assertEqual(buildah.run("run", "--isolation", "chroot", container, "/app/bin/link"), "hello there from 1000\n")
            buildah.run("rm", container)
            archive = self.folder / "buildah.tar"
            buildah.run("push", "--signature-policy", buildah.policy, "-q", image, f"docker-archive:{archive}:app:latest")
            self.assertEqual(compare_trees(self.tree, read_archive(archive).tree(), self.tree), [])

    def test_docker_loads_and_runs(self):
        archive = self.folder / "docker.tar"
        self.mkimg.ok("save", "--format", "docker", "-o", archive, "app")
        with Dockerd(self.folder / "dockerd") as docker:
            docker.load(archive)
            self.assertEqual(docker.run("run", "--rm", "--network", "none", "app"), "hello there from 1000\n")
            self.assertEqual(
                docker.run("run", "--rm", "--network", "none", "--entrypoint", "/bin/stat", "app", "-c", "%a %u:%g", "/app/suid", "/data/two"),
                "4711 0:0\n640 4000000:5000000\n")
            again = self.folder / "docker-again.tar"
            docker.save("app", again)
            self.check(read_archive(again))


if __name__ == "__main__":
    unittest.main()
