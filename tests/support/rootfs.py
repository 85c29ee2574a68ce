"""Root file systems as tars: a busybox one for RUN, and arbitrary ones made entry by entry."""

import io
import shutil
import tarfile

APPLETS = (
    "[ ash awk basename cat chgrp chmod chown cp cut date dd df diff dirname du echo egrep env expr false find "
    "grep gunzip gzip head hostname id install ip kill ln ls md5sum mkdir mkfifo mknod mktemp mount mv nc od printf ps "
    "pwd readlink realpath rm rmdir sed seq sh sha256sum sleep sort stat sync tail tar tee test touch tr true "
    "truncate umount uname uniq unlink wc which whoami xargs yes").split()


def make_tar(path, entries, mtime=1_000_000_000, format=tarfile.PAX_FORMAT):
    """Writes a tar to a path or a file object. An entry is (name, content) or (name, content, {TarInfo field: value}).

    Content: bytes or str is a file, None a directory; other types are told by `type` in the fields."""
    target = {"fileobj": path} if hasattr(path, "write") else {"name": path}
    with tarfile.open(mode="w", format=format, **target) as tar:
        for name, content, *rest in entries:
            fields = rest[0] if rest else {}
            info = tarfile.TarInfo(name)
            info.mtime = mtime
            data = content.encode() if isinstance(content, str) else content
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            else:
                info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                tar.addfile(info)
            else:
                tar.addfile(info, io.BytesIO(data or b""))
    return path


def busybox_rootfs(path, extra=()):
    """A tar with /bin/busybox, hard-linked applets, the usual folders, passwd and group."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise RuntimeError("busybox is missing: apt-get install busybox-static")
    with open(busybox, "rb") as file:
        program = file.read()
    folders = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "usr/bin", "var")
    modes = {"root": 0o700, "tmp": 0o1777}
    entries = [(name, None, {"mode": modes.get(name, 0o755)}) for name in folders]
    entries.append(("bin/busybox", program, {"mode": 0o755}))
    entries += [(f"bin/{name}", b"", {"type": tarfile.LNKTYPE, "linkname": "bin/busybox", "size": 0}) for name in APPLETS]
    entries += [
        ("usr/bin/env", b"", {"type": tarfile.SYMTYPE, "linkname": "/bin/env", "size": 0}),
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
                       "app:x:1000:1000:app:/home/app:/bin/sh\n"),
        ("etc/group", "root:x:0:\nnogroup:x:65534:\napp:x:1000:\nextra:x:2000:app\n"),
        ("home/app", None, {"uid": 1000, "gid": 1000}),
    ]
    entries += list(extra)
    return make_tar(path, entries)
