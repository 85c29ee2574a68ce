"""Two network namespaces with a slow, lossy link between them. Needs root."""

import contextlib
import ctypes
import os
import subprocess

from .mkimg import MKIMG, Mkimg, Result

CLONE_NEWNET = 0x40000000


def _run(*argv, check=True):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=check)


class Link:
    """`server` and `client` are the addresses. Each side sends at most `rate`, and one packet in `loss` is lost."""

    server, client = "10.213.7.1", "10.213.7.2"

    def __init__(self, rate="120mbit", loss=200):
        self._names = [f"mkimg-test-{os.getpid()}-{side}" for side in ("server", "client")]
        self._devices = [f"mk{os.getpid()}{side}" for side in "sc"]
        try:
            for name in self._names:
                _run("ip", "netns", "add", name)
            _run("ip", "link", "add", self._devices[0], "type", "veth", "peer", "name", self._devices[1])
            for name, device, address in zip(self._names, self._devices, (self.server, self.client)):
                _run("ip", "link", "set", device, "gso_max_segs", "1")  # packets as on a wire, not 64 KiB each
                _run("ip", "link", "set", device, "netns", name)
                _run("ip", "-n", name, "addr", "add", address + "/24", "dev", device)
                _run("ip", "-n", name, "link", "set", "lo", "up")
                _run("ip", "-n", name, "link", "set", device, "up")
                self._make_slow(name, device, rate, loss)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _make_slow(name, device, rate, loss):
        inside = ("ip", "netns", "exec", name)
        netem = _run(*inside, "tc", "qdisc", "add", "dev", device, "root", "netem", "rate", rate, "delay", "5ms",
                     "loss", f"{100 / loss}%", "limit", "1000", check=False)
        if netem.returncode != 0:  # a kernel without it: its parts, one by one
            _run(*inside, "tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", rate, "burst", "32k", "latency", "20ms")
            _run(*inside, "iptables", "-A", "INPUT", "-i", device, "-m", "statistic", "--mode", "random",
                 "--probability", str(1 / loss), "-j", "DROP")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for name in self._names:
            _run("ip", "netns", "del", name, check=False)
        _run("ip", "link", "del", self._devices[0], check=False)

    @contextlib.contextmanager
    def on_server(self):
        """Sockets that this thread makes within lie on the server's side."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as ours, open(f"/run/netns/{self._names[0]}", "rb") as theirs:
            if libc.setns(theirs.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(ours.fileno(), CLONE_NEWNET)

    def on_client(self, *argv):
        """The command that runs another on the client's side."""
        return ["nsenter", f"--net=/run/netns/{self._names[1]}", *argv]


class RemoteMkimg(Mkimg):
    """The program on the client's side of a link."""

    def __init__(self, link, root, env=None):
        super().__init__(root, env)
        self.link = link

    def argv(self, *arguments):
        return self.link.on_client(MKIMG, "--root", self.root, *map(str, arguments))

    def run(self, *arguments, stdin=None, cwd=None, env=None, timeout=300):
        process = subprocess.run(
            self.argv(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd,
            env={**os.environ, **self.env, **(env or {})}, timeout=timeout, check=False)
        return Result(self.argv(*arguments), process)
