"""mkimg pull, and FROM straight from a registry."""

import errno
import fcntl
import os
import subprocess
import threading
import unittest

from support import MKIMG, Mkimg, layer_tar
from support.builds import base_tar
from support.http_server import Reply, change_body, cut, drip, instead, reset_connection, silence
from support.mapped_code import addresses, mapped_pages
from support.peers import skopeo
from support.registry_case import RegistryTestCase, authority, sha256
from support.registry_images import Image, Index, noise
from support.seccomp import SOCKET, WRITE, refuse
from support.socks_proxy import SocksProxy


def image_of(text, **keywords):
    return Image([layer_tar([("etc/", None), ("etc/text", text)])], **keywords)


class Pull(RegistryTestCase):
    def test_every_form_of_an_image(self):
        registry = self.serve()
        for compression, docker in (("gzip", False), ("zstd", False), ("plain", False), ("gzip", True), ("plain", True)):
            with self.subTest(compression=compression, docker=docker):
                name = f"team/{compression}-{docker}".lower()
                image = registry.add(name, "1", Image(
                    [layer_tar([("a", name)]), layer_tar([("b", noise(100_000))])], compression, docker))
                self.assertEqual(self.mkimg.ok("pull", f"{registry.host()}/{name}:1").stdout, image.id + "\n")
                self.assertEqual(self.mkimg.ok("inspect", f"{registry.host()}/{name}:1").json()["id"], image.id)
                self.check_image(image)

    def test_json(self):
        registry = self.serve()
        image = registry.add("app", "1", Image())
        index = registry.add("multi", "1", Index([image]))
        expected = {
            "name": f"{registry.host()}/app:1", "image": image.id, "digest": image.digest, "index": None,
            "layers": [{"digest": layer["digest"], "size": layer["size"], "fetched": True} for layer in image.manifest["layers"]]}
        self.assertEqual(self.mkimg.ok("pull", "--format", "json", registry.host() + "/app:1").json(), [expected])
        for layer in expected["layers"]:
            layer["fetched"] = False
        self.assertEqual(self.mkimg.ok("pull", "--format", "json", registry.host() + "/app:1").json(), [expected])
        expected["name"], expected["index"] = f"{registry.host()}/multi:1", index.digest
        self.assertEqual(self.mkimg.ok("pull", "--format", "json", registry.host() + "/multi:1").json(), [expected])

    def test_nothing_is_fetched_twice(self):
        registry = self.serve()
        base, more = layer_tar([("base", noise(200_000))]), layer_tar([("more", "x")])
        first = registry.add("app", "1", Image([base]))
        second = registry.add("app", "2", Image([base, more]))
        names = [f"{registry.host()}/app:1", f"{registry.host()}/app:2"]
        self.assertEqual(self.mkimg.ok("pull", *names).stdout, f"{first.id}\n{second.id}\n")
        for digest in {*first.blobs, *second.blobs}:
            self.assertEqual(len(registry.seen("GET", digest)), 1, digest)
        registry.forget()
        self.mkimg.ok("pull", *names)
        self.assertEqual(registry.seen("GET", "/blobs/"), [])

    def test_a_layer_that_two_want_at_once(self):
        registry = self.serve()
        base = layer_tar([("base", noise(400_000))])
        images = [registry.add("app", str(n), Image([base, layer_tar([("n", str(n))])])) for n in range(3)]
        registry.fault("GET", images[0].layers[0], drip(0.01, 10_000), times=None)
        self.mkimg.ok("images")
        results = {}
        threads = [threading.Thread(target=lambda n=n: results.update({n: self.mkimg.run("pull", f"{registry.host()}/app:{n}")}))
                   for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for n, image in enumerate(images):
            self.assertEqual(results[n].stdout, image.id + "\n", str(results[n]))
            self.check_image(image)
        self.assertEqual(len(registry.seen("GET", images[0].layers[0])), 1)

    def test_the_platform_of_an_index(self):
        registry = self.serve()
        for docker in (False, True):
            platforms = [("linux", "arm", "v6"), ("linux", "amd64"), ("linux", "arm", "v7"), ("linux", "arm64", "v8"), ("windows", "amd64")]
            images = {"/".join(p): image_of("/".join(p) + str(docker), platform=p, docker=docker) for p in platforms}
            index = registry.add("app", "1", Index(images.values(), docker))
            # BuildKit's attestations are no images.
            index.manifest["manifests"].insert(0, image_of("attestation").descriptor(
                platform={"os": "unknown", "architecture": "unknown"}, annotations={"vnd.docker.reference.type": "attestation-manifest"}))
            registry.add("app", "1", index)
            for asked, found in (("linux/arm/v7", "linux/arm/v7"), ("linux/arm", "linux/arm/v7"), ("linux/arm/v6", "linux/arm/v6"),
                                 ("linux/arm64", "linux/arm64/v8"), ("linux/amd64", "linux/amd64"), ("windows/amd64", "windows/amd64")):
                result = self.mkimg.ok("pull", "--platform", asked, "--format", "json", registry.host() + "/app:1").json()
                self.assertEqual((result[0]["image"], result[0]["digest"], result[0]["index"]),
                                 (images[found].id, images[found].digest, index.digest), asked)
            refused = self.mkimg.fails(1, "pull", "--platform", "linux/s390x", registry.host() + "/app:1").stderr
            for platform in images:
                self.assertIn(platform, refused)
            self.mkimg.ok("rmi", registry.host() + "/app:1")

    def test_names(self):
        registry = self.serve()
        image = registry.add("a/b/c", "latest", Image())
        other = registry.add("a/b/c", "other", image_of("other"))
        for name, expected in (("a/b/c", image), (f"a/b/c@{other.digest}", other), (f"a/b/c:other@{other.digest}", other),
                               # A digest says which; the tag beside it is a word for people.
                               (f"a/b/c:latest@{other.digest}", other)):
            self.assertEqual(self.mkimg.ok("pull", f"{registry.host('localhost')}/{name}").stdout, expected.id + "\n", name)
        self.mkimg.fails(1, "pull", registry.host() + "/a/b/c:none")
        self.mkimg.fails(1, "pull", registry.host() + "/a/b:latest")
        self.mkimg.fails(1, "pull", f"{registry.host()}/a/b/c@sha256:" + "0" * 64)
        for name in ("/UPPER", "/a:b:c", "/a@sha256:12", "/a/../b"):
            self.mkimg.fails(2, "pull", registry.host() + name)

    def test_a_digest_needs_no_network(self):
        registry = self.serve()
        image = registry.add("app", "1", Index([Image()])).images[0]
        index = registry.manifests["app"]["1"][1]
        names = [f"{registry.host()}/app@{image.digest}", f"{registry.host()}/app@{sha256(index)}"]
        self.assertEqual(self.mkimg.ok("pull", *names).stdout, f"{image.id}\n{image.id}\n")
        registry.close()
        self.assertEqual(self.mkimg.ok("pull", *names).stdout, f"{image.id}\n{image.id}\n")
        self.mkimg.fails(1, "pull", registry.host() + "/app:1")

    def test_several_of_which_one_fails(self):
        registry = self.serve()
        image = registry.add("app", "1", Image())
        result = self.mkimg.fails(1, "pull", registry.host() + "/none", registry.host() + "/app:1")
        self.assertEqual(result.stdout, image.id + "\n")
        self.assertIn(registry.host() + "/none", result.stderr)
        self.check_image(image)

    def test_what_did_not_change_is_only_asked_for(self):
        """Registries that count pulls count no HEAD."""
        registry = self.serve()
        image = Image()
        registry.add("app", "1", Index([image]))
        self.mkimg.ok("pull", registry.host() + "/app:1")
        registry.forget()
        self.assertEqual(self.mkimg.ok("pull", registry.host() + "/app:1").stdout, image.id + "\n")
        self.assertEqual([request.method for request in registry.seen(".*", "/app/")], ["HEAD"])
        # In another repository it is another image's manifest until that registry names its digest.
        self.assertEqual(self.mkimg.fails(1, "pull", registry.host() + "/other:1").stdout, "")

    def test_a_tag_moves(self):
        registry = self.serve()
        first = registry.add("app", "1", image_of("first"))
        self.mkimg.ok("pull", registry.host() + "/app:1")
        second = registry.add("app", "1", image_of("second"))
        self.assertEqual(self.mkimg.ok("pull", registry.host() + "/app:1").stdout, second.id + "\n")
        self.assertEqual(self.mkimg.ok("inspect", first.id).json()["names"], [])

    def test_what_is_said(self):
        registry = self.serve()
        image = registry.add("app", "1", Image([layer_tar([("a", noise(300_000))])]))
        plain = Mkimg(self.mkimg.root, self.mkimg.env)
        result = plain.ok("pull", "--progress", "plain", registry.host() + "/app:1")
        self.assertIn(image.layers[0][7:19], result.stderr)
        self.assertNotIn("\x1b", result.stderr)
        registry.add("app", "2", image_of("more"))
        for quiet in (["-q"], ["--progress", "quiet"]):
            self.assertEqual(plain.ok("pull", *quiet, registry.host() + "/app:2").stderr, "")
        self.mkimg.fails(2, "pull")
        self.mkimg.fails(2, "pull", "--format", "xml", registry.host() + "/app:1")

    def test_mirrors(self):
        origin, mirror, broken = self.serve(), self.serve(), self.serve()
        self.configure({origin.host(): {"mirrors": [broken.url(), mirror.url()]}})
        image = mirror.add("app", "1", Image())
        broken.close()
        self.assertEqual(self.mkimg.ok("pull", origin.host() + "/app:1").stdout, image.id + "\n")
        self.assertEqual(self.mkimg.ok("inspect", origin.host() + "/app:1").json()["id"], image.id)
        self.assertEqual(origin.seen(), [])
        # What the mirror lacks comes from the registry itself.
        only = origin.add("app", "2", image_of("only there"))
        self.assertEqual(self.mkimg.ok("pull", origin.host() + "/app:2").stdout, only.id + "\n")

    def test_a_half_fetched_layer_that_is_not_to_be_had(self):
        """Every answer ends it, and what had come stays for another time."""
        layer = layer_tar([("big", noise(400_000))])
        answers = {
            "gone": instead(410), "for legal reasons": instead(451), "a teapot": instead(418),
            "another part": lambda _, reply: Reply(206, {"Content-Range": "bytes 0-5/6"}, b"123456"),
            "too much": lambda _, reply: Reply(200, {}, bytes(500_000)),
        }
        for what, answer in answers.items():
            for mirrored in (False, True):
                with self.subTest(what, mirrored=mirrored):
                    registry, mirror, target = self.serve(), self.serve(), self.serve()
                    mirrors = {"mirrors": [mirror.url()]} if mirrored else {}
                    self.configure({registry.host(): mirrors}, retries={"attempts": 2})
                    image = Image([layer])
                    for server in (registry, mirror):
                        server.add("app", "1", image)
                    mkimg = self.another_store(f"store-{what}-{mirrored}")
                    first = mirror if mirrored else registry
                    for server in (registry, mirror):
                        server.fault("GET", image.layers[0], cut(100_000))
                        server.fault("GET", image.layers[0], instead(404), times=None)
                    mkimg.fails(1, "pull", registry.host() + "/app:1")
                    for server in (registry, mirror):
                        server.faults.clear()
                        server.fault("GET", image.layers[0], answer, times=None)
                        server.forget()
                    self.check_message(mkimg.fails(1, "pull", registry.host() + "/app:1"))
                    self.assertLessEqual(len(first.seen("GET", image.layers[0])), 4)
                    # And where it is fetched to be pushed.
                    self.write("context/Dockerfile", f"FROM {registry.host()}/app:1\nENV A=1\n")
                    mkimg.ok("build", "-q", "-t", "made", self.path("context"))
                    self.check_message(mkimg.fails(1, "push", "made", target.host() + "/made:1"))
                    self.assertLessEqual(len(first.seen("GET", image.layers[0])), 8)
                    self.check_store(mkimg)

    def test_a_mirror_with_other_content(self):
        """What it sends is thrown away, and comes from the registry itself: neat bytes and packed ones."""
        for compression in ("plain", "gzip"):
            origin, mirror = self.serve(), self.serve()
            self.configure({origin.host(): {"mirrors": [mirror.url()]}})
            image = Image([layer_tar([("large", noise(300_000))])], compression)
            for server in (origin, mirror):
                server.add("app", "1", image)
            mirror.blobs["app"][image.layers[0]] = b"x" * len(image.blobs[image.layers[0]])
            pulled = self.another_store(compression)
            pulled.ok("pull", origin.host() + "/app:1")
            self.check_image(image, pulled)
            self.assertEqual(len(origin.seen("GET", image.layers[0])), 1)

    def test_plain_registries_that_say_nothing_to_tls(self):
        """They hang up, or reset the connection, where others answer that this is no HTTP."""
        for greet in (lambda connection: None, reset_connection):
            registry, greeted = self.serve(), []
            registry.greet_tls = lambda connection: (greeted.append(connection), greet(connection))
            image = registry.add("app", "1", Image())
            # Who is told whom to trust tries TLS first, on this machine too.
            pulled = self.mkimg.ok("pull", "--registry-ca", authority().ca, registry.host() + "/app:1")
            self.assertEqual(pulled.stdout, image.id + "\n")
            self.assertNotEqual(greeted, [])

    def test_a_plain_registry_behind_a_proxy(self):
        """Which connects to ports of TLS alone."""
        proxy = self.serve()
        image = proxy.add("app", "1", Image())
        name = "registry.example.com:5000"
        environment = {"http_proxy": proxy.url(), "https_proxy": proxy.url()}
        pulled = self.mkimg.ok("pull", "--insecure-registry", name, name + "/app:1", env=environment)
        self.assertEqual(pulled.stdout, image.id + "\n")
        self.assertTrue(all(request.target.startswith(f"http://{name}/") for request in proxy.seen("GET")))
        self.check_message(self.mkimg.fails(1, "pull", name + "/app:1", env=environment), "the proxy refused")

    def test_a_socks_proxy(self):
        registry = self.serve()
        image = registry.add("app", "1", Image())
        name = "registry.example.com:5000"
        with SocksProxy(registry.port) as proxy:
            pulled = self.mkimg.ok("pull", "--insecure-registry", name, name + "/app:1", env={"ALL_PROXY": proxy.url()})
            self.assertEqual(pulled.stdout, image.id + "\n")
            self.assertEqual(set(proxy.asked), {("registry.example.com", 5000)})
            self.assertEqual(set(proxy.offered), {bytes([SocksProxy.NO_AUTHENTICATION])})

    def test_a_socks_proxy_that_wants_kerberos(self):
        """Also where it was not offered."""
        with SocksProxy(0, method=SocksProxy.GSSAPI) as proxy:
            refused = self.mkimg.fails(1, "pull", "registry.example.com:5000/app:1", env={"ALL_PROXY": proxy.url("alice:x")})
            self.check_message(refused, ["ALL_PROXY", "127.0.0.1"])
            self.assertNotIn(SocksProxy.GSSAPI, b"".join(proxy.offered))

    def test_proxies_that_are_none(self):
        """None of them is passed over, as if the registry were to be reached without it."""
        name = "registry.example.com:5000/app:1"
        for proxy, status, word in (
                ("http://u%0a:x@127.0.0.1:9", 2, "user or password"), ("http://u:%00x@127.0.0.1:9", 2, "user or password"),
                ("socks5h://%ff%01:x@127.0.0.1:9", 2, "user or password"), ("ldap://127.0.0.1:9", 2, "ldap"),
                ("rtmp://127.0.0.1:9", 2, "rtmp"), ("file:///etc/passwd", 2, "file"), ("http://127.0.0.1:99999", 2, "ort number"),
                ("http://127.0.0.1:9", 1, "127.0.0.1:9"), ("http://b\xfccher.example:3128", 1, "proxy")):
            refused = self.mkimg.fails(status, "pull", name, env={"ALL_PROXY": proxy})
            self.check_message(refused, [word, "ALL_PROXY"])

    def test_a_proxy_that_speaks_tls(self):
        proxy = self.serve(certificate=authority().server())
        image = proxy.add("app", "1", Image())
        name = "registry.example.com:5000"
        settings = {"http_proxy": proxy.url(), "https_proxy": proxy.url()}
        refused = self.mkimg.fails(1, "pull", "--insecure-registry", name, name + "/app:1", env=settings)
        self.check_message(refused, ["proxy's certificate", "SSL_CERT_FILE", proxy.host()])
        pulled = self.mkimg.ok("pull", "--insecure-registry", name, name + "/app:1",
                               env={**settings, "SSL_CERT_FILE": authority().ca})
        self.assertEqual(pulled.stdout, image.id + "\n")

    def test_an_openssl_that_cannot_speak_tls(self):
        """That is no reason to speak plain HTTP."""
        registry = self.serve(certificate=authority().server())
        registry.add("app", "1", Image())
        settings = self.write("openssl.cnf", "openssl_conf = all\n[all]\nalg_section = algorithms\n[algorithms]\ndefault_properties = fips=yes\n")
        for options in ((), ("--insecure-registry", registry.host())):
            refused = self.mkimg.fails(1, "pull", *options, registry.host() + "/app:1", env={"OPENSSL_CONF": settings})
            self.check_message(refused, ["OpenSSL", "OPENSSL_CONF"])

    def test_what_asks_for_kerberos_alone(self):
        registry = self.serve()
        registry.add("app", "1", Image())
        for scheme in ("Negotiate", "Negotiate YII=", "NTLM"):
            registry.fault("GET", "/manifests/", lambda _, reply: Reply(401, {"WWW-Authenticate": scheme}))
            self.check_message(self.mkimg.fails(1, "pull", registry.host() + "/app:1"), ["401", "anonymous"])

    def test_from_docker_registry(self):
        registry = self.start_registry()
        source = self.serve()
        images = [Image(), Image(docker=True), Image(compression="zstd")]
        for n, image in enumerate(images):
            source.add("app", str(n), image)
            skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false",
                   f"docker://{source.host()}/app:{n}", f"docker://{registry.host()}/team/app:{n}")
            result = self.mkimg.ok("pull", "--format", "json", f"{registry.host()}/team/app:{n}").json()[0]
            self.assertEqual((result["image"], result["digest"]), (image.id, image.digest))
            self.check_image(image)


