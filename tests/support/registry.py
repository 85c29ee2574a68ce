"""Debian's docker-registry, started by the tests on loopback."""

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ACCESS = re.compile(r'"(?P<method>[A-Z]+) (?P<target>\S+) HTTP/[\d.]+" (?P<status>\d+) (?P<size>\d+)')


def _bcrypt(password):
    """The password as htpasswd files have it: by the C library, since Python no longer has a module for it."""
    function = ctypes.CDLL("libcrypt.so.1").crypt
    function.restype = ctypes.c_char_p
    return function(password.encode(), b"$2b$04$" + b"mkimgtestsmkimgtestsmO").decode()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """`certificate` (certificate, key) makes it speak TLS; `users` {name: password} ask for Basic; `tokens`
    (a TokenServer) with `token_roots` for Bearer. Its state and its log lie in a folder of its own, in `parent`."""

    def __init__(self, certificate=None, ca=None, client_ca=None, users=None, tokens=None, token_roots=None, realm=None,
                 parent=None):
        self.folder = tempfile.mkdtemp(prefix="mkimg-registry-", dir=parent or os.environ.get("MKIMG_TEST_DIR"))
        self.ca = ca
        self._certificate, self._client_ca = certificate, client_ca
        auth = {}
        if users:
            path = os.path.join(self.folder, "htpasswd")
            with open(path, "w", encoding="ascii") as file:
                for user, password in users.items():
                    file.write(f"{user}:{_bcrypt(password)}\n")
            auth = {"htpasswd": {"realm": "tests", "path": path}}
        elif tokens:
            auth = {"token": {"realm": realm or tokens.url("/token"), "service": tokens.service, "issuer": tokens.issuer,
                              "rootcertbundle": token_roots}}
        self._auth = auth
        self.port = None
        self._process = None
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def host(self, name="127.0.0.1"):
        return f"{name}:{self.port}"

    @property
    def scheme(self):
        return "https" if self._certificate else "http"

    def start(self):
        """Starts it, on the same port as before where it was stopped."""
        for _ in range(5):
            port = self.port or _free_port()
            if self._start(port):
                self.port = port
                return
        raise RuntimeError("docker-registry does not start:\n" + self.log())

    def _start(self, port):
        tls = {}
        if self._certificate:
            tls = {"certificate": self._certificate[0], "key": self._certificate[1]}
            if self._client_ca:
                tls["clientcas"] = [self._client_ca]
        config = {
            "version": 0.1, "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": os.path.join(self.folder, "data")}, "delete": {"enabled": True},
                        "maintenance": {"uploadpurging": {"enabled": False}}},
            "http": {"addr": f"127.0.0.1:{port}", "secret": "tests", "tls": tls}, "auth": self._auth}
        path = os.path.join(self.folder, "config.yml")
        with open(path, "w", encoding="ascii") as file:
            json.dump(config, file)  # which is YAML too
        terminate_with_parent = ctypes.CDLL(None).prctl
        with open(os.path.join(self.folder, "log"), "ab") as log:
            environment = {k: v for k, v in os.environ.items() if not k.startswith(("REGISTRY_", "OTEL_"))}
            self._process = subprocess.Popen(
                ["docker-registry", "serve", path], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                preexec_fn=lambda: terminate_with_parent(1, signal.SIGTERM))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers(port):
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _answers(self, port):
        if self._client_ca:  # without a certificate of ours it would not answer
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0
        context = ssl.create_default_context(cafile=self.ca) if self._certificate else None
        handlers = [urllib.request.ProxyHandler({})]
        if context:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        try:
            with urllib.request.build_opener(*handlers).open(f"{self.scheme}://127.0.0.1:{port}/v2/", timeout=5) as answer:
                return answer.status == 200
        except urllib.error.HTTPError as error:
            return error.code == 401
        except OSError:
            return False

    def stop(self):
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def close(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def requests(self):
        """(method, target, status) of each request so far, without those to /v2/."""
        found = [(m["method"], m["target"], int(m["status"])) for m in ACCESS.finditer(self.log())]
        return [request for request in found if request[1] != "/v2/"]

    def manifest(self, repository, reference, accept, authorization=None):
        """The bytes of a manifest as the registry gives them, asked without any of the programs under test."""
        context = ssl.create_default_context(cafile=self.ca) if self._certificate else None
        handlers = [urllib.request.ProxyHandler({})]
        if context:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        request = urllib.request.Request(f"{self.scheme}://{self.host()}/v2/{repository}/manifests/{reference}",
                                         headers={"Accept": accept})
        if authorization:
            request.add_header("Authorization", authorization)
        with urllib.request.build_opener(*handlers).open(request, timeout=10) as answer:
            return answer.read()
