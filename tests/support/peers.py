"""The builders that mkimg is compared with: Buildah, and BuildKit inside a dockerd of the test's own.

Each has its whole state below one folder and leaves no process and no mount behind."""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import time


class PeerFailed(Exception):
    """A peer's command failed; the message is what it printed."""


def _run(argv, **keywords):
    process = subprocess.run(
        [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
        **keywords)
    if process.returncode != 0:
        output = (process.stdout + process.stderr).decode(errors="replace")
        raise PeerFailed(f"{' '.join(str(a) for a in argv)}: exit status {process.returncode}\n{output}")
    return process.stdout.decode(errors="replace")


def _unmount_below(folder):
    """Unmounts everything below the folder, the deepest first."""
    prefix = os.path.realpath(folder) + "/"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [line.split()[4].encode("latin-1", "replace").decode("unicode_escape") for line in file]
    for point in sorted((p for p in points if p.startswith(prefix)), key=len, reverse=True):
        subprocess.run(["umount", "-l", point], stderr=subprocess.DEVNULL, check=False)


def skopeo(*arguments):
    """Reads and writes images anywhere; keeps nothing but a list of where it saw which blob."""
    return _run(["skopeo", "--insecure-policy", *arguments])


class Buildah:
    """Buildah with a store of its own; RUN by chroot, so that no runtime and no cgroup is needed."""

    name = "buildah"

    def __init__(self, folder, driver="overlay"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        policy = self.folder / "policy.json"
        policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
        registries = self.folder / "registries.conf"
        registries.write_text("unqualified-search-registries = []\n")
        self.environment = {
            **os.environ,
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_REGISTRIES_CONF": str(registries),
            "TMPDIR": str(self.folder),
        }
        self.policy = policy
        self.options = ["--root", self.folder / "root", "--runroot", self.folder / "run", "--storage-driver", driver]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        _unmount_below(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, command, *arguments):
        return _run(["buildah", *self.options, command, *arguments], env=self.environment)

    def load(self, archive, transport="docker-archive"):
        self.run("pull", "--signature-policy", self.policy, f"{transport}:{archive}")

    def build(self, context, name, arguments=(), file=None, layers=False, cache=True):
        self.run(
            "bud", "--signature-policy", self.policy, "--isolation", "chroot", "--pull-never", "--format", "docker",
            f"--layers={str(layers).lower()}", *([] if cache else ["--no-cache"]),
            "-t", name, *(["-f", file] if file else []), *arguments, context)

    def save(self, name, archive):
        """Writes the image as `docker save` does: the form that keeps Docker's own settings."""
        self.run("push", "--signature-policy", self.policy, "-q", name, f"docker-archive:{archive}:{name}:latest")

    def remove(self, name):
        self.run("rmi", "-f", name)


class Dockerd:
    """A dockerd with BuildKit, started with folders, a socket and a containerd of its own."""

    name = "buildkit"

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket = self.folder / "docker.sock"
        # Debian's client speaks to its daemon's builder; one from elsewhere may want a plug-in for that.
        self.client = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker"
        self.environment = {
            **os.environ,
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_BUILDKIT": "1",
            "DOCKER_CONFIG": str(self.folder / "config"),
            "BUILDKIT_PROGRESS": "plain",
        }
        self.log = open(self.folder / "log", "wb")
        terminate_with_parent = ctypes.CDLL(None).prctl
        self.process = subprocess.Popen(
            ["dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none", "--data-root", self.folder / "data",
             "--exec-root", self.folder / "exec", "-H", f"unix://{self.socket}", "--pidfile", self.folder / "pid"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            preexec_fn=lambda: terminate_with_parent(1, signal.SIGTERM))
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _wait_until_ready(self, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.run("version")
                return
            except PeerFailed as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise PeerFailed(f"dockerd does not answer: {error}\n{self.tail()}") from None
                time.sleep(0.05)

    def tail(self, lines=20):
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-lines:])

    def _descendants(self):
        """Pids of dockerd's children and theirs: containerd, and a shim for each container."""
        children = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/stat", encoding="latin-1") as file:
                        parent = int(file.read().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                children.setdefault(parent, []).append(int(entry))
        found, queue = [], [self.process.pid]
        while queue:
            below = children.get(queue.pop(), [])
            found += below
            queue += below
        return found

    def close(self):
        descendants = [(pid, os.pidfd_open(pid)) for pid in self._descendants() if os.path.exists(f"/proc/{pid}")]
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for _, pidfd in descendants:  # dockerd ends them itself, unless it was killed
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass
            os.close(pidfd)
        self.log.close()
        _unmount_below(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *arguments):
        return _run([self.client, *arguments], env=self.environment)

    def load(self, archive):
        return self.run("load", "-q", "-i", archive)

    def build(self, context, name, arguments=(), file=None, network="none", cache=True):
        self.run(
            "build", "-q", "--network", network, "-t", name, *([] if cache else ["--no-cache"]),
            *(["-f", file] if file else []), *arguments, context)

    def save(self, name, archive):
        self.run("save", "-o", archive, name)

    def remove(self, name):
        self.run("rmi", "-f", name)
