"""Builds every case of recipes/ with mkimg, BuildKit and Buildah, and compares what they made.

Without $MKIMG the oracles are compared with each other alone."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import tempfile
import unittest

from base_image import base_archive
from cases import all_cases
from compare import compare_configs, compare_trees
from images import read_archive
from support.certificates import Authority
from support.mkimg import Mkimg
from support.peers import Buildah, Dockerd, PeerFailed, skopeo
from support.registry import Registry


class MkimgBuilder:
    """mkimg in the shape of the peers. Its images come straight from a registry, which it takes for a mirror of
    Docker Hub: `FROM base` is docker.io/library/base, as everywhere."""

    name = "mkimg"

    def __init__(self, folder):
        authority = Authority(folder / "authority")
        self.registry = Registry(certificate=authority.server(), ca=authority.ca)
        host = self.registry.host()
        settings = folder / "registries.json"
        settings.write_text(json.dumps({"registries": {"docker.io": {"mirrors": [f"https://{host}"]}, host: {"ca": [authority.ca]}}}))
        self.program = Mkimg(folder / "store", {"MKIMG_REGISTRIES": str(settings), "DOCKER_CONFIG": str(folder / "docker")})

    def _run(self, *arguments):
        result = self.program.run(*arguments)
        if result.status not in (0, 1, 2):
            raise AssertionError(f"neither built nor refused: {result}")
        if result.status != 0:
            raise PeerFailed(str(result))

    def load(self, archive):
        skopeo("copy", "-q", "--dest-tls-verify=false", f"docker-archive:{archive}", f"docker://{self.registry.host()}/library/base:latest")

    def build(self, context, name, arguments=(), file=None):
        self._run("build", "--network", "none", "-t", name, *(["-f", file] if file else []), *arguments, context)

    def save(self, name, archive):
        self._run("save", "--format", "oci", "-o", archive, name)

    def remove(self, name):
        self._run("rmi", name)

    def close(self):
        self.registry.close()


class Recipes(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mkimg-recipes-", dir=os.environ.get("MKIMG_TEST_DIR")))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        archive = cls.folder / "base.tar"
        base_archive(archive, cls.folder)
        cls.base = read_archive(archive).tree()
        makers = {"buildkit": Dockerd, "buildah": Buildah}
        if "MKIMG" in os.environ:
            makers["mkimg"] = MkimgBuilder
        cls.builders = {}
        for name, maker in makers.items():
            cls.builders[name] = maker(cls.folder / name)
            cls.addClassCleanup(cls.builders[name].close)
            cls.builders[name].load(archive)
        cls.pool = concurrent.futures.ThreadPoolExecutor(3)
        cls.addClassCleanup(cls.pool.shutdown)

    def build(self, builder, case, context):
        """The image that one builder makes of the case, or None where it refuses."""
        arguments = case.build_arguments(context)
        recipe = case.control("oracle.Dockerfile") if builder.name != "mkimg" else None
        if first := case.control("first.Dockerfile"):
            builder.build(context, "first", file=first)
        try:
            builder.build(context, "result", arguments, file=recipe)
        except PeerFailed as refusal:
            if case.fails or (builder.name == "mkimg" and case.unsupported and case.unsupported in str(refusal)):
                return None
            raise
        archive = context.parent / f"{builder.name}.tar"
        builder.save("result", archive)
        builder.remove("result")
        return read_archive(archive)

    def check(self, case):
        work = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        self.addCleanup(shutil.rmtree, work, ignore_errors=True)
        context = case.context(work / "context")
        builders = [b for b in self.builders.values() if b.name not in case.without]
        self.assertTrue([b for b in builders if b.name != "mkimg"], "a case without an oracle proves nothing")
        futures = {b.name: self.pool.submit(self.build, b, case, context) for b in builders}
        images = {name: future.result() for name, future in futures.items()}
        built = {name for name, image in images.items() if image is not None}
        if case.fails:
            self.assertEqual(built, set(), "built all the same")
            return
        if case.unsupported:
            self.assertNotIn("mkimg", built, f"{case.unsupported} works now: take `unsupported` out of the case")
            images.pop("mkimg", None)
        reference = "mkimg" if "mkimg" in images else "buildkit" if "buildkit" in images else "buildah"
        for name in images.keys() - {reference}:
            image = images[name]
            with self.subTest(oracle=name):
                found = differences(images[reference], image, self.base)
                expected = case.exceptions.get(name, {}).keys() | case.exceptions.get(reference, {}).keys()
                self.assertEqual(unexpected(found, expected), [], f"{reference} | {name}")
                if reference == "mkimg":
                    self.assertEqual(outdated(found, expected), [], f"excepted for {name}, yet equal")


def differences(left, right, base):
    return compare_trees(left.tree(), right.tree(), base) + compare_configs(left.config, right.config)


def unexpected(found, expected):
    """Those lines of a comparison whose path or setting is none of the expected."""
    return [line for line in found if _subject(line) not in expected]


def outdated(found, expected):
    """Those expected paths and settings that do not differ."""
    return sorted(set(expected) - {_subject(line) for line in found})


def _subject(line):
    return line.partition(": ")[0]


def _add_tests():
    for case in all_cases():
        name = "test_" + case.name.replace("-", "_")
        setattr(Recipes, name, lambda self, case=case: self.check(case))


_add_tests()

if __name__ == "__main__":
    unittest.main()
