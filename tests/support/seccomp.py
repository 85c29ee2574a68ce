"""System calls that are refused to a program under test."""

import ctypes
import platform
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
SOCKET = 41 if platform.machine() == "x86_64" else 198
WRITE = 1 if platform.machine() == "x86_64" else 64


def refuse(error, *numbers):
    """Loads a seccomp filter that answers these system calls with an error."""
    def load_filter():
        instructions = [(0x20, 0, 0, 0)]  # load the number
        for i, number in enumerate(numbers):
            instructions.append((0x15, len(numbers) - i, 0, number))
        instructions += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | error)]
        program = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
        buffer = ctypes.create_string_buffer(program)
        fprog = struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(buffer))
        pr_set_seccomp, mode_filter = 22, 2
        if LIBC.prctl(pr_set_seccomp, mode_filter, fprog, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "load a seccomp filter")
    return load_filter
