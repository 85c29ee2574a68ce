"""Files as images have them: of their bytes half are random and half are text, the sources of this project."""

import os
import pathlib
import random

PROJECT = pathlib.Path(__file__).resolve().parents[2]
PAGE = 64 << 10  # more than gzip looks back, so that a page that comes again saves it nothing


class MixedFiles:
    def __init__(self, seed=1):
        self._random = random.Random(seed)
        text = b"".join(path.read_bytes() for path in sorted(PROJECT.glob("*/*.cpp")))
        self._pages = [text[at:at + PAGE] for at in range(0, len(text), PAGE)]

    def contents(self, total, label):
        """Yields (name, bytes), some `total` bytes together, other ones for each label; files of 4 KiB to 4 MiB."""
        number = 0
        while total > 0:
            size = min(total // 2 + 1, int(4096 * 1024 ** self._random.random()))
            total -= 2 * size
            number += 1
            yield f"random/{number}", os.urandom(size)
            yield f"text/{number}", self._text(size, f"{label} {number}\n")

    def _text(self, size, first):
        text = first.encode()
        while len(text) < size:
            text += self._random.choice(self._pages)
        return text[:size]
