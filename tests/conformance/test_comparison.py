"""The comparison itself: that it finds what it must find, and that two oracles are equal to themselves."""

import hashlib
import io
import json
import os
import pathlib
import tarfile
import tempfile
import unittest

from base_image import base_archive, root_filesystem
from cases import all_cases
from compare import compare_configs, compare_trees
from images import BadImage, apply_layers, read_archive
from support.peers import Buildah


def layer(*entries):
    """An uncompressed layer of (name, type, {TarInfo field: value}[, content])."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, fields, *content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            data = content[0] if content else b""
            info.size = len(data)
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def file(name, content=b"x", **fields):
    return (name, tarfile.REGTYPE, fields, content)


def directory(name, **fields):
    return (name, tarfile.DIRTYPE, {"mode": 0o755, **fields})


class Trees(unittest.TestCase):
    BASE = (directory("d"), file("d/f", mode=0o644), ("d/l", tarfile.SYMTYPE, {"linkname": "f"}), directory("d/e"))

    def differences(self, *changes):
        return compare_trees(apply_layers([layer(*self.BASE)]), apply_layers([layer(*self.BASE), layer(*changes)]))

    def test_equal_trees(self):
        self.assertEqual(self.differences(), [])
        self.assertEqual(self.differences(file("d/f", mode=0o644, mtime=12345)), [])

    def test_every_attribute_counts(self):
        for change, path in (
            (file("d/f", b"y", mode=0o644), "/d/f"),
            (file("d/f", mode=0o600), "/d/f"),
            (file("d/f", mode=0o4644), "/d/f"),
            (file("d/f", mode=0o644, uid=1), "/d/f"),
            (file("d/f", mode=0o644, gid=4294967294), "/d/f"),
            (file("d/f", mode=0o644, pax_headers={"SCHILY.xattr.user.a": "b"}), "/d/f"),
            (("d/l", tarfile.SYMTYPE, {"linkname": "g"}), "/d/l"),
            (("d/l", tarfile.FIFOTYPE, {}), "/d/l"),
            (directory("d/e", mode=0o700), "/d/e"),
            (file("d/new"), "/d/new"),
            (file(".wh.d"), "/d"),
        ):
            with self.subTest(change=change):
                found = self.differences(change)
                self.assertTrue(found)
                self.assertEqual(found[0].partition(": ")[0], path)

    def test_a_device_number_counts(self):
        left = apply_layers([layer(("n", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 3}))])
        right = apply_layers([layer(("n", tarfile.CHRTYPE, {"devmajor": 1, "devminor": 5}))])
        self.assertEqual(compare_trees(left, right), ["/n: char 0644 0:0 1:3 | char 0644 0:0 1:5"])

    def test_hard_links_count(self):
        linked = apply_layers([layer(file("a"), ("b", tarfile.LNKTYPE, {"linkname": "a"}))])
        apart = apply_layers([layer(file("a"), file("b"))])
        self.assertEqual(compare_trees(linked, apart), ["/a: hard links differ in ['b']", "/b: hard links differ in ['a']"])

    def test_stubs_count_only_where_the_base_has_them(self):
        with_stub = apply_layers([layer(directory("etc"), file("etc/hosts"))])
        without = apply_layers([layer(directory("etc"))])
        self.assertEqual(compare_trees(with_stub, without), [])
        self.assertEqual(len(compare_trees(with_stub, without, base={"etc/hosts"})), 1)


class Layers(unittest.TestCase):
    def test_whiteout(self):
        tree = apply_layers([layer(directory("d"), file("d/a"), file("d/b")), layer(file("d/.wh.a"))])
        self.assertEqual(sorted(tree), ["d", "d/b"])

    def test_whiteout_of_a_directory(self):
        tree = apply_layers([layer(directory("d"), directory("d/e"), file("d/e/f")), layer(file("d/.wh.e"))])
        self.assertEqual(sorted(tree), ["d"])

    def test_opaque_keeps_what_its_own_layer_made(self):
        for order in (1, -1):
            entries = [file("d/.wh..wh..opq"), file("d/new")][::order]
            tree = apply_layers([layer(directory("d"), file("d/old")), layer(directory("d", mode=0o711), *entries)])
            self.assertEqual(sorted(tree), ["d", "d/new"])
            self.assertEqual(tree["d"].mode, 0o711)

    def test_a_file_replaces_a_directory(self):
        tree = apply_layers([layer(directory("d"), file("d/a")), layer(file("d"))])
        self.assertEqual(sorted(tree), ["d"])
        self.assertEqual(tree["d"].kind, "file")

    def test_a_directory_over_a_directory_keeps_its_content(self):
        tree = apply_layers([layer(directory("d"), file("d/a")), layer(directory("d", uid=7))])
        self.assertEqual(sorted(tree), ["d", "d/a"])
        self.assertEqual(tree["d"].uid, 7)

    def test_names_are_bytes(self):
        name = b"latin\xe9".decode("utf-8", "surrogateescape")
        self.assertEqual(list(apply_layers([layer(file(name))])), [name])


class Archives(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def oci(self, layer_bytes, config=None, **wrong):
        """An OCI archive by hand; `wrong` puts another content under a blob's true digest."""
        digest = lambda data: hashlib.sha256(data).hexdigest()
        config = {"architecture": "amd64", "os": "linux", "config": config or {},
                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(layer_bytes)]}}
        blobs = {"layer": layer_bytes, "config": json.dumps(config).encode()}
        describe = lambda name: {"digest": "sha256:" + digest(blobs[name]), "size": len(blobs[name])}
        blobs["manifest"] = json.dumps({"config": describe("config"), "layers": [describe("layer")]}).encode()
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
                 "index.json": json.dumps({"manifests": [describe("manifest")]}).encode()}
        files |= {f"blobs/sha256/{digest(data)}": wrong.get(name, data) for name, data in blobs.items()}
        path = self.folder / "oci.tar"
        path.write_bytes(layer(*(file(name, data) for name, data in files.items())))
        return path

    def test_a_good_archive(self):
        image = read_archive(self.oci(layer(file("f")), {"User": "app"}))
        self.assertEqual(list(image.tree()), ["f"])
        self.assertEqual(image.config["config"], {"User": "app"})

    def test_a_tampered_layer_is_found(self):
        good = layer(file("f", b"good"))
        with self.assertRaisesRegex(BadImage, "is really"):
            read_archive(self.oci(good, layer=good.replace(b"good", b"evil")))

    def test_a_wrong_size_is_found(self):
        with self.assertRaisesRegex(BadImage, "its descriptor says"):
            read_archive(self.oci(layer(file("f")), layer=b"short"))


