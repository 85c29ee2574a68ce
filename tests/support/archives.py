"""Image archives written by hand, byte by byte as the specifications say: good ones, and with
`put` and `describe` any kind of bad one."""

import gzip
import hashlib
import io
import json
import os
import tarfile

from .rootfs import make_tar

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def encode(value):
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def layer_tar(entries):
    """An uncompressed layer as bytes; entries as make_tar takes them."""
    buffer = io.BytesIO()
    make_tar(buffer, entries)
    return buffer.getvalue()


def image_config(layers, platform=("linux", "amd64"), **config):
    """The config of an image with these uncompressed layers."""
    return {
        "architecture": platform[1], "os": platform[0], "created": "2020-01-02T03:04:05Z", "config": config,
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in layers]},
        "history": [{"created": "2020-01-02T03:04:05Z", "created_by": f"layer {i}"} for i in range(len(layers))],
    }


class _Files:
    """Members of an archive, by name, in order. A name may come twice in `extra`."""

    def __init__(self):
        self.files = {}
        self.extra = []  # (TarInfo, bytes), written after the rest

    def put(self, name, data):
        self.files[name] = encode(data)

    def link(self, name, target, hard=False):
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, target
        self.extra.append((info, b""))

    def member(self, name, data, **fields):
        """One more member, whatever is there already."""
        info = tarfile.TarInfo(name)
        for field, value in fields.items():
            setattr(info, field, value)
        data = encode(data)
        info.size = len(data)
        self.extra.append((info, data))

    def write_tar(self, path, compress=None):
        """Writes the archive; `compress` may be "gz", "bz2" or "xz"."""
        self.complete()
        with tarfile.open(path, "w:" + (compress or ""), format=tarfile.PAX_FORMAT) as tar:
            for name, data in self.files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
            for info, data in self.extra:
                tar.addfile(info, io.BytesIO(data))
        return path

    def write_dir(self, path):
        self.complete()
        for name, data in self.files.items():
            target = os.path.join(path, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as file:
                file.write(data)
        return path

    def complete(self):
        pass


class OciArchive(_Files):
    """An OCI image layout. add_image() for an image, then write_tar() or write_dir()."""

    def __init__(self):
        super().__init__()
        self.index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
        self.put("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def blob(self, data):
        data = encode(data)
        self.put("blobs/sha256/" + sha256(data)[7:], data)
        return {"digest": sha256(data), "size": len(data)}

    def describe(self, media_type, data, **fields):
        return {"mediaType": media_type, **self.blob(data), **fields}

    def manifest(self, layers, config=None, compress=True, **fields):
        """The manifest of an image with these uncompressed layers, its blobs put in place."""
        described = []
        for layer in layers:
            if compress:
                described.append(self.describe(OCI_LAYER + "+gzip", gzip.compress(layer, mtime=0)))
            else:
                described.append(self.describe(OCI_LAYER, layer))
        config = image_config(layers) if config is None else config
        return {"schemaVersion": 2, "mediaType": OCI_MANIFEST,
                "config": self.describe(OCI_CONFIG, config), "layers": described, **fields}

    def add_image(self, layers, name=None, config=None, compress=True, **fields):
        """Adds an image to the index; returns its manifest's descriptor."""
        descriptor = self.describe(OCI_MANIFEST, self.manifest(layers, config, compress), **fields)
        if name:
            descriptor["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.index["manifests"].append(descriptor)
        return descriptor

    def complete(self):
        self.files.setdefault("index.json", encode(self.index))


class DockerArchive(_Files):
    """What `docker save` writes, before version 25 (old=True: ID/layer.tar) or since (blobs/)."""

    def __init__(self, old=True):
        super().__init__()
        self.old = old
        self.manifest = []

    def add_image(self, layers, names=(), config=None):
        """Adds an image; returns its ID."""
        config = encode(image_config(layers) if config is None else config)
        image_id = sha256(config)
        paths = []
        for layer in layers:
            path = sha256(layer)[7:] + "/layer.tar" if self.old else "blobs/sha256/" + sha256(layer)[7:]
            self.put(path, layer)
            paths.append(path)
        config_path = image_id[7:] + ".json" if self.old else "blobs/sha256/" + image_id[7:]
        self.put(config_path, config)
        self.manifest.append({"Config": config_path, "RepoTags": list(names) or None, "Layers": paths})
        return image_id

    def complete(self):
        self.files.setdefault("manifest.json", encode(self.manifest))
