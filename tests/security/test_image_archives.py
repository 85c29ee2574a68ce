"""Image archives and layouts that lie: each is refused with a message, and nothing outside the store changes."""

import gzip
import io
import json
import tarfile
import unittest

from support import DockerArchive, OciArchive, TestCase, image_config, layer_tar, sha256
from support.archives import OCI_INDEX, OCI_MANIFEST, encode

LAYERS = [layer_tar([("etc/", None), ("etc/a", "one"), ("gone", "x")]), layer_tar([("etc/b", "two"), (".wh.gone", "")])]


class HostileArchives(TestCase):
    """Each archive is refused with a message, and leaves no image."""

    def refuse(self, archive, message, status=1):
        with self.subTest(message):
            path = archive if isinstance(archive, str) else archive.write_tar(self.path("bad.tar"))
            result = self.mkimg.fails(status, "load", "-i", path)
            self.assertIn(message, result.stderr)
            self.assertNotIn("terminate", result.stderr)
            self.assertEqual(self.mkimg.ok("images", "-q").stdout, "")

    def oci(self):
        archive = OciArchive()
        self.descriptor = archive.add_image(LAYERS, "docker.io/library/app:1")
        return archive

    def replace(self, archive, old, data):
        archive.files["blobs/sha256/" + old["digest"][7:]] = encode(data)

    def with_manifest(self, change):
        """An archive whose manifest `change` has edited; its digest is right."""
        archive = OciArchive()
        manifest = archive.manifest(LAYERS)
        manifest = change(manifest, archive) or manifest
        archive.index["manifests"].append(archive.describe(OCI_MANIFEST, manifest))
        return archive

    def test_names_and_links(self):
        for name, message in (("../evil", "leads out"), ("blobs/../../evil", "leads out"), ("/etc/evil", "a member named"),
                              ("index.json", "twice"), ("./oci-layout", "twice")):
            archive = self.oci()
            archive.member(name, b"{}")
            self.refuse(archive, message)
        canary = self.write("canary", "untouched")
        for target, hard in (("../../../../" + canary, False), (canary, False), ("../" + canary, True)):
            archive = DockerArchive()
            archive.add_image(LAYERS, ["app:1"])
            archive.manifest[0]["Layers"][0] = "x/layer.tar"
            archive.link("x/layer.tar", target, hard)
            self.refuse(archive, "a link out of itself")
        archive = DockerArchive()
        archive.add_image(LAYERS, ["app:1"])
        archive.manifest[0]["Layers"][0] = "x"
        archive.link("x", "y")
        archive.link("y", "x")
        self.refuse(archive, "a loop of links")
        with open(canary, encoding="utf-8") as file:
            self.assertEqual(file.read(), "untouched")

    def test_other_members(self):
        for kind in (tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE):
            archive = self.oci()
            archive.member("extra", b"", type=kind)
            self.refuse(archive, "no file, directory or link")

    def test_damaged_tars(self):
        good = self.oci().write_tar(self.path("good.tar"))
        with open(good, "rb") as file:
            data = file.read()
        self.refuse(self.write("empty", b""), "neither a docker nor an OCI archive")
        self.refuse(self.write("text", b"hello\n" * 200), "no tar")
        self.refuse(self.write("zeros", bytes(10240)), "neither a docker nor an OCI archive")
        self.refuse(self.write("short", data[:520]), "ends early")
        self.refuse(self.write("cut", data[:-6 * 1024 - 700]), "")
        broken = bytearray(data)
        broken[0] ^= 1
        self.refuse(self.write("checksum", bytes(broken)), "is no tar")
        packed = gzip.compress(data)
        self.refuse(self.write("cut.gz", packed[:-100]), "")
        self.refuse(self.write("zeros.gz", gzip.compress(bytes(1 << 20))), "no tar")

    def test_headers_of_impossible_size(self):
        for size in (b"\x80" + b"\xff" * 11, b"\x80\0\0\0\x7f" + b"\xff" * 7, b"77777777777\0"):
            header = bytearray(tarfile.TarInfo("index.json").tobuf(tarfile.USTAR_FORMAT))
            header[124:136] = size
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            self.refuse(self.write("big.tar", bytes(header) + bytes(10240)), "")
        for records in (b"30 size=99999999999999999999\n", b"999 path=x\n", b"5 x\n", b"\n", b"20 size=-1\n" + b" " * 9):
            archive = self.oci()
            buffer = io.BytesIO()
            info = tarfile.TarInfo("pax")
            info.type, info.size = tarfile.XHDTYPE, len(records)
            buffer.write(info.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0"))
            with open(archive.write_tar(self.path("good.tar")), "rb") as file:
                buffer.write(file.read())
            self.refuse(self.write("pax.tar", buffer.getvalue()), "PAX")

    def test_pax_names_lead_nowhere_either(self):
        archive = self.oci()
        archive.member("x" * 120 + "/../../../evil", b"")
        self.refuse(archive, "leads out")

    def test_documents(self):
        archive = self.oci()
        archive.files["index.json"] = b"[" * 100_000
        self.refuse(archive, "error:")
        archive.files["index.json"] = b"\xff\xfe{}"
        self.refuse(archive, "error:")
        archive.files["index.json"] = encode({"schemaVersion": 2, "manifests": []})
        self.refuse(archive, "no image")
        archive.files["oci-layout"] = encode({"imageLayoutVersion": "2.0.0"})
        self.refuse(archive, "oci-layout", 2)
        archive = self.oci()
        archive.files["oci-layout"] = b"[]"
        self.refuse(archive, "oci-layout", 2)
        docker = DockerArchive()
        for text in (b"{}", b"[]", b"[1]", b'[{"Config": 5}]', b'[{"Config":"x","Layers":"y"}]', b"[" * 99_999,
                     b'[{"Config":"missing.json","Layers":[]}]', b'[{"Config":"../x","Layers":[]}]'):
            docker.files["manifest.json"] = text
            self.refuse(docker, "error:")

    def test_a_manifest_of_a_gigabyte(self):
        path = self.path("huge.tar")
        with tarfile.open(path, "w") as tar:
            data = encode({"imageLayoutVersion": "1.0.0"})
            info = tarfile.TarInfo("oci-layout")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        with open(path, "r+b") as file:
            file.seek(1024)
            info = tarfile.TarInfo("index.json")
            info.size = 1 << 30
            file.write(info.tobuf())
            file.truncate(1024 + 512 + (1 << 30) + 1024)  # a hole of zeros
        self.refuse(path, "1.0 GiB")

    def test_blobs_that_are_not_what_they_are_called(self):
        archive = self.oci()
        self.replace(archive, self.descriptor, b"{}")
        self.refuse(archive, "does not match its descriptor")
        manifest = json.loads(self.oci().files["blobs/sha256/" + self.descriptor["digest"][7:]])
        archive = self.oci()
        self.replace(archive, manifest["config"], {"os": "linux"})
        self.refuse(archive, "does not match its descriptor")
        archive = self.oci()
        self.replace(archive, manifest["layers"][1], gzip.compress(LAYERS[0], mtime=0))
        self.refuse(archive, "")
        archive = self.oci()
        layer = archive.files["blobs/sha256/" + manifest["layers"][0]["digest"][7:]]
        flipped = bytearray(gzip.compress(LAYERS[0], 1, mtime=5))
        self.replace(archive, manifest["layers"][0], bytes(flipped[:len(layer)]).ljust(len(layer), b"\0"))
        self.refuse(archive, "layer 1 of 2")
        archive = self.oci()
        del archive.files["blobs/sha256/" + manifest["layers"][0]["digest"][7:]]
        self.refuse(archive, "lacks blobs/sha256/")

    def test_layers_of_another_digest_than_the_manifest_s(self):
        # Right content, wrong compressed bytes, right size.
        one = gzip.compress(LAYERS[0], mtime=0)
        other = gzip.compress(LAYERS[0], mtime=1)
        self.assertEqual(len(one), len(other))
        archive = OciArchive()
        archive.add_image(LAYERS[:1])
        archive.files["blobs/sha256/" + sha256(one)[7:]] = other
        self.refuse(archive, "does not match its digest")

    def test_sizes(self):
        def shrink(manifest, archive):
            manifest["layers"][0]["size"] -= 1
        self.refuse(self.with_manifest(shrink), "its descriptor says")

        def grow(manifest, archive):
            manifest["config"]["size"] = 1 << 62
        self.refuse(self.with_manifest(grow), "does not match its descriptor")

        def negative(manifest, archive):
            manifest["layers"][0]["size"] = -1
        self.refuse(self.with_manifest(negative), "error:")

    def test_digests_are_no_paths(self):
        for bad in ("sha256:../../../etc/passwd", "sha256:" + "A" * 64, "sha256:" + "0" * 63, "md5:" + "0" * 32, "", 5):
            def change(manifest, archive, bad=bad):
                manifest["layers"][0]["digest"] = bad
            self.refuse(self.with_manifest(change), "error:")

    def test_layers_that_are_none(self):
        for media_type in ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                           "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"):
            def foreign(manifest, archive, media_type=media_type):
                manifest["layers"][0]["mediaType"] = media_type
                manifest["layers"][0]["urls"] = ["https://example.org/layer"]
            self.refuse(self.with_manifest(foreign), "foreign layer", 2)

        def unknown(manifest, archive):
            manifest["layers"][0]["mediaType"] = "application/vnd.wasm.content"
        self.refuse(self.with_manifest(unknown), "unknown type", 2)

        def artifact(manifest, archive):
            manifest["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json"
        self.refuse(self.with_manifest(artifact), "no image", 2)

        def fewer(manifest, archive):
            del manifest["layers"][1]
        self.refuse(self.with_manifest(fewer), "1 layers, the config 2")

    def test_a_document_that_is_two_kinds(self):
        def both(manifest, archive):
            manifest["manifests"] = []
        self.refuse(self.with_manifest(both), "error:")

    def test_indexes_without_end(self):
        archive = OciArchive()
        archive.add_image(LAYERS)
        descriptor = archive.index["manifests"][0]
        for _ in range(6):
            nested = {"schemaVersion": 2, "mediaType": OCI_INDEX,
                      "manifests": [{**descriptor, "platform": {"os": "linux", "architecture": "amd64"}}]}
            descriptor = archive.describe(OCI_INDEX, nested)
        archive.index["manifests"] = [descriptor]
        self.refuse(archive, "indexes")

    def test_docker_layers_that_are_not_the_config_s(self):
        archive = DockerArchive()
        archive.add_image(LAYERS, ["app:1"])
        archive.files[archive.manifest[0]["Layers"][0]] = LAYERS[1]
        self.refuse(archive, "DiffID")
        archive = DockerArchive()
        image = archive.add_image(LAYERS, ["app:1"])
        archive.files[image[7:] + ".json"] = encode(image_config(LAYERS, Env=["EVIL=1"]))
        self.refuse(archive, "does not match the digest in its name")

    def test_hostile_names_of_images(self):
        for name in ("../../etc/passwd", "UPPER:1", "app:1\n", "app@sha256:00", "a" * 300):
            archive = DockerArchive()
            archive.add_image(LAYERS, [name])
            result = self.mkimg.run("load", "-i", archive.write_tar(self.path("bad.tar")))
            self.assertNotEqual(result.status, 0)
            self.assertEqual(self.mkimg.ok("images", "-q").stdout, "")

    def test_layers_that_write_outside(self):
        canary = self.write("canary", "untouched")
        for entries in ([("../canary", "evil")], [("/../canary", "evil")],
                        [("a", b"", {"type": tarfile.SYMTYPE, "linkname": self.dir}), ("a/canary", "evil")],
                        [("a", b"", {"type": tarfile.LNKTYPE, "linkname": canary})]):
            archive = DockerArchive()
            archive.add_image([layer_tar(entries)], ["app:1"])
            self.mkimg.run("load", "-i", archive.write_tar(self.path("bad.tar")))
            with open(canary, encoding="utf-8") as file:
                self.assertEqual(file.read(), "untouched")


if __name__ == "__main__":
    unittest.main()
