"""A terminal: the program's stderr (and stdin) are one, and what stands on it at last is known."""

import os
import re
import subprocess
import termios

from .mkimg import MKIMG

# What the program's progress is made of; anything else fails the test.
PART = re.compile(r"\x1b\[(\d+)A|\x1b\[(J)|\x1b\[[02](m)|(\r)|(\n)|([^\x1b\r\n]+)")


class Screen:
    """Lines as a terminal shows them after all that was written. `widest` is the longest line ever drawn."""

    def __init__(self, text):
        self.lines, self.widest = [""], 0
        row, position = 0, 0
        while position < len(text):
            part = PART.match(text, position)
            if part is None:
                raise AssertionError(f"a terminal is told {text[position:position + 20]!r}")
            position = part.end()
            up, erase, _, start, end, words = part.groups()
            if up:
                row -= int(up)
                if row < 0:
                    raise AssertionError("the cursor goes above what was written")
            elif erase:
                del self.lines[row + 1:]
                self.lines[row] = ""
            elif end:
                row += 1
                if row == len(self.lines):
                    self.lines.append("")
            elif words:
                self.lines[row] += words
                self.widest = max(self.widest, len(self.lines[row]))
        self.lines = [line for line in self.lines if line]


class Terminal:
    """One run of the program with stderr on a terminal, stdout on a pipe."""

    def __init__(self, mkimg, *arguments, width=80):
        self.master, slave = os.openpty()
        termios.tcsetwinsize(slave, (24, width))
        environment = {k: v for k, v in os.environ.items() if k != "MKIMG_ROOT"}
        self.process = subprocess.Popen(
            [MKIMG, "--root", mkimg.root, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=slave, env={**environment, **mkimg.env})
        os.close(slave)
        self.text = ""
        self._bytes = b""

    def read(self):
        """Some more of what is written; False at the end."""
        try:
            read = os.read(self.master, 65536)
        except OSError:  # EIO: the other side is closed
            read = b""
        self._bytes += read
        self.text = self._bytes.decode(errors="ignore")
        return bool(read)

    def read_until(self, pattern):
        while not re.search(pattern, self.text):
            if not self.read():
                raise AssertionError(f"{pattern} is never said: {self.text!r}")

    def finish(self):
        """(exit status, stdout, screen)"""
        while self.read():
            pass
        os.close(self.master)
        out = self.process.stdout.read().decode()
        self.process.stdout.close()
        return self.process.wait(60), out, Screen(self.text)
