"""Which of a program's code a process has read: the pages that its page table holds."""

import os
import struct
import subprocess

PAGE = 4096
# A page that is touched brings its neighbours along, at most so many bytes (fault_around_bytes of Linux).
AROUND = 64 << 10
PRESENT = 1 << 63  # in /proc/PID/pagemap


def addresses(program, prefixes):
    """First and last address, in the file, of the functions whose names begin so; they must lie together."""
    names = subprocess.run(["nm", "-n", program], capture_output=True, text=True, check=True).stdout.split("\n")
    code = [fields for fields in map(str.split, names) if len(fields) == 3 and fields[1] == "T"]
    found = [int(address, 16) for address, _, name in code if name.startswith(prefixes)]
    return found[0], found[-1]


def mapped_pages(pid, program, first, last):
    """(pages that are mapped, pages there are) of what lies well between the two addresses."""
    with open(f"/proc/{pid}/maps") as file:
        start = next(int(line.split("-")[0], 16) for line in file if line.rstrip().endswith(os.path.realpath(program)))
    begin, end = (start + first + AROUND) // AROUND * AROUND, (start + last) // AROUND * AROUND
    with open(f"/proc/{pid}/pagemap", "rb") as file:
        file.seek(begin // PAGE * 8)
        entries = struct.unpack(f"{(end - begin) // PAGE}Q", file.read((end - begin) // PAGE * 8))
    return sum(entry & PRESENT != 0 for entry in entries), len(entries)
