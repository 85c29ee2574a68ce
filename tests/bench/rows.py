"""What is measured. A row makes a context once, then runs the same thing with each builder in turn."""

import os

SMALL_RECIPE = "FROM base\nENV GREETING=hello\nRUN echo $GREETING > /greeting\nCOPY app.txt /app/\nCMD [\"/app\"]\n"


class Row:
    base = "small"  # or "debian"
    target = None  # at most this share of the time …
    target_of = "BuildKit"  # … of this peer; nothing: of the faster ones
    builders = ("mkimg", "BuildKit", "Buildah")
    cache = True
    warm = False  # each builder builds once before, unmeasured
    fresh = False  # each round has a new store

    def __init__(self, scale):
        self.scale = scale

    def context(self, folder):
        """Writes the build context."""

    def start(self, folder, base):
        """Runs once, with a folder for what neither the builders nor the context have."""

    def stop(self):
        """Ends what start() began."""

    def ready(self, builder, base, context):
        """Prepares a builder whose store is new."""
        builder.load(base)
        if self.warm:
            builder.build(context)

    def before(self, folder, count):
        """Runs before each measured build; `count` differs each time."""

    def measure(self, builder, folder, scratch):
        return builder.build(folder, cache=self.cache)


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


class NothingToDo(Row):
    """a build with nothing to do"""

    target, warm = 1 / 5, True

    def context(self, folder):
        write(folder, "Dockerfile", SMALL_RECIPE)
        write(folder, "app.txt", "app\n")


class Small(NothingToDo):
    """the same, --no-cache"""

    target, cache, warm = 1 / 4, False, False


class ThirtySteps(Row):
    """30 RUN steps, --no-cache"""

    target, cache = 1 / 6, False

    def context(self, folder):
        write(folder, "Dockerfile", "FROM base\n" + "".join(f"RUN echo {n} > /step-{n}\n" for n in range(30)))


class ManyFiles(Row):
    """COPY of 50,000 small files, --no-cache"""

    target, cache = 1 / 3, False

    def context(self, folder):
        write(folder, "Dockerfile", "FROM base\nCOPY tree /tree\n")
        for number in range(int(50_000 * self.scale)):
            path = folder / "tree" / f"{number // 1000:02d}" / f"{number // 100 % 10}"
            if number % 100 == 0:
                path.mkdir(parents=True)
            (path / f"file-{number}").write_bytes(b"%d\n" % number * (1 + number % 200))


class ManyFilesUnchanged(ManyFiles):
    """the same, nothing changed"""

    target, cache, warm = 1 / 5, True, True


class ManyFilesOneChanged(ManyFiles):
    """the same, one file changed"""

    target, cache, warm = 1 / 3, True, True

    def before(self, folder, count):
        write(folder, "tree/00/0/file-7", f"changed {count}\n")


class CopyUsr(Row):
    """RUN cp -a /usr of a Debian base"""

    base, target, cache = "debian", 1 / 2, False

    def context(self, folder):
        write(folder, "Dockerfile", "FROM base\nRUN cp -a /usr /copy\n")


class LargeFile(Row):
    """COPY of one 1 GiB file, --no-cache"""

    target, cache = 1 / 3, False

    def context(self, folder):
        write(folder, "Dockerfile", "FROM base\nCOPY large /large\n")
        with open(folder / "large", "wb") as file:
            for _ in range(max(1, int(64 * self.scale))):
                file.write(os.urandom(16 << 20))


class Save(Row):
    """save a Debian image as a gzip OCI archive, nothing compressed before"""

    # A compressed form that was made once may be kept, so each round has a new store.
    base, fresh, target, target_of = "debian", True, 1 / 2, None

    def measure(self, builder, folder, scratch):
        archive = scratch / f"{builder.name}.tar"
        try:
            return builder.save("base", archive)
        finally:
            archive.unlink(missing_ok=True)


class Memory(Row):
    """peak memory: a 2 GiB layer committed and compressed"""

    builders, cache = ("mkimg",), False

    def context(self, folder):
        size = max(1, int(2048 * self.scale))
        write(folder, "Dockerfile", f"FROM base\nRUN dd if=/dev/urandom of=/large bs=1M count={size} 2>/dev/null\n")

    def measure(self, builder, folder, scratch):
        archive = scratch / "memory.tar"
        try:
            return builder.build(folder, cache=False, arguments=["-o", f"type=oci,dest={archive}"])
        finally:
            archive.unlink(missing_ok=True)


ROWS = {
    "nothing": NothingToDo,
    "small": Small,
    "steps": ThirtySteps,
    "files": ManyFiles,
    "files-same": ManyFilesUnchanged,
    "files-one": ManyFilesOneChanged,
    "usr": CopyUsr,
    "large": LargeFile,
    "save": Save,
    "memory": Memory,
}
