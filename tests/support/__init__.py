"""What tests through the program share: a store, the program, root file systems, archives."""

from .archives import DockerArchive, OciArchive, image_config, layer_tar, sha256
from .mkimg import MKIMG, Mkimg, Result, TestCase, digest
from .rootfs import busybox_rootfs, make_tar

__all__ = [
    "MKIMG", "Mkimg", "Result", "TestCase", "digest",
    "busybox_rootfs", "make_tar",
    "DockerArchive", "OciArchive", "image_config", "layer_tar", "sha256",
]
