"""Registries that break, lie and steal: each way with its verdict, and what the store holds afterwards."""

import os
import re
import unittest

from support import layer_tar
from support import http_server as http
from support.http_server import Fault, Reply
from support.registry_case import PASSWORD, RegistryTestCase, authority, basic, sha256
from support.registry_faults import LARGE, LYING, PASSING, STAYING, foreign, image, layer
from support.registry_images import Image, noise

ALICE = ("alice", PASSWORD)


class Pull(RegistryTestCase):
    """One test a way; they are made of the tables below."""

    def check(self, case):
        registry = self.serve()
        self.configure(**case.settings)
        image = case.image()
        registry.add("app", "1", image)
        for make in case.faults:
            registry.faults.append(make())
        name = registry.host() + "/app" + case.reference
        if case.status == 0:
            self.assertEqual(self.mkimg.ok("pull", name).stdout, image.id + "\n")
            self.check_image(image)
        else:
            result = self.pull_fails(name, status=case.status, words=case.words)
            self.assertEqual(result.stdout, "")
            self.assertNotRegex(result.stderr, r"[\0-\x08\x0b-\x1f\x7f]")
            self.assertLess(len(result.stderr), 20_000)
        self.assertLess(sum(request.sent for request in registry.seen()), case.at_most)
        if case.tries:
            method, path, times = case.tries
            self.assertEqual(len(registry.seen(method, path() if callable(path) else path)), times)


def _add_tests():
    for kind, cases in (("passing", PASSING), ("staying", STAYING), ("lying", LYING)):
        for case in cases:
            name = f"test_{kind}_" + re.sub(r"\W+", "_", case.name)
            assert not hasattr(Pull, name), name
            setattr(Pull, name, lambda self, case=case: self.check(case))


_add_tests()


class Resume(RegistryTestCase):
    def pull_cut_at(self, count, *faults):
        registry = self.serve()
        registry.add("app", "1", image())
        registry.fault("GET", layer(), http.cut(count))
        registry.faults += faults
        self.assertEqual(self.mkimg.ok("pull", registry.host() + "/app:1").stdout, image().id + "\n")
        self.check_image(image())
        return registry.seen("GET", layer())

    def test_goes_on_where_it_ended(self):
        first, second = self.pull_cut_at(150_000)
        self.assertNotIn("range", first.headers)
        self.assertEqual(second.headers["range"], "bytes=150000-")
        self.assertEqual(second.status, 206)

    def test_bytes_that_were_wrong_from_the_start(self):
        """What an earlier try left may be damaged: it is thrown away, and the layer comes anew."""
        registry = self.serve()
        registry.add("app", "1", image())
        registry.fault("GET", layer(), lambda request, reply: http.cut(150_000)(request, Reply(200, {}, b"x" * len(reply.body))))
        result = self.mkimg.run("pull", registry.host() + "/app:1")
        if result.status != 0:
            self.check_nothing_came()
            self.mkimg.ok("pull", registry.host() + "/app:1")
        self.check_image(image())

    def test_a_damaged_download_of_an_earlier_run(self):
        registry = self.serve()
        registry.add("app", "1", image())
        registry.fault("GET", layer(), http.cut(150_000), times=None)
        registry.fault("GET", layer(), http.reset, times=None)
        self.configure(retries={"attempts": 1})
        self.pull_fails(registry.host() + "/app:1")
        left = [path for path in self.files_below(self.mkimg.root) if "/downloads/" in path and os.path.getsize(path) > 0]
        self.assertEqual(len(left), 1)
        with open(left[0], "r+b") as file:
            file.write(b"damage")
        registry.faults.clear()
        result = self.mkimg.run("pull", registry.host() + "/app:1")
        if result.status != 0:
            self.check_nothing_came()
            self.mkimg.ok("pull", registry.host() + "/app:1")
        self.check_image(image())

    def test_a_damaged_download_and_a_slow_registry(self):
        """The fault shows long before the rest is there."""
        packed = Image([LARGE])
        registry = self.serve()
        registry.add("app", "1", packed)
        downloads = os.path.join(self.mkimg.root, "downloads")
        os.makedirs(downloads)
        with open(os.path.join(downloads, packed.layers[0][7:]), "wb") as file:
            file.write(b"damage" * 10_000)
        registry.fault("GET", packed.layers[0], http.drip(0.05, 100_000), times=None)
        self.mkimg.ok("pull", registry.host() + "/app:1")
        self.check_image(packed)
        self.assertEqual(len(registry.seen("GET", packed.layers[0])), 2)

    def test_a_registry_that_knows_no_ranges(self):
        whole = Fault("GET", layer(), lambda request, reply: Reply(200, {}, image().blobs[image().layers[0]]), times=None)
        self.pull_cut_at(150_000, whole)

    def test_416(self):
        """The registry doesn't want to go on from there: from the start, then."""
        registry = self.serve()
        registry.add("app", "1", image())
        registry.fault("GET", layer(), http.cut(150_000))
        registry.fault("GET", layer(), http.instead(416))
        result = self.mkimg.run("pull", registry.host() + "/app:1")
        if result.status != 0:
            self.check_message(result, "416")
            self.check_nothing_came()
        self.mkimg.ok("pull", registry.host() + "/app:1")
        self.check_image(image())


