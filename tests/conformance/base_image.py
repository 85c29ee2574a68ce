"""The tiny image that the recipes are built on, as a `docker save` archive made by hand.

A busybox root file system with a few more users, odd places for COPY to land on, and the host's
setcap and setfattr, so that RUN can make what busybox can't."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile

from support.rootfs import APPLETS, make_tar

PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
    "app:x:1000:1000:app:/home/app:/bin/sh\n"
    "web:x:33:1001:web:/srv/web:/bin/sh\n"
    "2000:x:3000:3001:a name that looks like a number:/:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
)
GROUP = (
    "root:x:0:\ndaemon:x:1:\napp:x:1000:\nwebgroup:x:1001:app\nstaff:x:50:app,web\n"
    "audio:x:29:web\nnogroup:x:65534:\n"
)
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = ("setcap", "setfattr")


def _host_tool(name):
    """A program of the host and the libraries it loads, as {path inside the image: bytes}."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise RuntimeError(f"{name} is missing: apt-get install libcap2-bin attr")
    listing = subprocess.run(["ldd", path], stdout=subprocess.PIPE, text=True, check=True).stdout
    needed = re.findall(r"(/\S+) \(0x", listing)
    files = {f"usr/bin/{name}": path, **{library.lstrip("/"): library for library in needed}}
    return {inside: _read(outside) for inside, outside in files.items()}


def root_filesystem(path):
    """Writes the base's root file system as a tar."""
    files = {"bin/busybox": _read(shutil.which("busybox"))}
    for tool in TOOLS:
        files.update(_host_tool(tool))
    folders = {"dev", "etc", "home", "proc", "root", "srv", "sys", "tmp", "usr/bin", "var", "data"}
    folders |= {parent for name in files for parent in _parents(name)} | {"usr"}
    modes = {"tmp": 0o1777, "root": 0o700}
    entries = [(name, None, {"mode": modes.get(name, 0o755)}) for name in sorted(folders)]
    entries += [(name, data, {"mode": 0o755}) for name, data in sorted(files.items())]
    entries += [_link(f"bin/{name}", tarfile.LNKTYPE, "bin/busybox") for name in APPLETS]
    entries += [
        ("etc/passwd", PASSWD),
        ("etc/group", GROUP),
        ("home/app", None, {"uid": 1000, "gid": 1000}),
        ("srv/web", None, {"uid": 33, "gid": 1001, "mode": 0o2750}),
        ("srv/sticky", None, {"mode": 0o1777}),
        _link("srv/www", tarfile.SYMTYPE, "web"),
        _link("srv/abs", tarfile.SYMTYPE, "/srv/web"),
        _link("srv/dangling", tarfile.SYMTYPE, "/srv/nowhere"),
        ("data/one", "one\n"),
        ("data/two", "two\n", {"uid": 1000, "gid": 50, "mode": 0o640}),
        ("data/sub", None, {"mode": 0o700}),
        ("data/sub/three", "three\n"),
    ]
    return make_tar(path, entries)


def _read(path):
    with open(path, "rb") as file:
        return file.read()


def _link(name, kind, target):
    return (name, b"", {"type": kind, "linkname": target, "size": 0, "mode": 0o755})


def _parents(name):
    parts = name.split("/")[:-1]
    return ["/".join(parts[: i + 1]) for i in range(len(parts))]


def base_archive(path, scratch):
    """Writes the base image as an archive that docker, buildah and mkimg load."""
    archive_of(path, root_filesystem(os.path.join(scratch, "base-layer.tar")))


def archive_of(path, *layers, name="base:latest"):
    """Writes an image of these layers, uncompressed tars, as `docker save` does."""
    diffs = []
    for layer in layers:
        with open(layer, "rb") as file:
            diffs.append(hashlib.file_digest(file, "sha256").hexdigest())
    created = "2020-01-02T03:04:05Z"
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": created,
        "config": {"Env": [PATH], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}" for diff in diffs]},
        "history": [{"created": created, "created_by": "base"} for _ in diffs],
    }).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    members = [f"{diff}/layer.tar" for diff in diffs]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": members}]).encode()
    with tarfile.open(path, "w") as archive:
        for member, data in ((config_name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for layer, member in zip(layers, members):
            archive.add(layer, member)
