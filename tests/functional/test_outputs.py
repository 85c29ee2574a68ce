"""build --output: every type and key."""

import gzip
import hashlib
import json
import os
import subprocess
import tarfile
import unittest

from support import DockerArchive, OciArchive, layer_tar
from support.builds import BuildTestCase

RECIPE = ("FROM scratch\nCOPY --chmod=4755 file dir/setuid\nCOPY --chmod=640 --chown=12:34 file dir/file\n"
          "COPY links /\nLABEL a=b\n")


class OutputCase(BuildTestCase):
    def output(self, *outputs, recipe=RECIPE, epoch="1000000000", **keywords):
        context = self.context(recipe, {"file": "content\n"})
        os.makedirs(context + "/links", exist_ok=True)
        if not os.path.lexists(context + "/links/link"):
            os.symlink("dir/file", context + "/links/link")
        flags = [part for output in outputs for part in ("-o", output)]
        return self.mkimg.ok("build", "-q", "--source-date-epoch", epoch, *flags, context, **keywords)

    def manifest(self, path):
        with tarfile.open(path) as tar:
            [entry] = json.load(tar.extractfile("index.json"))["manifests"]
            return entry, json.load(tar.extractfile("blobs/sha256/" + entry["digest"][7:]))


class Trees(OutputCase):
    def check_tree(self, tree):
        with open(tree + "/dir/file", encoding="utf-8") as file:
            self.assertEqual(file.read(), "content\n")
        status = os.stat(tree + "/dir/file")
        self.assertEqual((status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime), (0o640, 12, 34, 1e9))
        self.assertEqual(os.stat(tree + "/dir/setuid").st_mode & 0o7777, 0o4755)
        self.assertEqual(os.readlink(tree + "/link"), "dir/file")

    def test_local(self):
        for number, form in enumerate(("{}", "type=local,dest={}", '"type=local","dest={}"')):
            tree = self.path(f"deep/tree,{number}" if '"' in form else f"deep/tree{number}")
            self.output(form.format(tree))
            self.check_tree(tree)
            self.assertEqual(sorted(os.listdir(tree)), ["dir", "link"])

    def test_local_merges_into_what_is_there(self):
        tree = self.path("tree")
        self.write("tree/mine", "mine")
        self.write("tree/dir/other", "other")
        self.write("tree/dir/file", "old")
        canary = self.write("canary", "untouched")
        os.symlink(canary, tree + "/dir/setuid")
        os.makedirs(tree + "/link/full")
        self.output(tree)
        self.check_tree(tree)
        self.assertEqual(self.read(tree + "/mine"), "mine")
        self.assertEqual(self.read(tree + "/dir/other"), "other")
        self.assertEqual(self.read(canary), "untouched")
        self.assertFalse(os.path.islink(tree + "/dir/setuid"))

    def test_local_shows_the_merged_tree(self):
        archive = DockerArchive()
        archive.add_image([layer_tar([("a", "1"), ("gone", "x"), ("d/", None), ("d/old", "x")]),
                           layer_tar([("a", "2"), (".wh.gone", ""), ("d/.wh..wh..opq", ""), ("d/new", "y")])], ["two"])
        self.mkimg.ok("load", "-i", archive.write_tar(self.path("two.tar")))
        tree = self.path("tree")
        self.output(tree, recipe="FROM two\n")
        self.assertEqual([path[len(tree):] for path in self.files_below(tree)], ["/a", "/d/new"])
        self.assertEqual(self.read(tree + "/a"), "2")

    def test_local_not_over_a_file(self):
        path = self.write("file", "old")
        self.build_fails(1, "FROM base\n", "-o", path)
        self.assertEqual(self.read(path), "old")

    def test_tar(self):
        self.output(f"type=tar,dest={self.path('a.tar')}")
        stdout = self.mkimg.ok("build", "--source-date-epoch", "1000000000", "-o", "-", self.path("context")).raw
        self.assertEqual(stdout, self.read(self.path("a.tar"), "rb"))
        with tarfile.open(self.path("a.tar")) as tar:
            members = tar.getmembers()
        self.assertEqual([(m.name, m.type, m.mode, m.uid, m.gid, m.mtime) for m in members], [
            ("dir", tarfile.DIRTYPE, 0o755, 0, 0, 1e9), ("dir/file", tarfile.REGTYPE, 0o640, 12, 34, 1e9),
            ("dir/setuid", tarfile.REGTYPE, 0o4755, 0, 0, 1e9), ("link", tarfile.SYMTYPE, 0o777, 0, 0, 1e9)])

    def test_an_empty_image(self):
        self.output(f"type=tar,dest={self.path('a.tar')}", self.path("tree"), recipe="FROM scratch\nLABEL a=b\n")
        with tarfile.open(self.path("a.tar")) as tar:
            self.assertEqual(tar.getmembers(), [])
        self.assertEqual(os.listdir(self.path("tree")), [])


