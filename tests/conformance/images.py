"""Reads image archives, of the OCI layout and of `docker save`, and applies their layers to a tree.

Written against the OCI image spec with Python's tarfile, and shares no code with mkimg."""

import bz2
import dataclasses
import gzip
import hashlib
import io
import json
import posixpath
import shutil
import subprocess
import tarfile

OPAQUE = ".wh..wh..opq"
WHITEOUT = ".wh."


class BadImage(Exception):
    """The archive is not what the specification says."""


@dataclasses.dataclass
class Image:
    config: dict
    layers: list  # uncompressed layer tars as bytes, base first
    manifest: dict  # {} for a docker archive

    def tree(self):
        return apply_layers(self.layers)


@dataclasses.dataclass(eq=False)
class Node:
    """One file, with its names where it has several. Times are left out."""

    kind: str  # file, dir, symlink, fifo, char, block
    mode: int
    uid: int
    gid: int
    digest: str = ""
    size: int = 0
    target: str = ""
    device: tuple = (0, 0)
    xattrs: dict = dataclasses.field(default_factory=dict)


def _decompress(blob):
    if blob[:2] == b"\x1f\x8b":
        return gzip.decompress(blob)
    if blob[:3] == b"BZh":
        return bz2.decompress(blob)
    if blob[:4] == b"\x28\xb5\x2f\xfd":
        zstd = shutil.which("zstd") or "zstd"
        return subprocess.run([zstd, "-dcq"], input=blob, stdout=subprocess.PIPE, check=True).stdout
    return blob


def _digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def read_archive(path, reference=None):
    """The image of an archive; `reference` picks one of several."""
    with tarfile.open(path) as archive:
        names = {posixpath.normpath(name) for name in archive.getnames()}
        return _read_oci(archive, reference) if "index.json" in names else _read_docker(archive, reference)


def _member(archive, name):
    for candidate in (name, "./" + name):
        try:
            file = archive.extractfile(candidate)  # follows links inside the archive, as docker save makes them
            if file is not None:
                return file.read()
        except KeyError:
            continue
    raise BadImage(f"{name} is missing")


def _blob(archive, descriptor):
    algorithm, _, digest = descriptor["digest"].partition(":")
    data = _member(archive, f"blobs/{algorithm}/{digest}")
    if len(data) != descriptor["size"]:
        raise BadImage(f"{descriptor['digest']} has {len(data)} bytes, its descriptor says {descriptor['size']}")
    if _digest(data) != descriptor["digest"]:
        raise BadImage(f"{descriptor['digest']} is really {_digest(data)}")
    return data


def _read_oci(archive, reference):
    layout = json.loads(_member(archive, "oci-layout"))
    if layout.get("imageLayoutVersion") != "1.0.0":
        raise BadImage(f"oci-layout says {layout}")
    descriptors = json.loads(_member(archive, "index.json"))["manifests"]
    if reference is not None:
        descriptors = [
            d for d in descriptors if d.get("annotations", {}).get("org.opencontainers.image.ref.name") == reference
        ]
    if len(descriptors) != 1:
        raise BadImage(f"expected one manifest, found {len(descriptors)}")
    manifest = json.loads(_blob(archive, descriptors[0]))
    if "manifests" in manifest:
        images = [m for m in manifest["manifests"] if m.get("platform", {}).get("os") != "unknown"]
        if len(images) != 1:
            raise BadImage(f"expected one image in the index, found {len(images)}")
        manifest = json.loads(_blob(archive, images[0]))
    config = json.loads(_blob(archive, manifest["config"]))
    layers = [_decompress(_blob(archive, layer)) for layer in manifest["layers"]]
    return _checked(Image(config, layers, manifest))


def _read_docker(archive, reference):
    entries = json.loads(_member(archive, "manifest.json"))
    if reference is not None:
        entries = [e for e in entries if reference in (e.get("RepoTags") or [])]
    if len(entries) != 1:
        raise BadImage(f"expected one image, found {len(entries)}")
    config = json.loads(_member(archive, entries[0]["Config"]))
    layers = [_decompress(_member(archive, layer)) for layer in entries[0]["Layers"]]
    return _checked(Image(config, layers, {}))


def _checked(image):
    """The layers must be those that the config's diff_ids name, and the history must count them."""
    found = [_digest(layer) for layer in image.layers]
    if found != image.config["rootfs"]["diff_ids"]:
        raise BadImage(f"diff_ids are {image.config['rootfs']['diff_ids']}, the layers' digests {found}")
    history = image.config.get("history")
    if history is not None and sum(not h.get("empty_layer", False) for h in history) != len(found):
        raise BadImage(f"history tells of another number of layers than {len(found)}: {history}")
    return image


def apply_layers(layers):
    """The tree after all layers: {path: Node}. Paths are without leading slash; the root is left out."""
    tree = {}
    for layer in layers:
        _apply(tree, layer)
    return tree


def _remove(tree, path, keep=()):
    for name in [n for n in tree if (n == path or n.startswith(path + "/")) and n not in keep]:
        del tree[name]


def _apply(tree, layer):
    fresh = set()  # made by this layer: its own whiteouts don't reach these
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:") as tar:
        for entry in tar:
            path = posixpath.normpath("/" + entry.name.lstrip("/")).lstrip("/")
            if not path:
                continue
            parent, name = posixpath.split(path)
            if name == OPAQUE:
                keep = fresh | {parent}
                _remove(tree, parent, keep) if parent else [tree.pop(n) for n in list(tree) if n not in fresh]
                continue
            if name.startswith(WHITEOUT):
                _remove(tree, posixpath.join(parent, name[len(WHITEOUT):]), fresh)
                continue
            node = _node(tar, entry, tree)
            if node.kind != "dir" or (path in tree and tree[path].kind != "dir"):
                _remove(tree, path)
            tree[path] = node
            fresh.add(path)
            while parent:
                if parent not in tree:  # a layer may leave out the folders on the way
                    tree[parent] = Node("dir", 0o755, 0, 0)
                fresh.add(parent)
                parent = posixpath.dirname(parent)


def _node(tar, entry, tree):
    if entry.islnk():
        target = posixpath.normpath("/" + entry.linkname.lstrip("/")).lstrip("/")
        if target not in tree:
            raise BadImage(f"hard link {entry.name} to {entry.linkname}, which is not there")
        return tree[target]
    kinds = {
        tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.FIFOTYPE: "fifo",
        tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block",
    }
    kind = kinds.get(entry.type, "file")
    xattrs = {
        key.removeprefix("SCHILY.xattr."): value.encode("utf-8", "surrogateescape").hex()
        for key, value in entry.pax_headers.items()
        if key.startswith("SCHILY.xattr.")
    }
    node = Node(kind, entry.mode & 0o7777, entry.uid, entry.gid, xattrs=xattrs)
    if kind == "file":
        data = tar.extractfile(entry).read()
        node.digest, node.size = _digest(data), len(data)
    elif kind == "symlink":
        node.mode, node.target = 0o777, entry.linkname  # a symlink has no mode of its own
    elif kind in ("char", "block"):
        node.device = (entry.devmajor, entry.devminor)
    return node
