"""mkimg push, build --push, and the outputs type=registry and type=image,push=true."""

import gzip
import json
import os
import subprocess
import threading
import unittest

from support import MKIMG, layer_tar
from support.builds import base_tar
from support.http_server import Fault, Reply, instead, mute, reset
from support.peers import skopeo
from support.registry_case import RegistryTestCase, sha256
from support.registry_images import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Image, noise


class PushTestCase(RegistryTestCase):
    def make(self, name="app", text="hello", size=200_000):
        """An image of this store's own making; returns its ID."""
        self.write("context/Dockerfile", "FROM scratch\nCOPY a /a\nCOPY b /b\nENV A=1\n")
        self.write("context/a", text)
        self.write("context/b", noise(size, text.encode()))
        return self.mkimg.ok("build", "-q", "-t", name, self.path("context"), env={"SOURCE_DATE_EPOCH": "1"}).stdout.strip()

    def pushed(self, registry, repository, reference):
        """The manifest that the registry has, after a look at all that it names."""
        media_type, data = registry.manifests[repository][reference]
        manifest = json.loads(data)
        self.assertEqual(manifest["mediaType"], media_type)
        for part in (manifest["config"], *manifest["layers"]):
            blob = registry.blobs[repository][part["digest"]]
            self.assertEqual((sha256(blob), len(blob)), (part["digest"], part["size"]))
        return manifest


