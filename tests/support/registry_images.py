"""Images as registries hold them: config, layers, manifest and index, byte by byte; expected values by hashlib."""

import copy
import gzip
import hashlib
import json
import subprocess

from .archives import encode, image_config, layer_tar, sha256

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"


def noise(size, seed=b"noise"):
    """Bytes that no compression makes shorter, the same each time."""
    return hashlib.shake_256(seed).digest(size)


def small_layers():
    return [layer_tar([("etc/", None), ("etc/a", "one"), ("gone", "x")]), layer_tar([("etc/b", "two"), (".wh.gone", "")])]


def compress(layer, how):
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=layer, stdout=subprocess.PIPE, check=True).stdout
    return gzip.compress(layer, 6, mtime=0) if how == "gzip" else layer


class Image:
    """One manifest with its blobs. After a change of `manifest` (a dict), `data` and `digest` are new."""

    def __init__(self, layers=None, compression="gzip", docker=False, platform=("linux", "amd64"), config=None):
        layers = small_layers() if layers is None else layers
        self.platform = platform
        self.blobs = {}
        self.config = image_config(layers, platform) if config is None else config
        if len(platform) > 2:
            self.config["variant"] = platform[2]
        kind = DOCKER_LAYER if docker else OCI_LAYER
        ending = {"gzip": ".gzip" if docker else "+gzip", "zstd": "+zstd", "plain": ""}[compression]
        self.media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
        self.manifest = {
            "schemaVersion": 2, "mediaType": self.media_type,
            "config": self.describe(DOCKER_CONFIG if docker else OCI_CONFIG, encode(self.config)),
            "layers": [self.describe(kind + ending, compress(layer, compression)) for layer in layers]}
        self.raw = None  # in place of what the manifest would be

    def describe(self, media_type, data):
        """Puts a blob in place; returns its descriptor."""
        self.blobs[sha256(data)] = data
        return {"mediaType": media_type, "digest": sha256(data), "size": len(data)}

    @property
    def data(self):
        return encode(self.manifest) if self.raw is None else self.raw

    @property
    def digest(self):
        return sha256(self.data)

    @property
    def id(self):
        return self.manifest["config"]["digest"]

    @property
    def layers(self):
        """The digests of the layers, the base first."""
        return [layer["digest"] for layer in self.manifest["layers"]]

    def descriptor(self, **fields):
        platform = dict(zip(("os", "architecture", "variant"), self.platform))
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), "platform": platform, **fields}

    def changed(self, change):
        """A copy whose manifest `change` has edited; a value that it returns takes the manifest's place."""
        other = copy.copy(self)
        other.manifest = copy.deepcopy(self.manifest)
        other.blobs = dict(self.blobs)
        result = change(other.manifest)
        if isinstance(result, bytes):
            other.raw = result
            return other
        if result is not None:
            other.manifest = result
        other.media_type = other.manifest.get("mediaType", self.media_type)
        return other

    def with_config(self, change):
        """A copy whose config `change` has edited (a dict, or bytes instead), with a manifest that fits."""
        other = copy.copy(self)
        other.blobs = dict(self.blobs)
        other.config = copy.deepcopy(self.config)
        result = change(other.config)
        data = result if isinstance(result, bytes) else encode(other.config if result is None else result)
        other.manifest = {**self.manifest, "config": other.describe(self.manifest["config"]["mediaType"], data)}
        return other


class Index:
    """An index, or docker's manifest list, over images or other indexes."""

    def __init__(self, images, docker=False, **fields):
        self.images = list(images)
        self.media_type = DOCKER_LIST if docker else OCI_INDEX
        self.manifest = {"schemaVersion": 2, "mediaType": self.media_type,
                         "manifests": [image.descriptor() for image in self.images], **fields}

    @property
    def data(self):
        return encode(self.manifest)

    @property
    def digest(self):
        return sha256(self.data)

    @property
    def blobs(self):
        return {}

    def descriptor(self, **fields):
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data), **fields}