class Reordered(RegistryTestCase):
    """Answers that come in another order than they were asked for."""

    def after(self, done, registry, pattern):
        """An answer that waits until another request has been answered."""
        def action(request, reply):
            self.wait_for(lambda: any(done(earlier) for earlier in registry.seen(".*", pattern)))
            return reply
        return action

    def test_layers_from_the_top_down(self):
        registry = self.serve()
        image = registry.add("app", "1", Image([layer_tar([(f"file-{n}", noise(200_000, b"%d" % n))]) for n in range(5)], "plain"))
        for lower, upper in zip(image.layers, image.layers[1:]):
            registry.fault("GET", lower, self.after(lambda request: request.sent > 200_000, registry, upper))
        self.assertEqual(self.mkimg.ok("pull", registry.host() + "/app:1").stdout, image.id + "\n")
        self.check_image(image)

    def test_uploads_from_the_top_down(self):
        registry = self.serve()
        image = registry.add("app", "1", Image([layer_tar([(f"file-{n}", noise(200_000, b"%d" % n))]) for n in range(4)], "plain"))
        name = registry.host() + "/app:1"
        self.mkimg.ok("pull", name)
        other = self.serve()
        for lower, upper in zip(image.layers, image.layers[1:]):
            other.fault("PUT", "digest=" + lower.replace(":", "%3A"),
                        self.after(lambda request: request.status == 201, other, "digest=" + upper.replace(":", "%3A")))
        self.assertEqual(self.mkimg.ok("push", name, other.host() + "/app:1").stdout.strip(), image.digest)
        self.assertLessEqual(set(image.layers), other.repository("app")[0])