class Push(PushTestCase):
    def test_what_arrives(self):
        registry = self.serve()
        name = registry.host() + "/team/app:1"
        image = self.make(name)
        digest = self.mkimg.ok("push", name).stdout.strip()
        manifest = self.pushed(registry, "team/app", "1")
        self.assertEqual(digest, sha256(registry.manifests["team/app"]["1"][1]))
        self.assertEqual(manifest["config"]["digest"], image)
        self.assertEqual((manifest["mediaType"], manifest["config"]["mediaType"]), (OCI_MANIFEST, OCI_CONFIG))
        self.assertEqual([layer["mediaType"] for layer in manifest["layers"]], [OCI_LAYER + "+gzip"] * 2)
        # All blobs are there before the manifest is, and the tag is the last of all.
        writes = [request for request in registry.seen() if request.method in ("PUT", "PATCH", "POST")]
        self.assertEqual((writes[-1].method, writes[-1].path), ("PUT", "/v2/team/app/manifests/1"))
        self.assertEqual([request for request in writes[:-1] if "/manifests/" in request.path], [])
        other = self.another_store()
        self.assertEqual(other.ok("pull", name).stdout, image + "\n")
        self.check_store(other)

    def test_pushing_again_sends_nothing(self):
        registry = self.serve()
        name = registry.host() + "/app:1"
        self.make(name)
        first = self.mkimg.ok("push", name).stdout
        registry.forget()
        again = self.mkimg.ok("push", "--format", "json", name).json()
        self.assertEqual(again["digest"] + "\n", first)
        self.assertEqual({blob["action"] for blob in again["blobs"]} - {"exists"}, set())
        self.assertEqual(registry.seen("POST|PATCH"), [])
        self.assertEqual(registry.seen("PUT", "/blobs/"), [])
        self.mkimg.ok("push", name, registry.host() + "/app:2")
        self.assertEqual(registry.seen("POST|PATCH"), [])
        self.assertEqual(registry.repository("app")[1], ["1", "2"])

    def test_json(self):
        registry = self.serve()
        name = registry.host() + "/app:1"
        self.make(name)
        pushed = self.mkimg.ok("push", "--format", "json", name).json()
        data = registry.manifests["app"]["1"][1]
        manifest = json.loads(data)
        self.assertEqual((pushed["name"], pushed["digest"], pushed["size"], pushed["media_type"]),
                         (name, sha256(data), len(data), OCI_MANIFEST))
        self.assertCountEqual(pushed["blobs"], [{"digest": part["digest"], "size": part["size"], "action": "uploaded"}
                                                for part in (manifest["config"], *manifest["layers"])])

    def test_each_digest_once(self):
        registry = self.serve()
        layer = layer_tar([("same", noise(100_000))])
        source = registry.add("from", "1", Image([layer, layer_tar([("other", "")]), layer]))
        self.mkimg.ok("pull", registry.host() + "/from:1")
        target = self.serve()
        self.mkimg.ok("push", registry.host() + "/from:1", target.host() + "/to:1")
        self.assertEqual(len(target.seen("PUT", "/blobs/.*" + source.layers[0][7:])), 1)
        self.assertEqual(len(self.pushed(target, "to", "1")["layers"]), 3)

    def test_layers_come_as_they_were_pulled(self):
        source, target = self.serve(), self.serve()
        for n, (compression, docker) in enumerate((("gzip", False), ("zstd", False), ("plain", False), ("gzip", True))):
            image = source.add("app", str(n), Image([layer_tar([("n", str(n))]), layer_tar([("m", str(n))])], compression, docker))
            self.mkimg.ok("pull", f"{source.host()}/app:{n}")
            digest = self.mkimg.ok("push", f"{source.host()}/app:{n}", f"{target.host()}/app:{n}").stdout.strip()
            self.assertEqual(digest, image.digest)
            manifest = self.pushed(target, "app", str(n))
            self.assertEqual([layer["digest"] for layer in manifest["layers"]], image.layers, compression)
            self.assertEqual(manifest["config"]["digest"], image.id)
        other = self.mkimg.ok("push", "--oci-mediatypes=true", f"{source.host()}/app:3", f"{target.host()}/oci:3").stdout.strip()
        self.assertNotEqual(other, image.digest)
        self.assertEqual(self.pushed(target, "oci", "3")["mediaType"], OCI_MANIFEST)
        self.assertEqual([layer["digest"] for layer in self.pushed(target, "oci", "3")["layers"]], image.layers)

    def test_of_several_forms_the_last_that_came(self):
        source, target = self.serve(), self.serve()
        forms = [source.add("app", form, Image(compression=form)) for form in ("gzip", "zstd", "plain")]
        self.assertEqual(len({image.id for image in forms}), 1)
        for form in ("zstd", "plain", "gzip", "zstd"):
            image = forms[("gzip", "zstd", "plain").index(form)]
            self.mkimg.ok("pull", f"{source.host()}/app:{form}")
            self.assertEqual(self.mkimg.ok("push", image.id, f"{target.host()}/app:{form}").stdout, image.digest + "\n")

    def test_a_blob_that_changed_in_the_store(self):
        """It never arrives, and the person learns that it is their disk."""
        registry = self.serve()
        self.write("context/Dockerfile", "FROM scratch\nCOPY data /\n")
        self.write("context/data", noise(300_000))
        self.mkimg.ok("build", "-t", "app", self.path("context"))
        self.mkimg.ok("push", "app", registry.host() + "/first:1")
        [layer] = [entry["digest"] for entry in self.pushed(registry, "first", "1")["layers"]]
        path = os.path.join(self.mkimg.root, "blobs/sha256", layer[7:])
        with open(path, "r+b") as file:
            file.seek(200_000)
            file.write(b"changed")
        other = self.serve()
        result = self.mkimg.fails(1, "push", "app", other.host() + "/app:1")
        self.assertIn(layer[7:], result.stderr)
        self.assertIn("fsck", result.stderr)
        blobs, tags = other.repository("app")
        self.assertNotIn(layer, blobs)
        self.assertEqual(tags, [])

    def test_compression(self):
        registry = self.serve()
        name = registry.host() + "/app:1"
        self.make(name)
        starts = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "uncompressed": b"a\0"}
        endings = {"gzip": "+gzip", "zstd": "+zstd", "uncompressed": ""}
        for how, start in starts.items():
            self.mkimg.ok("push", "--compression", how, name, f"{registry.host()}/app:{how}")
            manifest = self.pushed(registry, "app", how)
            for layer in manifest["layers"]:
                self.assertEqual(layer["mediaType"], OCI_LAYER + endings[how])
            self.assertTrue(registry.blobs["app"][manifest["layers"][0]["digest"]].startswith(start), how)
        self.mkimg.ok("push", "--compression", "gzip", "--compression-level", "1", name, registry.host() + "/app:fast")
        self.mkimg.fails(2, "push", "--compression", "lzma", name)
        self.mkimg.fails(2, "push", "--compression-level", "much", name)

    def test_compression_of_what_was_pulled(self):
        """A form that is named is the form of all layers; --force-compression makes even those anew that have it."""
        source, target = self.serve(), self.serve()
        image = source.add("app", "1", Image(compression="gzip"))
        name = source.host() + "/app:1"
        self.mkimg.ok("pull", name)
        self.mkimg.ok("push", "--compression", "zstd", name, target.host() + "/zstd:1")
        manifest = self.pushed(target, "zstd", "1")
        self.assertEqual([layer["mediaType"] for layer in manifest["layers"]], [OCI_LAYER + "+zstd"] * 2)
        self.assertEqual(manifest["config"]["digest"], image.id)
        self.mkimg.ok("push", "--compression", "gzip", name, target.host() + "/gzip:1")
        self.assertEqual([layer["digest"] for layer in self.pushed(target, "gzip", "1")["layers"]], image.layers)
        self.mkimg.ok("push", "--compression", "gzip", "--force-compression", name, target.host() + "/forced:1")
        forced = [layer["digest"] for layer in self.pushed(target, "forced", "1")["layers"]]
        self.assertEqual(set(forced) & set(image.layers), set())

    def test_docker_media_types(self):
        registry = self.serve()
        name = registry.host() + "/app:1"
        image = self.make(name)
        self.mkimg.ok("push", "--oci-mediatypes=false", name)
        manifest = self.pushed(registry, "app", "1")
        self.assertEqual(manifest["mediaType"], DOCKER_MANIFEST)
        self.assertEqual((manifest["config"]["mediaType"], manifest["config"]["digest"]), (DOCKER_CONFIG, image))
        self.assertEqual([layer["mediaType"] for layer in manifest["layers"]], [DOCKER_LAYER + ".gzip"] * 2)
        self.assertNotIn("annotations", manifest)
        self.mkimg.fails(2, "push", "--oci-mediatypes=false", "--compression", "zstd", name)

    def test_to_another_name(self):
        registry = self.serve()
        image = self.make("local-name")
        self.mkimg.ok("push", "local-name", registry.host() + "/team/other:2")
        self.mkimg.ok("push", image[7:19], registry.host() + "/team/other:3")
        self.assertEqual(registry.repository("team/other")[1], ["2", "3"])
        self.assertIn("HOST/NAME:TAG", self.mkimg.fails(2, "push", image).stderr)
        self.mkimg.fails(1, "push", "no-such-image", registry.host() + "/x:1")
        self.mkimg.fails(2, "push", "local-name", registry.host() + "/UPPER")
        self.mkimg.fails(2, "push")

    def test_mounts_from_where_it_came(self):
        registry = self.serve()
        with open(base_tar(), "rb") as file:
            base = registry.add("team/base", "1", Image([file.read()]))
        self.write("context/Dockerfile", f"FROM {registry.host()}/team/base:1\nENV A=1\nCOPY Dockerfile /new\n")
        self.mkimg.ok("build", "-t", registry.host() + "/other/app:1", self.path("context"))
        pushed = self.mkimg.ok("push", "--format", "json", registry.host() + "/other/app:1").json()
        actions = {blob["digest"]: blob["action"] for blob in pushed["blobs"]}
        self.assertEqual(actions[base.layers[0]], "mounted")
        self.assertEqual(sorted(actions.values()), ["mounted", "uploaded", "uploaded"])
        [mount] = registry.seen("POST", "mount=")
        self.assertEqual(mount.query, {"mount": base.layers[0], "from": "team/base"})
        self.pushed(registry, "other/app", "1")

    def test_an_upload_in_place_of_a_mount(self):
        registry = self.serve()
        base = registry.add("base", "1", Image())
        self.mkimg.ok("pull", registry.host() + "/base:1")
        registry.mounts = False
        pushed = self.mkimg.ok("push", "--format", "json", registry.host() + "/base:1", registry.host() + "/app:1").json()
        self.assertEqual({blob["action"] for blob in pushed["blobs"]}, {"uploaded"})
        self.assertEqual(self.pushed(registry, "app", "1")["config"]["digest"], base.id)

    def test_a_registry_that_never_mounts(self):
        """However many repositories have the layer, it is soon sent."""
        registry = self.serve()
        base = registry.add("base", "1", Image([layer_tar([("base", "x")])]))
        self.mkimg.ok("pull", registry.host() + "/base:1")
        for n in range(6):
            self.mkimg.ok("push", registry.host() + "/base:1", f"{registry.host()}/app{n}:1")
        registry.mounts = False
        registry.forget()
        self.mkimg.ok("push", registry.host() + "/base:1", registry.host() + "/last:1")
        self.assertLessEqual(len(registry.seen("POST", "mount=" + base.layers[0])), 3)
        self.pushed(registry, "last", "1")

    def test_a_store_of_the_registry_that_answers_no_head(self):
        """Whoever signs addresses for GET alone says 403 to others, wherever the blob lies."""
        registry, store = self.serve(), self.serve()
        store.fault("HEAD", "", instead(403), times=None)
        registry.fault("HEAD", "/blobs/", lambda _, reply: Reply(307, {"Location": store.url("/blob?signature=x")}), times=None)
        name = registry.host() + "/app:1"
        self.make(name)
        self.mkimg.ok("push", name)
        self.pushed(registry, "app", "1")
        self.assertNotEqual(store.seen("HEAD"), [])

    def test_who_may_not_push_is_told_so(self):
        registry = self.serve()
        registry.fault("HEAD|POST|PUT", "/blobs/", instead(403), times=None)
        name = registry.host() + "/app:1"
        self.make(name)
        self.check_message(self.mkimg.fails(1, "push", name), ["POST http://", "403", "anonymous"])

    def test_large_bodies_go_in_chunks_where_they_must(self):
        registry = self.serve()
        registry.body_limit = 5 << 20
        name = registry.host() + "/app:1"
        self.make(name, size=12 << 20)
        self.mkimg.ok("push", name)
        self.pushed(registry, "app", "1")
        self.assertGreater(len([request for request in registry.seen("PATCH") if request.status == 202]), 2)

    def test_chunks_that_are_answered_with_created(self):
        """Amazon's registry does."""
        registry = self.serve()
        registry.body_limit = 5 << 20
        registry.fault("PATCH", "/uploads/", lambda request, reply: Reply(201, reply.headers), times=None)
        name = registry.host() + "/app:1"
        self.make(name, size=12 << 20)
        self.mkimg.ok("push", name)
        self.pushed(registry, "app", "1")

    def test_a_registry_that_takes_nothing_at_all(self):
        registry = self.serve()
        registry.body_limit = 1000
        name = registry.host() + "/app:1"
        self.make(name)
        self.assertIn("413", self.mkimg.fails(1, "push", name).stderr)
        self.check_store()

    def test_no_head_requests(self):
        registry = self.serve()
        registry.fault("HEAD", "", instead(405), times=None)
        name = registry.host() + "/app:1"
        image = self.make(name)
        self.mkimg.ok("push", name)
        self.assertEqual(self.pushed(registry, "app", "1")["config"]["digest"], image)

    def test_two_at_once(self):
        registry = self.serve()
        self.make("app")
        results = []
        threads = [threading.Thread(target=lambda n=n: results.append(self.mkimg.run("push", "app", f"{registry.host()}/app:{n}")))
                   for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([result.status for result in results], [0] * 3, "\n".join(map(str, results)))
        self.assertEqual(len({result.stdout for result in results}), 1)
        self.assertEqual(registry.repository("app")[1], ["0", "1", "2"])


class WhileItIsMade(PushTestCase):
    """A layer that was never compressed goes out while it is."""

    def setUp(self):
        super().setUp()
        self.write("context/Dockerfile", "FROM scratch\nCOPY . /\n")
        self.write("context/noise", noise(6_000_000))
        self.write("context/text", "".join(f"line {n} of a text that packs well\n" for n in range(200_000)))
        self.registry = self.serve()

    def make(self, name="app", mkimg=None):
        return (mkimg or self.mkimg).ok("build", "-q", "-t", name, self.path("context"), env={"SOURCE_DATE_EPOCH": "1"}).stdout.strip()

    def check_arrived(self):
        manifest = self.pushed(self.registry, "app", "1")
        [layer] = manifest["layers"]
        blob = self.registry.blobs["app"][layer["digest"]]
        self.assertEqual((sha256(blob), len(blob)), (layer["digest"], layer["size"]))
        self.assertEqual(sha256(gzip.decompress(blob)), self.mkimg.ok("inspect", "app").json()["config"]["rootfs"]["diff_ids"][0])
        self.check_store()
        return layer["digest"]

    def push(self):
        return self.mkimg.ok("push", "--format", "json", "app", self.registry.host() + "/app:1").json()["blobs"]

    def test_one_request_of_unknown_length(self):
        self.make()
        self.push()
        layer = self.check_arrived()
        [patch] = self.registry.seen("PATCH")
        self.assertEqual(patch.headers["transfer-encoding"], "chunked")
        self.assertEqual(sha256(patch.body), layer)
        [put] = [request for request in self.registry.seen("PUT", "/uploads/") if layer in request.query["digest"]]
        self.assertEqual(put.body, b"")
        # Its form is known from now on.
        self.registry.forget()
        self.registry.blobs.clear()
        self.registry.manifests.clear()
        self.push()
        self.assertEqual(self.registry.seen("PATCH"), [])
        self.assertEqual(self.check_arrived(), layer)

    def test_what_the_registry_has_is_not_sent_to_its_end(self):
        self.make()
        self.push()
        layer = self.check_arrived()
        self.mkimg = self.another_store()
        self.make()
        self.registry.forget()
        del self.registry.manifests["app"]
        # Nobody reads what is sent, so that it can't be all there before its digest is known.
        self.registry.fault("PATCH", "/uploads/", lambda request, reply: reply, read=0)
        actions = {blob["digest"]: blob["action"] for blob in self.push()}
        self.assertEqual(actions[layer], "exists")
        self.assertEqual([request for request in self.registry.seen("PUT", "/uploads/") if layer in request.query["digest"]], [])
        self.assertEqual(self.check_arrived(), layer)

    def test_where_it_does_not_work_out(self):
        """Then it goes as any other blob."""
        config = self.make().removeprefix("sha256:")
        faults = {
            "reset at once": Fault("PATCH", "/uploads/", reset, read=0),
            "reset in the middle": Fault("PATCH", "/uploads/", reset, read=1_000_000),
            "answer lost": Fault("PATCH", "/uploads/", reset),
            "500": Fault("PATCH", "/uploads/", instead(500)),
            "never any": Fault("PATCH", "/uploads/", instead(405), times=None),
            "refused unread": Fault("PATCH", "/uploads/", instead(411), read=0),
            "another digest": Fault("PUT", f"/uploads/(?!.*{config})", instead(400)),
            "no session": Fault("POST", "/uploads/", instead(503)),
        }
        for name, fault in faults.items():
            with self.subTest(name):
                self.registry = self.serve()
                self.registry.faults.append(fault)
                self.mkimg = self.another_store(name)
                self.make()
                self.push()
                self.check_arrived()

    def test_a_body_limit(self):
        self.registry.body_limit = 2 << 20
        self.make()
        self.push()
        self.check_arrived()

    def test_a_build_that_is_ended_meanwhile(self):
        self.make()
        self.registry.fault("PATCH", "/uploads/", mute(), read=0)
        process = subprocess.Popen([MKIMG, "--root", self.mkimg.root, "push", "app", self.registry.host() + "/app:1"],
                                   env={**os.environ, **self.mkimg.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.wait_for(lambda: self.registry.seen("PATCH"))
        process.send_signal(2)
        _, said = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130, said)
        self.check_store()
        self.registry.faults.clear()
        self.push()
        self.check_arrived()

    def test_compression_that_is_ended_meanwhile(self):
        """It isn't gone on with for its own sake."""
        self.make()
        before = self.blobs()
        process = subprocess.Popen(
            [MKIMG, "--root", self.mkimg.root, "push", "--compression", "zstd", "--compression-level", "22", "app", self.registry.host() + "/app:1"],
            env={**os.environ, **self.mkimg.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.wait_for(lambda: self.registry.seen("PATCH"))
        process.send_signal(2)
        _, said = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 130, said)
        self.assertEqual(self.blobs(), before)
        self.check_store()


class BuildAndPush(PushTestCase):
    def setUp(self):
        super().setUp()
        self.registry = self.serve()
        self.write("context/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")

    def build(self, *options):
        return self.mkimg.ok("build", "--progress", "plain", "--metadata-file", self.path("metadata.json"), *options, self.path("context"))

    def metadata(self):
        with open(self.path("metadata.json"), encoding="utf-8") as file:
            return json.load(file)

    def check_pushed(self, repository, tag="1"):
        manifest = self.pushed(self.registry, repository, tag)
        data = self.registry.manifests[repository][tag][1]
        self.assertEqual(self.metadata()["containerimage.digest"], sha256(data))
        self.assertEqual(self.metadata()["containerimage.config.digest"], manifest["config"]["digest"])
        return manifest

    def test_push(self):
        self.build("--push", "-t", self.registry.host() + "/a:1", "-t", self.registry.host() + "/b:2")
        first, second = self.check_pushed("a"), self.check_pushed("b", "2")
        self.assertEqual(first, second)
        self.registry.forget()
        again = self.build("--push", "-t", self.registry.host() + "/a:1")
        self.assertIn("nothing to push: the registry has " + self.registry.host() + "/a:1@sha256:", again.stderr)
        self.assertEqual(self.registry.seen("PUT"), [])
        self.mkimg.fails(2, "build", "--push", self.path("context"))

    def test_outputs(self):
        self.build("-o", "type=registry", "-t", self.registry.host() + "/a:1")
        self.check_pushed("a")
        self.build("-o", f"type=image,name={self.registry.host()}/b:1,push=true,compression=zstd,oci-mediatypes=true")
        self.assertEqual(self.check_pushed("b")["layers"][0]["mediaType"], OCI_LAYER + "+zstd")
        self.build("-o", f"type=registry,name={self.registry.host()}/c:1,oci-mediatypes=false")
        self.assertEqual(self.check_pushed("c")["mediaType"], DOCKER_MANIFEST)
        self.build("-o", f"type=image,name={self.registry.host()}/d:1,push=false")
        self.assertEqual(self.registry.repository("d"), (set(), []))

    def test_a_base_that_never_comes_here(self):
        with open(base_tar(), "rb") as file:
            base = self.registry.add("base", "1", Image([file.read()]))
        self.write("context/Dockerfile", f"FROM {self.registry.host()}/base:1\nENV A=1\n")
        self.build("--push", "-t", self.registry.host() + "/app:1")
        self.assertEqual(self.registry.seen("GET", base.layers[0]), [])
        self.assertEqual([layer["digest"] for layer in self.check_pushed("app")["layers"]], base.layers)
        self.assertEqual(len(self.registry.seen("POST", "mount=" + base.layers[0])), 1)
        self.check_store()

    def test_a_base_that_another_registry_needs(self):
        with open(base_tar(), "rb") as file:
            base = self.registry.add("base", "1", Image([file.read()]))
        target = self.serve()
        self.write("context/Dockerfile", f"FROM {self.registry.host()}/base:1\nENV A=1\n")
        self.build("--push", "-t", target.host() + "/app:1")
        self.assertEqual(sha256(target.blobs["app"][base.layers[0]]), base.layers[0])

    def test_a_base_whose_mirror_has_other_content(self):
        """The layer was never needed here, and the next source is asked for it."""
        origin, mirror, target = self.serve(), self.serve(), self.serve()
        self.configure({origin.host(): {"mirrors": [mirror.url()]}})
        base = Image()
        for server in (origin, mirror):
            server.add("base", "1", base)
        mirror.blobs["base"][base.layers[0]] = b"x" * len(base.blobs[base.layers[0]])
        self.write("context/Dockerfile", f"FROM {origin.host()}/base:1\nENV A=1\n")
        self.mkimg.ok("build", "-q", "-t", "app", self.path("context"))
        self.mkimg.ok("push", "app", target.host() + "/app:1")
        self.assertEqual(len(mirror.seen("GET", base.layers[0])), 1)
        self.assertEqual([layer["digest"] for layer in self.pushed(target, "app", "1")["layers"]], base.layers)
        self.check_store()

    def test_a_base_that_is_not_to_be_had(self):
        """That is said, and not tried again for every try of the upload."""
        source, target = self.serve(), self.serve()
        base = source.add("base", "1", Image())
        self.write("context/Dockerfile", f"FROM {source.host()}/base:1\nENV A=1\n")
        self.mkimg.ok("build", "-q", "-t", "app", self.path("context"))
        source.fault("GET", base.layers[0], instead(503), times=None)
        self.check_message(self.mkimg.fails(1, "push", "app", target.host() + "/app:1"), ["503", f"GET http://{source.host()}"])
        self.assertEqual(len(source.seen("GET", base.layers[0])), 3)

    def test_two_repositories_of_which_one_refuses(self):
        """Neither gets a tag: tags come when each repository has all that they need."""
        for path in ("/b/blobs/uploads/", "/b/manifests/"):
            registry = self.serve()
            registry.fault("POST|PUT", path, instead(403), times=None)
            self.mkimg.fails(1, "build", "--push", "-t", registry.host() + "/a:1", "-t", registry.host() + "/b:2", self.path("context"))
            self.assertEqual(registry.repository("a")[1], [], path)
            self.assertEqual(registry.repository("b")[1], [], path)

    def test_a_failed_push_fails_the_build(self):
        self.registry.fault("PUT", "/manifests/", instead(403), times=None)
        result = self.mkimg.fails(1, "build", "--push", "-t", self.registry.host() + "/a:1", self.path("context"))
        self.assertIn("403", result.stderr)
        self.assertEqual(self.registry.repository("a")[1], [])
        self.check_store()


class DockerRegistry(PushTestCase):
    """Debian's own registry says what it thinks of the requests."""

    def test_push_and_read_back(self):
        registry = self.start_registry()
        name = registry.host() + "/team/app:1"
        image = self.make(name)
        for options, media_type in (([], OCI_MANIFEST), (["--oci-mediatypes=false"], DOCKER_MANIFEST), (["--compression", "zstd"], OCI_MANIFEST)):
            digest = self.mkimg.ok("push", *options, name).stdout.strip()
            self.assertEqual(sha256(registry.manifest("team/app", "1", media_type)), digest)
            seen = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{name}"))
            self.assertEqual(seen["Digest"], digest)
            self.assertEqual(sha256(skopeo("inspect", "--tls-verify=false", "--config", "--raw", f"docker://{name}").encode()), image)
        before = len(registry.requests())
        self.mkimg.ok("push", "--compression", "zstd", name)
        self.assertEqual([request for request in registry.requests()[before:] if request[0] in ("POST", "PATCH") or "/uploads/" in request[1]], [])

    def test_mount_across_repositories(self):
        registry = self.start_registry()
        self.make(registry.host() + "/base:1")
        self.mkimg.ok("push", registry.host() + "/base:1")
        other = self.another_store()
        self.write("context/Dockerfile", f"FROM {registry.host()}/base:1\nLABEL a=b\n")
        other.ok("build", "--push", "-t", registry.host() + "/team/app:1", self.path("context"))
        mounts = [request for request in registry.requests() if "mount=" in request[1]]
        self.assertEqual([status for _, _, status in mounts], [201, 201])
        layers = lambda name: json.loads(registry.manifest(name, "1", OCI_MANIFEST))["layers"]
        self.assertEqual(layers("base"), layers("team/app"))
        self.assertEqual([r for r in registry.requests() if r[0] == "GET" and r[1].endswith(layers("base")[1]["digest"])], [])


if __name__ == "__main__":
    unittest.main()
