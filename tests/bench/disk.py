"""A fresh ext4 file system in a sparse file, mounted by loop: the same ground for every builder.

Making a file costs the same there whatever the machine's own root file system is."""

import os
import pathlib
import shutil
import subprocess
import tempfile


class Disk:
    def __init__(self, gibibytes=60, inodes=2_000_000):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mkimg-bench-"))
        self.path = self.folder / "mnt"
        self.path.mkdir()
        image = self.folder / "disk.img"
        with open(image, "wb") as file:
            os.truncate(file.fileno(), gibibytes << 30)
        subprocess.run(
            ["mkfs.ext4", "-q", "-N", str(inodes), "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, self.path], check=True)

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        unmounted = subprocess.run(["umount", self.path], check=False).returncode == 0
        if not unmounted:  # a peer's process still holds it
            subprocess.run(["umount", "-l", self.path], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