class Credentials(RegistryTestCase):
    """Who gets to see them: the registry, its token server, and nobody else."""

    def setUp(self):
        super().setUp()
        self.trust = ("--registry-ca", authority().ca)

    def with_basic(self, tls=True):
        registry = self.serve_tls(user=ALICE) if tls else self.serve(user=ALICE)
        registry.add("app", "1", image())
        self.credentials(**{registry.host(): ALICE})
        return registry

    def pull(self, registry, status=0, words=()):
        result = self.mkimg.run("pull", *self.trust, registry.host() + "/app:1")
        self.assertEqual(result.status, status, str(result))
        if status == 0:
            self.check_image(image())
        else:
            self.check_message(result, words)
            self.check_nothing_came()
        return result

    def check_unseen(self, server):
        """No request there held anything of alice's."""
        for request in server.seen():
            self.assertNotIn("authorization", request.headers, str(request))
            self.assertNotIn("cookie", request.headers)
            self.assertNotIn(PASSWORD, request.target + str(request.body))

    def elsewhere(self, tls=True):
        server = self.serve_tls() if tls else self.serve()
        server.add("app", "1", image())
        return server

    def test_a_layer_that_lies_on_another_host(self):
        registry, other = self.with_basic(), self.elsewhere()
        registry.fault("GET", layer(), http.redirect(f"https://localhost:{other.port}{{path}}?signature=SIGNATURE-S3CRET"), times=None)
        self.pull(registry)
        self.assertEqual(len(other.seen("GET", layer())), 1)
        self.check_unseen(other)

    def test_a_layer_on_another_port_of_the_same_host(self):
        registry, other = self.with_basic(), self.elsewhere()
        registry.fault("GET", layer(), http.redirect(other.url("{path}")), times=None)
        self.pull(registry)
        self.check_unseen(other)

    def test_a_layer_on_another_host_that_asks_for_a_password(self):
        registry, other = self.with_basic(), self.elsewhere()
        other.user = ALICE
        registry.fault("GET", layer(), http.redirect(other.url("{path}")), times=None)
        self.pull(registry, 1, "401")
        self.check_unseen(other)

    def test_a_resumed_layer_on_another_host(self):
        registry, other = self.with_basic(), self.elsewhere()
        registry.fault("GET", layer(), http.redirect(other.url("{path}")), times=None)
        other.fault("GET", layer(), http.cut(150_000))
        self.pull(registry)
        self.assertIn("range", other.seen("GET", layer())[1].headers)
        self.check_unseen(other)

    def test_a_manifest_on_another_host(self):
        registry, other = self.with_basic(), self.elsewhere()
        registry.fault("GET|HEAD", "/manifests/", http.redirect(other.url("{path}")), times=None)
        self.pull(registry)
        self.check_unseen(other)

    def test_there_and_back_again(self):
        registry, other = self.with_basic(), self.elsewhere()
        registry.fault("GET", layer(), http.redirect(other.url("/away")))
        other.fault("GET", "/away", http.redirect(registry.url(layer().join(["/v2/app", ""]))))
        self.pull(registry)
        self.check_unseen(other)

    def test_https_never_falls_to_http(self):
        registry, plain = self.with_basic(), self.elsewhere(tls=False)
        registry.fault("GET", layer(), http.redirect(plain.url("{path}")), times=None)
        self.pull(registry, 1, "https")
        self.assertEqual(plain.seen(), [])

    def test_an_error_names_no_signature(self):
        registry, other = self.with_basic(), self.elsewhere()
        registry.fault("GET", layer(), http.redirect(other.url("{path}?X-Amz-Signature=SIGNATURE-S3CRET")), times=None)
        other.fault("GET", "", http.instead(403), times=None)
        self.pull(registry, 1, "403")

    def test_a_password_in_the_file_that_is_wrong(self):
        registry = self.with_basic()
        self.credentials(**{registry.host(): ("alice", "other-S3CRET")})
        self.pull(registry, 1, ("alice", "401"))
        self.assertLess(len(registry.seen()), 5)

    def test_layers_that_lie_elsewhere_are_not_fetched_there(self):
        registry, other = self.with_basic(), self.elsewhere()
        registry.add("app", "1", foreign([other.url("/layer"), "file:///etc/passwd"]))
        result = self.mkimg.run("pull", *self.trust, registry.host() + "/app:1")
        if result.status != 0:  # it may be refused; from the registry itself it may be taken
            self.check_nothing_came()
        self.assertEqual(other.seen(), [])

    # Token servers.

    def with_tokens(self, realm=None, tls=True, **keywords):
        """A registry over TLS whose tokens come from a server of its own, or from `realm`."""
        self.tokens = self.token_server(users=dict([ALICE]), **keywords)
        registry = self.serve_tls(tokens=self.tokens) if tls else self.serve(tokens=self.tokens)
        if realm:
            self.tokens.challenge = lambda: f'Bearer realm="{realm}",service="tests"'
        registry.add("app", "1", image())
        self.credentials(**{registry.host(): ALICE})
        return registry

    def test_a_realm_on_another_host_by_https(self):
        registry = self.with_tokens(certificate=authority().server())
        self.pull(registry)
        self.assertEqual({request.headers.get("authorization") for request in self.tokens.seen()}, {basic(*ALICE)})

    def test_a_realm_by_http(self):
        thief = self.serve()
        for realm in (thief.url("/token"), f"http://localhost:{thief.port}/token"):
            registry = self.with_tokens(realm=realm)
            self.pull(registry, 1, "http://")
        self.check_unseen(thief)

    def test_a_realm_by_http_on_another_host_of_a_plain_registry(self):
        thief = self.serve()
        registry = self.with_tokens(realm=f"http://localhost:{thief.port}/token", tls=False)
        self.pull(registry, 1, "http://")
        self.check_unseen(thief)

    def test_realms_that_are_none(self):
        for realm in ("file:///etc/passwd", "gopher://127.0.0.1/", "", "/token", "https://u:p-S3CRET@127.0.0.1:1/", "ftp://127.0.0.1/token",
                      "https://127.0.0.1:99999/", "https://"):
            registry = self.with_tokens(realm=realm or " ")
            self.pull(registry, 1)

    def test_a_realm_that_is_redirected(self):
        thief = self.serve_tls()
        registry = self.with_tokens(certificate=authority().server())
        self.tokens.fault("GET", "/token", http.redirect(thief.url("/token")), times=None)
        self.mkimg.run("pull", *self.trust, registry.host() + "/app:1")
        self.check_unseen(thief)
        self.check_nothing_came()

    def test_a_mirror_gets_no_password_of_the_registry(self):
        registry, mirror = self.with_basic(), self.serve_tls(user=("other", "x"))
        mirror.add("app", "1", image())
        self.configure({registry.host(): {"mirrors": [mirror.url()]}})
        self.pull(registry)
        self.check_unseen(mirror)

    def test_what_token_servers_say(self):
        def body(data, status=200, kind="application/json"):
            return http.instead(status, {"Content-Type": kind}, data)

        for what, action, words in (
                ("no token", body(b"{}"), "token"),
                ("an empty token", body(b'{"token":""}'), "token"),
                ("a token that is a number", body(b'{"token":5}'), "token"),
                ("control bytes", body(b'{"token":"a\\r\\nX-Evil: S3CRET"}'), "token"),
                ("a token of a megabyte", body(b'{"token":"' + b"x" * (1 << 20) + b'"}'), ""),
                ("a page", body(b"<html>log in</html>", kind="text/html"), "token"),
                ("nothing", body(b""), "token"),
                ("deep JSON", body(b"[" * 200_000), ""),
                ("no end", http.endless(), ""),
                ("a gigabyte", lambda request, reply: Reply(200, {"Content-Length": 1 << 30}, iter(lambda: bytes(1 << 18), 0)), ""),
                ("forbidden", http.refuse(403), "alice"),
                ("unauthorized", http.refuse(401), "alice"),
                ("not found", body(b"", 404), "404"),
                ("503 for ever", body(b"", 503), "503"),
                ("reset", http.reset, "/token"),
                ("silence", http.silence(), "/token")):
            with self.subTest(what):
                registry = self.with_tokens(certificate=authority().server())
                self.configure(timeouts={"document": 1}, retries={"attempts": 2})
                self.tokens.fault("GET|POST", "/token", action, times=None)
                self.pull(registry, 1, words)
                self.assertLess(sum(request.sent for request in self.tokens.seen()), 40 << 20)
                self.assertLessEqual(len(self.tokens.seen()), 6)

    def test_a_token_server_that_stumbles(self):
        for action in (http.instead(503), http.instead(429, {"Retry-After": "1"}), http.reset, http.cut(20), http.drip(0.0005)):
            registry = self.with_tokens(certificate=authority().server())
            self.tokens.fault("GET|POST", "/token", action)
            self.another_store(str(registry.port)).ok("pull", *self.trust, registry.host() + "/app:1")

    def test_tokens_that_expire_at_once(self):
        registry = self.with_tokens(certificate=authority().server())
        self.tokens.lifetime = 0
        self.pull(registry, 1, "401")
        self.assertLess(len(self.tokens.seen()), 12)

    def test_tokens_that_never_please(self):
        registry = self.with_tokens(certificate=authority().server(), rights=lambda user, repository: set())
        self.pull(registry, 1, ("alice", "401"))
        self.assertLess(len(self.tokens.seen()), 8)


