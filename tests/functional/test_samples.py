"""The samples build, run and answer as their recipes say."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from support import MKIMG, TestCase

PROJECT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Hello(TestCase):
    def test_it_builds_without_network_and_greets(self):
        context = shutil.copytree(PROJECT / "samples/hello", self.path("hello"))
        shutil.copy(shutil.which("busybox"), context + "/busybox")
        self.mkimg.ok("build", "--network", "none", "-t", "hello", context)
        self.assertEqual(
            self.mkimg.ok("run", "hello").stdout, "Hello, world.\nThis image holds:\n/bin/busybox\n/greet.sh\n")
        self.assertTrue(self.mkimg.ok("run", "-e", "NAME=you", "hello").stdout.startswith("Hello, you.\n"))


class Web(TestCase):
    def build(self):
        base = PROJECT / "build" / "debian.tar"
        subprocess.run([PROJECT / "scripts/debian-base", base], check=True)
        self.mkimg.ok("import", base, "debian:bookworm-slim")
        image = self.mkimg.ok("build", "-q", "-t", "web", PROJECT / "samples/web", timeout=900).stdout.strip()
        again = self.mkimg.ok("build", "--progress", "plain", "-t", "web", PROJECT / "samples/web")
        self.assertIn("nothing to run", again.stderr)
        self.assertIn(image, again.stdout + again.stderr)

    def fetch(self, server, url):
        """The page; waits for the server to come up, and fails when it has ended."""
        while True:
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return answer.read().decode()
            except (urllib.error.URLError, ConnectionError):
                if server.poll() is not None:
                    self.fail(f"the server ended: {server.stdout.read()}")
                time.sleep(0.05)

    def test_it_serves_its_page_as_its_own_user(self):
        self.build()
        config = self.mkimg.ok("inspect", "--format", "json", "web").stdout
        self.assertIn("/health", config)
        self.assertNotEqual(self.mkimg.ok("run", "web", "id", "-u").stdout.strip(), "0")

        port = free_port()
        server = subprocess.Popen(
            [MKIMG, "--root", self.mkimg.root, "run", "-e", f"PORT={port}", "web"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.assertIn("<h1>It works</h1>", self.fetch(server, f"http://127.0.0.1:{port}/"))
        self.assertEqual(self.fetch(server, f"http://127.0.0.1:{port}/health"), "ok\n")
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        with self.assertRaises(urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10)


if __name__ == "__main__":
    unittest.main()
