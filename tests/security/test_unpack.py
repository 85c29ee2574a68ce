"""Archives that try to leave the tree they are unpacked into: as layers that are loaded, by ADD, as a
root file system, and as a build context. The library's own tests hold many more of them."""

import gzip
import hashlib
import os
import tarfile
import unittest
import zlib

from support.archives import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, OciArchive, image_config, layer_tar
from support.builds import BuildTestCase


def symlink(name, target):
    return name, b"", {"type": tarfile.SYMTYPE, "linkname": target}


def hardlink(name, target):
    return name, b"", {"type": tarfile.LNKTYPE, "linkname": target}


def gzip_of_zeros(megabytes):
    """One gzip member of that many MiB of zeros, made from one compressed MiB."""
    packer = zlib.compressobj(9, wbits=-15)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(megabytes):
        crc = zlib.crc32(bytes(1 << 20), crc)
    end = zlib.compressobj(9, wbits=-15).flush()
    return (b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + piece * megabytes + end
            + crc.to_bytes(4, "little") + (megabytes << 20).to_bytes(4, "little"))


class Unpacking(BuildTestCase):
    def setUp(self):
        super().setUp()
        self.secret = self.write("canary/secret", "the host's", 0o640)
        os.utime(self.secret, (1, 1))
        os.utime(self.path("canary"), (2, 2))
        self.before = self.canary()
        self.addCleanup(lambda: self.assertEqual(self.canary(), self.before, "the canary has changed"))

    def canary(self):
        found = {}
        for path in (self.path("canary"), self.secret):
            st = os.lstat(path)
            found[path] = (st.st_ino, st.st_mode, st.st_uid, st.st_nlink, st.st_size, st.st_mtime_ns)
        return found, os.listdir(self.path("canary"))

    def escapes(self):
        """Attacks that every way of unpacking refuses, with a word of the message."""
        folder = self.path("canary")
        up = "../" * 20 + folder[1:]
        return {
            "name": ([(up + "/new", "x")], 'leads out of the archive'),
            "root is a link": ([symlink("./", folder), ("secret", "x")], "root of the archive"),
            "hard link up": ([hardlink("a", up + "/secret")], "leads out of the archive"),
            "hard link": ([hardlink("a", self.secret), ("a", "x")], "which is not there"),
            "hard link by a link": ([symlink("l", folder), hardlink("a", "l/secret")], "which is not there"),
            "deleted-file device": ([("a", b"", {"type": tarfile.CHRTYPE})], "a device 0:0"),
            "long name": ([("x" * 200 + "/" + up + "/new", "x")], "leads out of the archive"),
        }

    def through_links(self):
        """Attacks by symlinks: refused in a layer, followed inside the image by ADD."""
        folder = self.path("canary")
        return {
            "file": [symlink("a", folder), ("a/secret", "x")],
            "file by a link up": [symlink("a", "../" * 20 + folder[1:]), ("a/secret", "x")],
            "directory": [symlink("a", folder), ("a/new", None)],
            "whiteout": [symlink("a", folder), ("a/.wh.secret", "")],
        }

    def load(self, entries):
        archive = OciArchive()
        archive.add_image([layer_tar(entries)], "evil")
        return self.mkimg.run("load", "-i", archive.write_tar(self.path("evil.tar")))

    def add(self, entries):
        self.write("context/evil.tar", layer_tar(entries))
        return self.mkimg.run("build", "-t", "out", self.context("FROM base\nADD evil.tar /sub/\n"))

    def refused(self, result, words):
        self.assertEqual(result.status, 1, result)
        self.assertIn(words, result.stderr)

    def test_layers(self):
        for name, (entries, words) in self.escapes().items():
            with self.subTest(name):
                self.refused(self.load(entries), words)
        for name, entries in self.through_links().items():
            with self.subTest(name):
                self.refused(self.load(entries), "leads through the symlink a")
        self.assertEqual(self.mkimg.ok("images", "-q").stdout.count("\n"), 1)

    def test_root_file_systems(self):
        for name, (entries, words) in self.escapes().items():
            with self.subTest(name):
                self.refused(self.mkimg.run("import", "-", "evil", stdin=layer_tar(entries)), words)

    def test_add(self):
        for name, (entries, words) in self.escapes().items():
            with self.subTest(name):
                self.refused(self.add(entries), words)
        for name, entries in self.through_links().items():
            with self.subTest(name):
                result = self.add(entries)
                if name == "whiteout":  # a plain file to ADD, which the layer then can't hold
                    self.assertEqual(result.status, 2)
                    self.assertIn("begins with .wh.", result.stderr)
                else:
                    self.assertEqual(result.status, 0, result)

    def test_contexts(self):  # CVE-2026-28406, CVE-2026-44517
        recipe = ("Dockerfile", "FROM base\nCOPY a/secret /stolen\n")
        for name, (entries, _) in self.escapes().items():
            with self.subTest(name):
                self.refused(self.mkimg.run("build", "-", stdin=layer_tar([recipe, *entries])), "")
        link = symlink("a", self.path("canary"))
        self.refused(self.mkimg.run("build", "-", stdin=layer_tar([recipe, link])), "")

    def test_a_context_whose_recipe_is_a_link(self):  # CVE-2022-4122
        self.write("canary-recipe", "FROM base\nRUN touch /it-was-read\n")
        entries = [symlink("Dockerfile", self.path("canary-recipe"))]
        self.mkimg.fails(2, "build", "-t", "out", "-", stdin=layer_tar(entries))

    def test_zeros_cost_no_disk(self):
        megabytes = 1024
        header = tarfile.TarInfo("zeros")
        header.size = megabytes << 20
        tar = header.tobuf(tarfile.USTAR_FORMAT)
        whole = hashlib.sha256(tar)
        for _ in range(megabytes):
            whole.update(bytes(1 << 20))
        whole.update(bytes(1024))
        packer = zlib.compressobj(9, wbits=31)
        first = packer.compress(tar) + packer.flush()
        packer = zlib.compressobj(9, wbits=31)
        blob = first + gzip_of_zeros(megabytes) + packer.compress(bytes(1024)) + packer.flush()
        archive = OciArchive()
        config = image_config([])
        config["rootfs"]["diff_ids"] = ["sha256:" + whole.hexdigest()]
        config["history"] = [{"created_by": "zeros"}]
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": archive.describe(OCI_CONFIG, config),
                    "layers": [archive.describe(OCI_LAYER + "+gzip", blob)]}
        descriptor = archive.describe(OCI_MANIFEST, manifest)
        descriptor["annotations"] = {"org.opencontainers.image.ref.name": "zeros"}
        archive.index["manifests"].append(descriptor)
        self.mkimg.ok("load", "-i", archive.write_tar(self.path("zeros.tar")))
        inodes = {(st.st_dev, st.st_ino): st for st in map(os.lstat, self.files_below(self.mkimg.root))}
        files = inodes.values()
        self.assertIn(megabytes << 20, [st.st_size for st in files])
        self.assertLess(sum(st.st_blocks for st in files) * 512, 100 << 20)

    def test_truncated_and_trailing(self):
        whole = gzip.compress(layer_tar([("a", "x" * 100000)]))
        self.write("context/cut.tar.gz", whole[:-20])
        self.write("context/more.tar.gz", whole + b"rubbish")
        for name, words in (("cut", "ends too early"), ("more", "broken gzip data")):
            with self.subTest(name):
                result = self.mkimg.run("build", self.context(f"FROM base\nADD {name}.tar.gz /\n"))
                self.refused(result, words)


if __name__ == "__main__":
    unittest.main()