class Push(RegistryTestCase):
    """An upload that is cut, turned away, or lured elsewhere."""

    def setUp(self):
        super().setUp()
        self.write("context/Dockerfile", "FROM scratch\nCOPY data /\n")
        self.write("context/data", noise(3_000_000))
        self.image = self.mkimg.ok("build", "-q", "-t", "app", self.path("context")).stdout.strip()

    def push(self, registry, status=0, words=(), options=()):
        result = self.mkimg.run("push", *options, "app", registry.host() + "/team/app:1")
        self.assertEqual(result.status, status, str(result))
        self.check_store()
        self.mkimg.ok("inspect", self.image)
        if status == 0:
            _, data = registry.manifests["team/app"]["1"]
            self.assertEqual(result.stdout, sha256(data) + "\n")
            for digest, blob in registry.blobs["team/app"].items():
                self.assertEqual(sha256(blob), digest)
            self.assertEqual(self.another_store(f"read-{registry.port}").ok("pull", *options, registry.host() + "/team/app:1").stdout,
                             self.image + "\n")
        else:
            self.check_message(result, words)
            self.assertEqual(result.stdout, "")
            self.assertEqual(registry.repository("team/app")[1], [])
        return result

    # (what, method, path): the moments of an upload.
    MOMENTS = [("the beginning of an upload", "POST", "/uploads/"), ("a blob", "PUT|PATCH", "/uploads/"), ("the manifest", "PUT", "/manifests/")]

    def faults_at(self, method, path):
        yield "reset before", Fault(method, path, http.reset, read=0)
        if "POST" not in method:
            yield "reset in the middle", Fault(method, path, http.reset, read=100)
        yield "answer lost", Fault(method, path, http.reset)
        yield "500", Fault(method, path, http.instead(500), read=0)
        yield "503", Fault(method, path, http.instead(503))
        yield "end", Fault(method, path, http.hang_up)

    def test_cut_once(self):
        for moment, method, path in self.MOMENTS:
            for kind, fault in self.faults_at(method, path):
                with self.subTest(f"{kind}: {moment}"):
                    registry = self.serve()
                    registry.faults.append(fault)
                    self.push(registry)

    def test_cut_always(self):
        for moment, method, path in self.MOMENTS:
            for kind, fault in self.faults_at(method, path):
                if kind in ("reset before", "500", "reset in the middle"):
                    with self.subTest(f"{kind}: {moment}"):
                        registry = self.serve()
                        fault.times = None
                        registry.faults.append(fault)
                        self.push(registry, 1, "http://" + registry.host())
                        self.assertLess(len(registry.seen(method, path)), 20)

    def test_cut_in_the_middle_of_a_blob(self):
        registry = self.serve()
        registry.fault("PUT", "/uploads/", http.reset, read=2_000_000)
        self.push(registry)
        registry = self.serve()
        registry.body_limit = 1 << 20
        registry.fault("PATCH", "/uploads/", http.reset, read=500_000, skip=1)
        self.push(registry)

    def test_an_upload_that_is_forgotten(self):
        registry = self.serve()

        def forget(request, reply):
            registry.uploads.clear()
            return http.error_reply(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")

        registry.body_limit = 1 << 20
        registry.fault("PATCH", "/uploads/", forget, skip=1)
        self.push(registry)

    def test_a_range_that_the_registry_does_not_like(self):
        registry = self.serve()
        registry.body_limit = 1 << 20
        registry.fault("PATCH", "/uploads/", http.instead(416), skip=1, times=None)
        self.push(registry, 1, "416")

    def test_an_upload_that_stands_elsewhere(self):
        """A chunk of which mkimg does not know that it was taken in part: the registry is asked how far it came."""
        registry = self.serve()

        def take_a_part(request, reply):
            if reply.status != 202 or taken:
                return reply
            taken.append(request.path)
            del registry.uploads[request.path.rpartition("/")[2]][-1000:]
            return http.error_reply(416, "RANGE_INVALID", "invalid content range")

        taken = []
        registry.body_limit = 1 << 20
        registry.fault("PATCH", "/uploads/", take_a_part, times=None)
        self.push(registry)

    def test_refusals(self):
        for method, path, status, code in (
                ("POST", "/uploads/", 403, "DENIED"), ("POST", "/uploads/", 401, "UNAUTHORIZED"), ("POST", "/uploads/", 404, "NAME_UNKNOWN"),
                ("PUT", "/uploads/", 400, "DIGEST_INVALID"), ("PUT", "/uploads/", 507, "FULL"), ("PUT", "/manifests/", 400, "MANIFEST_INVALID"),
                ("PUT", "/manifests/", 429, "TOOMANYREQUESTS"), ("PUT", "/manifests/", 415, "UNSUPPORTED")):
            with self.subTest(f"{method} {status}"):
                registry = self.serve()
                registry.fault(method, path, http.refuse(status, code, "because of a reason"), times=None)
                words = [str(status), method + " http://"]
                if status != 401:
                    words += [code, "because of a reason"]
                self.push(registry, 1, words)

    def test_locations(self):
        def location(value):
            return http.change_headers({"Location": value})

        for what, value, status in (
                ("none", None, 1), ("of a file", "file:///tmp/x", 1), ("by gopher", "gopher://127.0.0.1/x", 1),
                ("with a user", "http://u:p-S3CRET@127.0.0.1:1/x", 1), ("that is none", "http://", 1), ("by ftp", "ftp://127.0.0.1/x", 1)):
            with self.subTest(what):
                registry = self.serve()
                registry.fault("POST", "/uploads/", location(value), times=None)
                self.push(registry, status)

    def test_a_location_without_a_host_and_one_with(self):
        for whole in (False, True):
            registry = self.serve()

            def rewrite(request, reply, registry=registry, whole=whole):
                path = reply.headers["Location"]
                return reply.with_headers({"Location": registry.url(path) if whole else path.rpartition("/")[2]})

            registry.fault("POST", "/uploads/", rewrite, times=None)
            self.push(registry)

    def test_a_location_on_another_host_gets_no_password(self):
        registry, other = self.serve_tls(user=ALICE), self.serve_tls()
        self.credentials(**{registry.host(): ALICE})
        other.uploads, other.blobs = registry.uploads, registry.blobs  # one storage behind both

        def elsewhere(request, reply):
            return reply.with_headers({"Location": other.url(reply.headers["Location"])})

        registry.fault("POST", "/uploads/", elsewhere, times=None)
        self.push(registry, options=("--registry-ca", authority().ca))
        self.assertGreater(len(other.seen("PUT", "/uploads/")), 0)
        for request in other.seen():
            self.assertNotIn("authorization", request.headers)

    def test_a_location_on_another_host_that_asks_for_a_password(self):
        registry, thief = self.serve_tls(user=ALICE), self.serve_tls(user=ALICE)
        self.credentials(**{registry.host(): ALICE})
        registry.fault("POST", "/uploads/", lambda request, reply: reply.with_headers({"Location": thief.url("/v2/team/app/blobs/uploads/x")}), times=None)
        self.push(registry, 1, "401", options=("--registry-ca", authority().ca))
        for request in thief.seen():
            self.assertNotIn("authorization", request.headers)

    def test_a_location_that_leaves_https(self):
        registry, plain = self.serve_tls(user=ALICE), self.serve()
        self.credentials(**{registry.host(): ALICE})
        registry.fault("POST", "/uploads/", http.change_headers({"Location": plain.url("/upload")}), times=None)
        self.push(registry, 1, "https", options=("--registry-ca", authority().ca))
        self.assertEqual(plain.seen(), [])

    def test_a_redirected_upload(self):
        """A body is not sent on to where the registry says in a redirect, credentials even less."""
        registry, other = self.serve_tls(user=ALICE), self.serve_tls()
        self.credentials(**{registry.host(): ALICE})
        registry.fault("PUT", "/uploads/", http.redirect(other.url("{path}")), times=None)
        self.mkimg.run("push", "--registry-ca", authority().ca, "app", registry.host() + "/team/app:1")
        for request in other.seen():
            self.assertNotIn("authorization", request.headers)

    def test_other_digests_than_ours(self):
        for path in ("/uploads/", "/manifests/"):
            registry = self.serve()
            registry.fault("PUT", path, http.change_headers({"Docker-Content-Digest": sha256(b"other")}), times=None)
            result = self.mkimg.fails(1, "push", "app", registry.host() + "/team/app:1")
            self.check_message(result, "digest")
            self.assertEqual(result.stdout, "")

    def test_a_mount_that_was_none(self):
        """201 for a mount, and then the blob is not there: the manifest is refused, and that is said."""
        registry = self.serve()
        registry.add("base", "1", Image([layer_tar([("base", noise(1000))])]))
        self.mkimg.ok("pull", registry.host() + "/base:1")
        registry.fault("POST", "mount=", lambda request, reply: (registry.blobs.pop("new", None), reply)[1], times=None)
        registry.fault("PUT", "/manifests/", http.refuse(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"), times=None)
        self.check_message(self.mkimg.fails(1, "push", registry.host() + "/base:1", registry.host() + "/new:1"), "MANIFEST_BLOB_UNKNOWN")

    def test_mounts_that_are_refused(self):
        for action in (http.refuse(403), http.refuse(404), http.refuse(405), http.refuse(400)):
            registry = self.serve()
            registry.add("base", "1", Image())
            self.mkimg.ok("pull", registry.host() + "/base:1")
            registry.fault("POST", "mount=", action, times=None)
            pushed = self.mkimg.ok("push", "--format", "json", registry.host() + "/base:1", registry.host() + "/new:1").json()
            self.assertEqual({blob["action"] for blob in pushed["blobs"]}, {"uploaded"})

    def test_a_registry_that_takes_no_bytes(self):
        """The connection stays open, and nobody reads: the stall limit ends it."""
        registry = self.serve()
        self.configure(timeouts={"stall": 1, "document": 2}, retries={"attempts": 2})
        registry.fault("PUT", "/uploads/", http.mute(), times=None, read=0)
        self.push(registry, 1, "PUT http://")


if __name__ == "__main__":
    unittest.main()
