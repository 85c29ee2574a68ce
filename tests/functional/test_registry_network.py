"""A slow, lossy link between mkimg and the registry: 200 MB arrive whole, and what was interrupted goes on."""

import os
import random
import signal
import subprocess
import unittest

from support import layer_tar
from support.http_server import cut
from support.network import Link, RemoteMkimg
from support.registry_case import RegistryTestCase, authority
from support.registry_images import Image, noise

MEGABYTE = 1_000_000
SIZES = [8 * MEGABYTE, 32 * MEGABYTE, 40 * MEGABYTE, 50 * MEGABYTE, 70 * MEGABYTE]


class SlowLink(RegistryTestCase):
    @classmethod
    def setUpClass(cls):
        cls.link = Link()
        cls.addClassCleanup(cls.link.close)
        cls.image = Image([layer_tar([(f"file-{n}", noise(size, b"%d" % n))]) for n, size in enumerate(SIZES)], "plain")

    def setUp(self):
        super().setUp()
        self.registry = self.far_registry()
        self.registry.add("app", "1", self.image)
        self.name = self.registry.host(Link.server) + "/app:1"
        self.configure({self.registry.host(Link.server): {"insecure": True}}, timeouts={"stall": 10}, retries={"attempts": 5, "delay": 0.2})
        self.remote = RemoteMkimg(self.link, self.mkimg.root, self.mkimg.env)

    def far_registry(self, **keywords):
        with self.link.on_server():
            return self.serve(address=Link.server, **keywords)

    def test_it_arrives_whole(self):
        """Each layer is cut off once on its way, at a place that chance chose once and for all."""
        chance = random.Random(7)
        for digest, size in zip(self.image.layers, SIZES):
            self.registry.fault("GET", digest, cut(chance.randrange(size // 4, size)))
        self.assertEqual(self.remote.ok("pull", self.name).stdout, self.image.id + "\n")
        self.check_image(self.image)
        sent = sum(request.sent for request in self.registry.seen("GET", "/blobs/"))
        self.assertLess(sent, sum(map(len, self.image.blobs.values())) + 20 * MEGABYTE)
        for digest in self.image.layers:
            first, second = self.registry.seen("GET", digest)
            self.assertNotIn("range", first.headers)
            self.assertRegex(second.headers["range"], r"\Abytes=[1-9]\d*-")

    def test_an_interrupted_pull_goes_on(self):
        process = subprocess.Popen(self.remote.argv("pull", self.name), env={**os.environ, **self.remote.env},
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.wait_for(lambda: self.image.layers[0] in self.blobs(), 60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, said)
        self.check_nothing_came()
        whole = self.blobs() & set(self.image.layers)
        self.registry.forget()
        self.assertEqual(self.remote.ok("pull", self.name).stdout, self.image.id + "\n")
        for digest in self.image.layers:
            requests = self.registry.seen("GET", digest)
            self.assertEqual(len(requests), 0 if digest in whole else 1)
        resumed = [request for request in self.registry.seen("GET", "/blobs/") if "range" in request.headers]
        self.assertGreater(len(resumed), 0)
        self.check_image(self.image)

    def test_a_push_arrives_whole(self):
        self.write("context/Dockerfile", "FROM scratch\nCOPY data /\n")
        self.write("context/data", noise(20 * MEGABYTE))
        image = self.mkimg.ok("build", "-q", "-t", "app", self.path("context")).stdout.strip()
        self.remote.ok("push", "app", self.registry.host(Link.server) + "/pushed:1")
        self.assertIn(image, self.registry.blobs["pushed"])

    def test_another_host_must_speak_tls(self):
        """Only loopback hosts may do without."""
        self.configure()
        result = self.remote.fails(1, "pull", self.name)
        self.check_message(result, "--insecure-registry")
        self.assertEqual(self.registry.seen(), [])
        self.check_nothing_came()

    def test_tls_over_the_link(self):
        registry = self.far_registry(certificate=authority().server((f"IP:{Link.server}",)))
        image = registry.add("small", "1", Image())
        name = registry.host(Link.server) + "/small:1"
        self.check_message(self.remote.fails(1, "pull", name), "certificate")
        self.assertEqual(self.remote.ok("pull", "--registry-ca", authority().ca, name).stdout, image.id + "\n")


if __name__ == "__main__":
    unittest.main()