class From(RegistryTestCase):
    """Builds on images that only the registry has."""

    def setUp(self):
        super().setUp()
        self.registry = self.serve()
        with open(base_tar(), "rb") as file:
            self.base = self.registry.add("base", "1", Image([file.read()]))
        self.name = self.registry.host() + "/base:1"

    def build(self, recipe, *options, mkimg=None, status=0, **keywords):
        self.write("context/Dockerfile", recipe.replace("BASE", self.name))
        result = (mkimg or self.mkimg).run("build", "--progress", "plain", *options, self.path("context"), **keywords)
        self.assertEqual(result.status, status, str(result))
        return result

    def image(self, name):
        return self.mkimg.ok("inspect", name).json()["config"]

    def test_run_on_it(self):
        self.build("FROM BASE\nRUN echo made > /made\n", "-t", "app")
        self.assertEqual(self.mkimg.ok("run", "--entrypoint", "cat", "app", "/made").stdout, "made\n")
        self.assertEqual(self.image("app")["rootfs"]["diff_ids"][:1], self.base.config["rootfs"]["diff_ids"])
        self.check_store()

    def test_copy_from_it(self):
        self.build("FROM scratch\nCOPY --from=BASE /etc/passwd /passwd\n", "-t", "app")
        self.assertEqual(len(self.image("app")["rootfs"]["diff_ids"]), 1)
        self.check_store()

    def test_a_layer_that_came_wrong_once(self):
        """The next build asks for it again."""
        self.registry.fault("GET", self.base.layers[0], change_body(lambda body: body[:-1] + b"x"))
        self.build("FROM BASE\nRUN echo made > /made\n", "-t", "app", status=1)
        self.check_store()
        self.build("FROM BASE\nRUN echo made > /made\n", "-t", "app")
        self.check_store()

    def test_config_alone_fetches_no_layer(self):
        self.build("FROM BASE\nENV A=1\nLABEL b=2\n", "-t", "app")
        config = self.image("app")
        self.assertEqual(config["rootfs"], self.base.config["rootfs"])
        self.assertIn("A=1", config["config"]["Env"])
        self.assertEqual(self.registry.seen("GET", self.base.layers[0]), [])
        # It comes when somebody wants to see it.
        self.assertEqual(self.mkimg.ok("run", "--entrypoint", "/bin/sh", "app", "-c", "echo $A").stdout, "1\n")
        self.assertEqual(len(self.registry.seen("GET", self.base.layers[0])), 1)
        self.check_store()

    def test_steps_that_hit_fetch_no_layer(self):
        recipe = "FROM BASE\nRUN echo made > /made\n"
        self.build(recipe)
        self.registry.forget()
        result = self.build(recipe)
        self.assertIn("CACHED", result.stderr)
        self.assertEqual(self.registry.seen("GET", "/blobs/"), [])

    def test_a_build_that_hits_loads_nothing_of_registries(self):
        recipe = "FROM BASE\nRUN echo made > /made\nENV A=1\n"
        first = self.build(recipe, "-q").stdout
        libcurl = addresses(MKIMG, ("curl_", "Curl_"))

        def read_of_libcurl(*options, **keywords):
            """What it printed, and the share of libcurl's pages that were read by then."""
            reader, writer = os.pipe2(os.O_CLOEXEC)
            capacity = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
            os.write(writer, bytes(capacity))  # so it stops when it prints, which is the last that it does
            build = subprocess.Popen([MKIMG, "--root", self.mkimg.root, "build", "-q", *options, self.path("context")],
                                     env={**os.environ, **self.mkimg.env}, stdout=writer, **keywords)
            os.close(writer)
            with open(f"/proc/{build.pid}/syscall") as syscall:
                self.wait_for(lambda: syscall.seek(0) or syscall.read().startswith(f"{WRITE} 0x1 "))
            mapped, pages = mapped_pages(build.pid, MKIMG, *libcurl)
            os.read(reader, capacity)
            with open(reader) as file:
                printed = file.read()
            self.assertEqual(build.wait(), 0)
            return printed, mapped / pages

        # So it looks where a registry is asked.
        self.assertGreater(read_of_libcurl("--pull")[1], 0.3)
        # Whoever reads these fails, and there are no sockets.
        self.write("registries.json", "no JSON")
        self.write("docker/config.json", "no JSON")
        self.assertEqual(read_of_libcurl(preexec_fn=refuse(errno.EACCES, SOCKET)), (first, 0))
        self.build(recipe, "-q", "--pull", status=2)

    def test_a_pinned_base_asks_nobody(self):
        recipe = f"FROM {self.registry.host()}/base:1@{self.base.digest}\nRUN echo made > /made\n"
        first = self.build(recipe, "-q").stdout
        self.registry.close()
        self.assertEqual(self.build(recipe, "-q").stdout, first)
        self.assertEqual(self.build(recipe, "-q", "--no-cache", "--pull", env={"SOURCE_DATE_EPOCH": "1"}).status, 0)

    def test_the_modes_of_pull(self):
        recipe = "FROM BASE\nENV A=1\n"
        for mode in ("never",):
            refused = self.build(recipe, f"--pull={mode}", status=1)
            self.assertIn("base", refused.stderr)
            self.assertEqual(self.registry.seen(), [])
        first = self.build(recipe, "-q").stdout
        with open(base_tar(), "rb") as file:
            changed = self.registry.add("base", "1", Image([file.read(), layer_tar([("changed", "")])]))
        self.registry.forget()
        for mode in ("missing", "never"):
            self.assertEqual(self.build(recipe, "-q", f"--pull={mode}").stdout, first, mode)
            self.assertEqual(self.registry.seen(), [], mode)
        for mode in ("--pull", "--pull=always", "--pull=newer"):
            mkimg = self.another_store("store-" + mode)
            self.registry.add("base", "1", self.base)
            self.assertEqual(self.build(recipe, "-q", mkimg=mkimg).status, 0)
            self.registry.add("base", "1", changed)
            image = self.build(recipe, "-q", mode, mkimg=mkimg).stdout.strip()
            self.assertEqual(mkimg.ok("inspect", image).json()["config"]["rootfs"], changed.config["rootfs"], mode)
        self.registry.close()
        self.assertEqual(self.build(recipe, "-q", "--pull=missing").stdout, first)
        self.assertEqual(self.build(recipe, "-q", "--pull=newer").stdout, first)
        self.build(recipe, "--pull=always", status=1)
        self.build(recipe, "--pull=sometimes", status=2)

    def test_a_base_that_is_not_there(self):
        result = self.build(f"FROM {self.registry.host()}/none:1\nENV A=1\n", status=1)
        self.assertIn(f"{self.registry.host()}/none", result.stderr)
        self.assertIn("404", result.stderr)
        self.check_nothing_came()

    def test_the_platform_of_an_index(self):
        arm = Image([layer_tar([("arm", "")])], platform=("linux", "arm64"))
        self.registry.add("multi", "1", Index([arm, self.base]))
        image = self.build(f"FROM {self.registry.host()}/multi:1\nENV A=1\n", "-q").stdout.strip()
        self.assertEqual(self.image(image)["rootfs"], self.base.config["rootfs"])
        self.registry.add("arm", "1", Index([arm]))
        refused = self.build(f"FROM {self.registry.host()}/arm:1\nENV A=1\n", status=1)
        self.assertIn("linux/arm64", refused.stderr)