class Images(OutputCase):
    def test_compression(self):
        plain = {}
        for form, media_type, unpack in (
                ("gzip", "tar+gzip", ["gzip", "-dc"]), ("zstd", "tar+zstd", ["zstd", "-dcq"]),
                ("uncompressed", "tar", ["cat"]), ("gzip,compression-level=9", "tar+gzip", ["gzip", "-dc"]),
                ("zstd,compression-level=19", "tar+zstd", ["zstd", "-dcq"])):
            path = self.path("out.tar")
            self.output(f"type=oci,dest={path},compression={form}")
            _, manifest = self.manifest(path)
            with tarfile.open(path) as tar:
                for layer in manifest["layers"]:
                    self.assertEqual(layer["mediaType"], "application/vnd.oci.image.layer.v1." + media_type)
                    data = tar.extractfile("blobs/sha256/" + layer["digest"][7:]).read()
                    unpacked = subprocess.run(unpack, input=data, stdout=subprocess.PIPE, check=True).stdout
                    plain.setdefault(form, []).append("sha256:" + hashlib.sha256(unpacked).hexdigest())
        image = self.output("type=cacheonly").stdout.strip()
        for form, diffs in plain.items():
            self.assertEqual(diffs, self.config(image)["rootfs"]["diff_ids"], form)

    def test_forced_compression_takes_no_form_of_others(self):
        layer = layer_tar([("a", "1" * 10_000)])
        foreign = gzip.compress(layer, 9, mtime=77)
        archive = OciArchive()
        manifest = archive.manifest([layer])
        manifest["layers"] = [archive.describe(manifest["layers"][0]["mediaType"], foreign)]
        archive.index["manifests"] = [archive.describe("application/vnd.oci.image.manifest.v1+json", manifest, annotations={
            "io.containerd.image.name": "reg.example/foreign:1"})]
        self.mkimg.ok("load", "-i", archive.write_tar(self.path("in.tar")))
        digests = []
        for force in ("false", "true"):
            self.output(f"type=oci,dest={self.path('out.tar')},force-compression={force}",
                        recipe="FROM reg.example/foreign:1\nLABEL a=b\n")
            digests.append(self.manifest(self.path("out.tar"))[1]["layers"][0]["digest"])
        self.assertEqual(digests[0], "sha256:" + hashlib.sha256(foreign).hexdigest())
        self.assertNotEqual(digests[1], digests[0])

    def test_docker_media_types(self):
        self.output(f"type=oci,dest={self.path('out.tar')},oci-mediatypes=false")
        entry, manifest = self.manifest(self.path("out.tar"))
        docker = "application/vnd.docker."
        self.assertEqual(entry["mediaType"], docker + "distribution.manifest.v2+json")
        self.assertEqual(manifest["mediaType"], entry["mediaType"])
        self.assertEqual(manifest["config"]["mediaType"], docker + "container.image.v1+json")
        self.assertEqual({layer["mediaType"] for layer in manifest["layers"]}, {docker + "image.rootfs.diff.tar.gzip"})

    def test_name_and_annotations(self):
        self.output(f'type=oci,dest={self.path("out.tar")},name=reg.example/app:7,annotation.org.Example=x,"annotation.b=a,b"')
        entry, manifest = self.manifest(self.path("out.tar"))
        self.assertEqual(entry["annotations"]["io.containerd.image.name"], "reg.example/app:7")
        self.assertEqual(manifest["annotations"], {"org.Example": "x", "b": "a,b"})

    def test_docker_archive_compressed_on_demand(self):
        path = self.path("out.tar")
        self.output(f"type=docker,dest={path},compression=gzip,name=app:1")
        subprocess.run(["skopeo", "inspect", f"docker-archive:{path}:app:1"], check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(path) as tar:
            [entry] = json.load(tar.extractfile("manifest.json"))
            for layer in entry["Layers"]:
                self.assertEqual(tar.extractfile(layer).read(2), b"\x1f\x8b")

    def test_layout_directory(self):
        layout = self.path("layout")
        self.output(f"type=oci,tar=false,dest={layout},name=app:1")
        self.output(f"type=oci,tar=false,dest={layout},name=app:2", recipe=RECIPE + "LABEL c=d\n")
        index = json.loads(self.read(layout + "/index.json"))
        first, second = (subprocess.run(["skopeo", "inspect", "--raw", f"oci:{layout}:{tag}"], check=True,
                                        stdout=subprocess.PIPE).stdout for tag in "12")
        self.assertNotEqual(first, second)
        self.assertEqual(len(index["manifests"]), 2)
        # The same name again takes the place of the old one.
        self.output(f"type=oci,tar=false,dest={layout},name=app:1", recipe=RECIPE + "LABEL c=d\n")
        self.assertEqual(subprocess.run(["skopeo", "inspect", "--raw", f"oci:{layout}:1"], check=True,
                                        stdout=subprocess.PIPE).stdout, second)
        self.assertEqual(len(json.loads(self.read(layout + "/index.json"))["manifests"]), 2)
        for path in self.files_below(layout + "/blobs"):
            self.assertEqual(os.path.basename(path), hashlib.sha256(self.read(path, "rb")).hexdigest())

    def test_layout_not_into_a_directory_of_other_things(self):
        self.write("mine/file", "mine")
        self.build_fails(1, "FROM base\n", "-o", f"type=oci,tar=false,dest={self.path('mine')}")
        self.assertEqual(os.listdir(self.path("mine")), ["file"])


class Specifications(OutputCase):
    def test_refusals(self):
        out = self.path("out")
        for spec, message in (
                (f"type=ocl,dest={out}", "did you mean oci?"), (f"type=oci,dst={out}", "did you mean dest?"),
                (f"type=oci,dest={out},compresion=gzip", "did you mean compression?"),
                (f"type=oci,dest={out},compression=gzipp", "did you mean gzip?"),
                (f"type=oci,dest={out},compression-level=10", "1 to 9"),
                (f"type=oci,dest={out},compression-level=0", "1 to 9"),
                (f"type=oci,dest={out},compression=uncompressed,compression-level=1", "no meaning"),
                (f"type=oci,dest={out},compression=estargz", "not supported yet"),
                (f"type=oci,dest={out},compression=zstd,oci-mediatypes=false", "OCI media types"),
                (f"type=oci,dest={out},rewrite-timestamp=true", "not supported yet"),
                (f"type=oci,dest={out},tar=perhaps", "true or false"), (f"type=oci,dest={out},dest={out}", "given twice"),
                (f"type=oci,dest={out},nonsense", "not KEY=VALUE"), (f"dest={out}", "type is missing"),
                ("type=oci", "needs dest"), ("type=local,dest=-", "stdout"), ("type=oci,tar=false,dest=-", "stdout"),
                (f"type=local,dest={out},compression=gzip", "unknown key"), (f"type=tar,dest={out},name=x", "unknown key"),
                (f"type=docker,dest={out},annotation.a=b", "unknown key"), (f"type=oci,dest={out},annotation.=b", "unknown key"),
                ("type=registry", "the image has no name"), ("type=image,push=perhaps", "true or false"),
                (f'type=oci,"dest={out}', "not closed"), (f'type=oci,"dest={out}"x', "comma"), ("", "")):
            with self.subTest(spec):
                self.assertIn(message, self.build_fails(2, "FROM base\n", "-o", spec).stderr)
                self.assertFalse(os.path.lexists(out))


if __name__ == "__main__":
    unittest.main()
