"""Tests through the program against registries: its settings, its credentials, and what must hold after each run."""

import atexit
import json
import os
import shutil
import tempfile
import time

from .archives import sha256
from .bad_registry import BadRegistry
from .certificates import Authority
from .mkimg import Mkimg, TestCase, digest
from .registry import Registry
from .token_server import TokenServer, basic

PASSWORD = "PASSWORD-S3CRET"
# No part of these may ever stand in any output. Names of tokens, refresh tokens and upload states hold it too.
SECRET = "S3CRET"

for _name in ("MKIMG_REGISTRIES", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "http_proxy", "https_proxy", "HTTP_PROXY",
              "HTTPS_PROXY", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"):
    os.environ.pop(_name, None)

_authority = None


def authority():
    """The private authority, made once per test program."""
    global _authority
    if _authority is None:
        folder = tempfile.mkdtemp(prefix="mkimg-authority-", dir=os.environ.get("MKIMG_TEST_DIR"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _authority = Authority(folder)
    return _authority


class WatchedMkimg(Mkimg):
    """Says all it can (--debug), and no output of any run holds a secret."""

    secrets = (SECRET, basic("alice", PASSWORD).removeprefix("Basic "), "Authorization: ", "authorization: ")
    tokens = ()  # servers whose tokens are secrets as well

    def run(self, *arguments, **keywords):
        result = super().run("--debug", *arguments, **keywords)
        secrets = [*self.secrets, *(token for server in self.tokens for token in list(server.issued))]
        for secret in secrets:
            if secret in result.stdout + result.stderr:
                raise AssertionError(f"{secret} stands in the output: {result}")
        return result


class RegistryTestCase(TestCase):
    """Short times and few tries, so that failures come soon."""

    def setUp(self):
        super().setUp()
        os.makedirs(self.path("docker"))
        self.mkimg = WatchedMkimg(self.path("store"), {
            "HOME": self.path("home"), "XDG_CONFIG_HOME": self.path("home/.config"), "DOCKER_CONFIG": self.path("docker"),
            "MKIMG_REGISTRIES": self.path("registries.json")})
        self.configure()

    def configure(self, registries=None, timeouts=None, retries=None):
        """Writes the settings; registries are {host: {...}}."""
        settings = {"registries": registries or {},
                    "timeouts": {"connect": 5, "document": 5, "stall": 2, **(timeouts or {})},
                    "retries": {"attempts": 3, "delay": 0.02, "most": 2, **(retries or {})}}
        self.write("registries.json", json.dumps(settings))

    def another_store(self, name="other-store"):
        """The program with an empty store, and settings and credentials of this test."""
        other = WatchedMkimg(self.path(name), self.mkimg.env)
        other.tokens = self.mkimg.tokens
        return other

    def credentials(self, **hosts):
        """Writes config.json: {host: {"auth"…}} or {host: (user, password)}."""
        auths = {}
        for host, value in hosts.items():
            auths[host] = {"auth": basic(*value).removeprefix("Basic ")} if isinstance(value, tuple) else value
        return self.write("docker/config.json", json.dumps({"auths": auths}), 0o600)

    def serve(self, **keywords):
        """A registry of the tests' own, that may be given faults."""
        server = BadRegistry(**keywords)
        self.addCleanup(server.close)
        return server

    def serve_tls(self, **keywords):
        return self.serve(certificate=authority().server(), **keywords)

    def token_server(self, **keywords):
        server = TokenServer(**keywords)
        self.addCleanup(server.close)
        self.mkimg.tokens = (*self.mkimg.tokens, server)
        return server

    def start_registry(self, **keywords):
        """Debian's docker-registry."""
        registry = Registry(**keywords)
        self.addCleanup(registry.close)
        return registry

    def blobs(self, mkimg=None):
        """The digests in the store."""
        folder = os.path.join((mkimg or self.mkimg).root, "blobs/sha256")
        return {"sha256:" + name for name in os.listdir(folder)} if os.path.isdir(folder) else set()

    def check_store(self, mkimg=None):
        """What must hold after every run, however it ended."""
        mkimg = mkimg or self.mkimg
        for blob in self.blobs(mkimg):
            self.assertEqual(digest(os.path.join(mkimg.root, "blobs/sha256", blob[7:])), blob)
        result = mkimg.run("fsck")
        self.assertEqual(result.status, 0, str(result))

    def check_nothing_came(self, mkimg=None):
        mkimg = mkimg or self.mkimg
        self.assertEqual(mkimg.ok("images", "-q").stdout, "")
        self.check_store(mkimg)

    def wait_for(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it does not come to that")
            time.sleep(0.01)

    def pull_fails(self, *arguments, status=1, words=(), **keywords):
        """A pull that fails, says so in these words, and leaves nothing."""
        result = self.mkimg.fails(status, "pull", *arguments, **keywords)
        self.check_message(result, words)
        self.check_nothing_came()
        return result

    def check_message(self, result, words=()):
        self.assertIn("error:", result.stderr)
        for fault in ("terminate called", "what():", "Sanitizer", "nlohmann"):
            self.assertNotIn(fault, result.stderr)
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, result.stderr)

    def check_image(self, image, mkimg=None):
        """The store holds what the image of the tests is: config and uncompressed layers."""
        mkimg = mkimg or self.mkimg
        shown = mkimg.ok("inspect", image.id).json()
        self.assertEqual(shown["id"], image.id)
        self.assertEqual(shown["config"]["rootfs"], image.config["rootfs"])
        path = self.path("check.tar")
        mkimg.ok("save", "--format", "docker", "-o", path, image.id)  # reads all layers back, and checks them
        os.unlink(path)
        self.check_store(mkimg)


__all__ = ["PASSWORD", "SECRET", "RegistryTestCase", "WatchedMkimg", "authority", "basic", "digest", "sha256"]
