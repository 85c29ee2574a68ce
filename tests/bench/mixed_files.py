"""Files as images have them: of their bytes half are random and half are text, which gzip makes some three times smaller."""

import os
import random

PAGE = 64 << 10  # more than gzip looks back, so that a page that comes again saves it nothing


class MixedFiles:
    def __init__(self, seed=1):
        self._random = random.Random(seed)
        letters = "etaoinshrdlucmfwypvbgkqjxz"
        words = ["".join(self._random.choices(letters, weights=range(26, 0, -1), k=self._random.randint(2, 10)))
                 for _ in range(20_000)]
        self._pages = [self._page(words) for _ in range(64)]

    def _page(self, words):
        weights = [1 / rank for rank in range(1, len(words) + 1)]  # as in languages, by Zipf
        text = " ".join(self._random.choices(words, weights=weights, k=PAGE // 2))
        return text.encode()[:PAGE].ljust(PAGE)

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
        pages = self._random.choices(self._pages, k=size // PAGE + 1)
        return (first.encode() + b"".join(pages))[:size]
