"""mkimg and the peers as commands to be timed, each with its whole state on the bench's disk."""

import dataclasses
import os
import subprocess
import time

from support.peers import Buildah, Dockerd


@dataclasses.dataclass
class Run:
    seconds: float
    max_rss: int  # bytes: the largest of the process and of those it waited for; not below our own at the fork


def timed(argv, environment, stdout=subprocess.DEVNULL):
    """Runs the command once all that was written before is on the disk; an exit status but 0 raises."""
    os.sync()
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, env=environment)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode != 0:
        raise RuntimeError(f"{argv}: exit status {process.returncode}\n{errors.decode(errors='replace')}")
    return Run(seconds, usage.ru_maxrss * 1024)


def printed(argv, environment):
    """What the command prints; not timed."""
    return subprocess.run(
        [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, env=environment).stdout.decode()


class MkimgBench:
    name = "mkimg"

    def __init__(self, folder):
        self.program = os.environ["MKIMG"]
        self.environment = {**os.environ, "TMPDIR": str(folder.parent)}
        self.root = folder

    def _argv(self, *arguments):
        return [self.program, "--root", self.root, *arguments]

    def load(self, archive):
        timed(self._argv("load", "-i", archive), self.environment)

    def build(self, context, cache=True, arguments=()):
        options = [] if cache else ["--no-cache"]
        return timed(self._argv("build", "-q", "-t", "result", *options, *arguments, context), self.environment)

    def save(self, name, archive):
        """As a gzip OCI archive."""
        return timed(self._argv("save", "--format", "oci", "-o", archive, name), self.environment)

    def pull(self, name):
        return timed(self._argv("pull", "-q", name), self.environment)

    def push(self, name):
        """Pushes the image that build() made."""
        return timed(self._argv("push", "-q", "result", name), self.environment)

    def image_id(self, name):
        return printed(self._argv("images", "-q", "--no-trunc", name), self.environment).strip()

    def clean(self):
        timed(self._argv("rmi", "result"), self.environment)

    def close(self):
        pass


class BuildKitBench:
    """dockerd, and its own BuildKit; the client is what is timed, as a person would."""

    name = "BuildKit"

    def __init__(self, folder):
        self.peer = Dockerd(folder)

    def load(self, archive):
        self.peer.load(archive)

    def build(self, context, cache=True, arguments=()):
        options = [] if cache else ["--no-cache"]
        return timed(
            [self.peer.client, "build", "-q", "--network", "host", "-t", "result", *options, *arguments, context],
            self.peer.environment)

    def save(self, name, archive):
        """This version writes no OCI archive: a docker archive through gzip is the nearest."""
        command = f'"{self.peer.client}" save "$0" | gzip > "$1"'
        return timed(["bash", "-o", "pipefail", "-c", command, name, archive], self.peer.environment)

    def pull(self, name):
        return timed([self.peer.client, "pull", "-q", name], self.peer.environment)

    def push(self, name):
        self.peer.run("tag", "result", name)
        return timed([self.peer.client, "push", "-q", name], self.peer.environment)

    def image_id(self, name):
        return self.peer.run("image", "inspect", "-f", "{{.Id}}", name).strip()

    def clean(self):
        self.peer.remove("result")

    def close(self):
        self.peer.close()


class BuildahBench:
    name = "Buildah"

    def __init__(self, folder):
        self.peer = Buildah(folder)

    def _argv(self, command, *arguments):
        policy = ("--signature-policy", self.peer.policy)
        return ["buildah", *self.peer.options, command, *policy, *arguments]

    def load(self, archive):
        self.peer.load(archive)

    def build(self, context, cache=True, arguments=()):
        options = ["--layers"] if cache else ["--layers", "--no-cache"]
        return timed(
            self._argv("bud", "-q", "--isolation", "chroot", "--pull-never", "-t", "result", *options, *arguments, context),
            self.peer.environment)

    def save(self, name, archive):
        return timed(self._argv("push", "-q", name, f"oci-archive:{archive}"), self.peer.environment)

    def pull(self, name):
        return timed(self._argv("pull", "-q", "--tls-verify=false", f"docker://{name}"), self.peer.environment)

    def push(self, name):
        return timed(
            self._argv("push", "-q", "--tls-verify=false", "result", f"docker://{name}"), self.peer.environment)

    def image_id(self, name):
        return "sha256:" + self.peer.run("inspect", "--type", "image", "-f", "{{.FromImageID}}", name).strip()

    def clean(self):
        self.peer.remove("result")

    def close(self):
        self.peer.close()


class SkopeoBench(BuildahBench):
    """skopeo between a registry and a store of Buildah's kind, in which Buildah has built."""

    name = "skopeo"

    def _copy(self, *arguments):
        return timed(["skopeo", "--insecure-policy", "copy", "-q", *arguments], self.peer.environment)

    def _stored(self, name):
        return f"containers-storage:[overlay@{self.peer.folder / 'root'}+{self.peer.folder / 'run'}]{name}"

    def pull(self, name):
        return self._copy("--src-tls-verify=false", f"docker://{name}", self._stored(name))

    def push(self, name):
        return self._copy("--dest-tls-verify=false", self._stored("localhost/result:latest"), f"docker://{name}")