class Interrupted(RegistryTestCase):
    def downloaded(self, digest):
        try:
            return os.path.getsize(os.path.join(self.mkimg.root, "downloads", digest.removeprefix("sha256:")))
        except FileNotFoundError:
            return 0

    def test_what_is_whole_stays_and_the_rest_goes_on(self):
        registry = self.serve()
        small, large = layer_tar([("small", noise(50_000, b"small"))]), layer_tar([("large", noise(3_000_000, b"large"))])
        image = registry.add("app", "1", Image([small, large], "plain"))
        registry.fault("GET", image.layers[1], silence(1_000_000))
        process = subprocess.Popen(
            [MKIMG, "--root", self.mkimg.root, "pull", registry.host() + "/app:1"], env={**os.environ, **self.mkimg.env},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.wait_for(lambda: image.layers[0] in self.blobs() and self.downloaded(image.layers[1]) > 0)
        process.send_signal(2)
        out, err = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(out, b"")
        self.check_nothing_came()
        self.assertIn(image.layers[0], self.blobs())
        registry.forget()
        self.assertEqual(self.mkimg.ok("pull", registry.host() + "/app:1").stdout, image.id + "\n")
        [resumed] = registry.seen("GET", "/blobs/" + image.layers[1])
        self.assertGreater(int(resumed.headers["range"].removeprefix("bytes=").split("-")[0]), 0)
        self.assertEqual(registry.seen("GET", image.layers[0]), [])
        self.check_image(image)


if __name__ == "__main__":
    unittest.main()