class Configs(unittest.TestCase):
    def test_every_setting_counts(self):
        base = {"architecture": "amd64", "os": "linux", "config": {"Env": ["A=1", "B=2"]}}
        self.assertEqual(compare_configs(base, json.loads(json.dumps(base))), [])
        for key, value in {
            "Env": ["B=2", "A=1"], "Cmd": ["x"], "Entrypoint": ["x"], "Labels": {"a": "b"}, "User": "app",
            "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "WorkingDir": "/w", "StopSignal": "SIGINT",
            "Shell": ["sh"], "Healthcheck": {"Test": ["NONE"]}, "OnBuild": ["RUN x"],
        }.items():
            with self.subTest(key=key):
                changed = {**base, "config": {**base["config"], key: value}}
                self.assertEqual(len(compare_configs(base, changed)), 1)
        self.assertEqual(len(compare_configs(base, {**base, "architecture": "arm64"})), 1)
        self.assertEqual(len(compare_configs(base, {**base, "author": "me"})), 1)

    def test_absent_and_empty_are_the_same(self):
        self.assertEqual(compare_configs({"config": {"Cmd": None, "WorkingDir": "/"}}, {"config": {}}), [])


class Oracles(unittest.TestCase):
    def test_an_oracle_equals_itself_and_a_tampered_tree_is_found(self):
        with tempfile.TemporaryDirectory() as scratch, Buildah(os.path.join(scratch, "buildah")) as buildah:
            folder = pathlib.Path(scratch)
            base_archive(folder / "base.tar", folder)
            buildah.load(folder / "base.tar")
            images = []
            for name in ("one", "two", "tampered"):
                context = folder / name
                context.mkdir()
                (context / "Dockerfile").write_text(f"FROM base\nRUN echo {'tampered' if name == 'tampered' else 'x'} > /x\n")
                buildah.build(context, name)
                buildah.save(name, folder / f"{name}.tar")
                images.append(read_archive(folder / f"{name}.tar"))
            base = read_archive(folder / "base.tar").tree()
            one, two, tampered = (image.tree() for image in images)
            self.assertEqual(compare_trees(one, two, base), [])
            self.assertEqual(compare_configs(images[0].config, images[1].config), [])
            self.assertEqual([line.partition(":")[0] for line in compare_trees(one, tampered, base)], ["/x"])

    def test_the_base_is_what_tar_says(self):
        with tempfile.TemporaryDirectory() as scratch:
            path = root_filesystem(os.path.join(scratch, "root.tar"))
            tree = apply_layers([pathlib.Path(path).read_bytes()])
            with tarfile.open(path) as tar:
                self.assertEqual(sorted(tree), sorted(tar.getnames()))


class Recipes(unittest.TestCase):
    def test_every_case_has_an_oracle_and_reasons(self):
        cases = all_cases()
        self.assertGreaterEqual(len(cases), 65)
        for case in cases:
            with self.subTest(case=case.name):
                self.assertLess(len(case.without.keys() & {"buildkit", "buildah"}), 2)
                self.assertEqual((case.without.keys() | case.exceptions.keys()) - {"buildkit", "buildah"}, set())
                for reason in [*case.without.values(), *(r for e in case.exceptions.values() for r in e.values())]:
                    self.assertGreater(len(reason), 10)


class RemainingDifferences(unittest.TestCase):
    def test_each_is_listed_with_its_reason(self):
        readme = (pathlib.Path(__file__).parent / "README.md").read_text(encoding="utf-8")
        listed = [row for row in readme.splitlines() if row.startswith("| ") and row.split("|")[1].strip()[:3].isdigit()]
        for case in all_cases():
            for oracle, reasons in [*case.exceptions.items(), *((o, {"": r}) for o, r in case.without.items())]:
                for reason in reasons.values():
                    found = [row for row in listed if case.name in row and oracle in row.lower() and reason in row]
                    self.assertTrue(found, f"{case.name}, {oracle}: {reason}")


if __name__ == "__main__":
    unittest.main()
