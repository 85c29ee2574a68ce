"""mkimg copy: images from registry to registry, as they are."""

import os
import unittest

from support import layer_tar
from support.http_server import Reply, cut, instead
from support.peers import skopeo
from support.registry_case import PASSWORD, RegistryTestCase
from support.registry_images import DOCKER_LAYER, Image, Index, noise

PLATFORMS = [("linux", "amd64"), ("linux", "arm", "v7"), ("linux", "arm64")]


def images(docker=False):
    shared = layer_tar([("shared", noise(50_000))])
    return [Image([shared, layer_tar([("arch", platform[1])])], platform=platform, docker=docker) for platform in PLATFORMS]


class Copy(RegistryTestCase):
    def setUp(self):
        super().setUp()
        self.source, self.target = self.serve(), self.serve()

    def copy(self, *arguments, source="app:1", target="new:2"):
        return self.mkimg.ok("copy", *arguments, f"{self.source.host()}/{source}", f"{self.target.host()}/{target}")

    def check_same(self, image, repository="new", reference="2"):
        self.assertEqual(self.target.manifests[repository][reference], (image.media_type, image.data))
        for part in image.images if isinstance(image, Index) else ():
            self.check_same(part, repository, part.digest)
        for digest, data in image.blobs.items():
            self.assertEqual(self.target.blobs[repository][digest], data)

    def test_one_image(self):
        for n, image in enumerate((Image(), Image(docker=True), Image(compression="zstd"))):
            self.source.add("app", "1", image)
            self.assertEqual(self.copy(target=f"new{n}:2").stdout, image.digest + "\n")
            self.check_same(image, f"new{n}")

    def test_a_whole_index(self):
        for docker in (False, True):
            index = self.source.add("app", "1", Index(images(docker), docker))
            self.assertEqual(self.copy(target=f"new{docker}:2".lower()).stdout, index.digest + "\n")
            self.check_same(index, f"new{docker}".lower())

    def test_nothing_comes_into_the_store(self):
        self.source.add("app", "1", Index(images()))
        self.copy()
        self.assertEqual(self.blobs(), set())
        if os.path.isdir(self.mkimg.root):
            self.check_nothing_came()

    def test_an_index_in_an_index(self):
        inner = Index(images())
        index = self.source.add("app", "1", Index([inner]))
        self.copy()
        self.check_same(index)

    def test_an_attestation_comes_along(self):
        statement = Image([b'{"_type":"https://in-toto.io/Statement/v0.1"}'], "plain", platform=("unknown", "unknown"))
        statement.manifest["layers"][0]["mediaType"] = "application/vnd.in-toto+json"
        index = self.source.add("app", "1", Index([*images(), statement]))
        self.copy()
        self.check_same(index)

    def test_one_platform(self):
        parts = self.source.add("app", "1", Index(images())).images
        self.assertEqual(self.copy("--platform", "linux/arm/v7").stdout, parts[1].digest + "\n")
        self.check_same(parts[1])
        self.assertEqual(set(self.target.manifests["new"]), {"2", parts[1].digest})
        self.mkimg.fails(1, "copy", "--platform", "linux/s390x", self.source.host() + "/app:1", self.target.host() + "/new:3")

    def test_by_digest_and_to_a_digest(self):
        image = self.source.add("app", "1", Image())
        self.copy(source=f"app@{image.digest}")
        self.check_same(image)
        self.copy(target=f"other@{image.digest}")
        self.check_same(image, "other", image.digest)
        self.mkimg.fails(2, "copy", self.source.host() + "/app:1", f"{self.target.host()}/new@sha256:{'0' * 64}")

    def test_order_and_each_blob_once(self):
        index = self.source.add("app", "1", Index(images()))
        self.copy()
        writes = [request for request in self.target.seen() if request.method in ("PUT", "PATCH", "POST")]
        self.assertEqual(writes[-1].path, "/v2/new/manifests/2")
        shared = index.images[0].layers[0]
        self.assertEqual(len(self.source.seen("GET", shared)), 1)
        self.assertEqual(len(self.target.seen("PUT", shared[7:])), 1)
        for part in index.images:
            put = next(n for n, request in enumerate(writes) if request.path.endswith(part.digest))
            for digest in part.blobs:
                self.assertLess(next(n for n, r in enumerate(writes) if digest[7:] in r.target), put)

    def test_again_sends_nothing(self):
        self.source.add("app", "1", Index(images()))
        first = self.copy().stdout
        self.target.forget()
        self.source.forget()
        self.assertEqual(self.copy().stdout, first)
        self.assertEqual(self.target.seen("POST|PATCH|PUT"), [])
        self.assertEqual(self.source.seen("GET", "/blobs/"), [])
        self.copy(target="new:3")
        self.assertEqual(self.target.seen("POST|PATCH"), [])
        self.assertEqual(self.source.seen("GET", "/blobs/"), [])

    def test_within_one_registry_blobs_are_mounted(self):
        image = self.source.add("app", "1", Image())
        self.target = self.source
        result = self.mkimg.ok("copy", "--format", "json", self.source.host() + "/app:1", self.source.host() + "/new:2").json()
        self.assertEqual((result["digest"], result["media_type"], result["size"]), (image.digest, image.media_type, len(image.data)))
        self.assertEqual({blob["digest"]: blob["action"] for blob in result["blobs"]}, dict.fromkeys(image.blobs, "mounted"))
        self.assertEqual(self.source.seen("GET", "/blobs/"), [])
        self.check_same(image)

    def test_foreign_layers_stay_where_they_are(self):
        elsewhere = self.serve()
        image = Image(docker=True)
        image.manifest["layers"][0].update(mediaType=DOCKER_LAYER.replace("rootfs.diff", "rootfs.foreign.diff") + ".gzip",
                                           urls=[elsewhere.url("/layer")])
        del image.blobs[image.layers[0]]
        self.source.add("app", "1", image)
        self.copy()
        self.check_same(image)
        self.assertEqual(elsewhere.seen(), [])

    def test_a_break_in_the_middle(self):
        image = self.source.add("app", "1", Image([layer_tar([("large", noise(2_000_000))])]))
        self.source.fault("GET", image.layers[0], cut(700_000))
        self.copy()
        self.check_same(image)

    def test_a_source_that_fails_for_good(self):
        """It is not tried again for every try of the upload."""
        image = self.source.add("app", "1", Image())
        self.source.fault("GET", image.layers[0], instead(503), times=None)
        self.check_message(self.mkimg.fails(1, "copy", self.source.host() + "/app:1", self.target.host() + "/new:1"),
                           ["503", f"GET http://{self.source.host()}"])
        self.assertEqual(len(self.source.seen("GET", image.layers[0])), 3)

    def test_content_that_is_not_what_its_digest_says(self):
        """It never arrives whole, even where nobody there would look."""
        image = self.source.add("app", "1", Image())
        self.source.blobs["app"][image.layers[1]] = bytes(len(image.blobs[image.layers[1]]))
        self.target.fault("PUT", "/uploads/", lambda request, reply: Reply(201), times=None)
        result = self.mkimg.fails(1, "copy", self.source.host() + "/app:1", self.target.host() + "/new:1")
        self.check_message(result, ["digest", image.layers[1]])
        self.assertEqual([r.whole for r in self.target.seen("PUT", "/uploads/.*" + image.layers[1][7:])], [False])
        self.assertEqual(self.target.seen("PUT", "/manifests/"), [])

    def test_each_side_has_its_own_credentials(self):
        self.source = self.serve(user=("alice", PASSWORD))
        self.target = self.serve(user=("bob", "bob-" + PASSWORD))
        image = self.source.add("app", "1", Image())
        self.credentials(**{self.source.host(): self.source.user, self.target.host(): self.target.user})
        self.copy()
        self.check_same(image)
        self.credentials(**{self.source.host(): self.source.user})
        self.check_message(self.mkimg.fails(1, "copy", self.source.host() + "/app:1", self.target.host() + "/x:1"), "anonymous")

    def test_command_line(self):
        self.mkimg.fails(2, "copy", self.source.host() + "/app:1")
        self.mkimg.fails(2, "copy")
        self.mkimg.fails(1, "copy", self.source.host() + "/none:1", self.target.host() + "/new:1")
        self.assertEqual(self.target.repository("new"), (set(), []))

    def test_between_docker_registries(self):
        first, second = self.start_registry(), self.start_registry()
        index = self.source.add("app", "1", Index(images()))
        skopeo("copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false",
               f"docker://{self.source.host()}/app:1", f"docker://{first.host()}/team/app:1")
        digest = self.mkimg.ok("copy", f"{first.host()}/team/app:1", f"{second.host()}/other/app:2").stdout
        self.assertEqual(digest, index.digest + "\n")
        self.assertEqual(second.manifest("other/app", "2", index.media_type), index.data)
        skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{second.host()}/other/app:2", "dir:" + self.path("read"))


if __name__ == "__main__":
    unittest.main()
