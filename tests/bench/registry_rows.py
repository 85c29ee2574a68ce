"""What is measured of registries: pulls and pushes beside the peers', with a docker-registry on the bench's disk.

It speaks plain HTTP on loopback. Every round checks by digest that what arrived is what was sent."""

import json
import shutil

from base_image import archive_of
from mixed_files import MixedFiles
from rows import Row, write
from support.peers import skopeo
from support.registry import Registry
from support.registry_images import DOCKER_MANIFEST, OCI_MANIFEST
from support.rootfs import make_tar


class RegistryRow(Row):
    builders = ("mkimg", "BuildKit", "Buildah", "skopeo")

    def start(self, folder, base):
        self.registry = Registry(parent=folder)

    def stop(self):
        self.registry.close()

    def name(self, repository):
        return f"{self.registry.host()}/bench/{repository}:latest"

    def manifest(self, repository):
        """The bytes that the registry has under the name."""
        return self.registry.manifest(f"bench/{repository}", "latest", f"{OCI_MANIFEST}, {DOCKER_MANIFEST}")

    def check_image(self, builder, name, repository):
        """The builder's image and the registry's are the same one."""
        ours, theirs = builder.image_id(name), json.loads(self.manifest(repository))["config"]["digest"]
        if ours != theirs:
            raise RuntimeError(f"{builder.name} has {ours} as {name}, the registry {theirs}")


class PullBase(RegistryRow):
    """pull a Debian base"""

    # Each round has a new store, so that none has the image or any layer. Its one gzip stream was made by skopeo.
    base, fresh, target = "debian", True, 1 / 2

    def start(self, folder, base):
        super().start(folder, base)
        skopeo("copy", "-q", "--dest-tls-verify=false", f"docker-archive:{self.archive(folder, base)}",
               f"docker://{self.name('base')}")

    def archive(self, folder, base):
        return base

    def ready(self, builder, base, context):
        pass

    def measure(self, builder, folder, scratch):
        run = builder.pull(self.name("base"))
        self.check_image(builder, self.name("base"), "base")
        return run


def archive_of_layers(folder, scale):
    """An image of 30 layers of 3 MiB each."""
    files, layers = MixedFiles(), []
    for number in range(30):
        path = folder / f"layer-{number}.tar"
        contents = files.contents(int((3 << 20) * scale), number)
        layers.append(make_tar(path, ((f"layer-{number}/{name}", data) for name, data in contents)))
    archive = folder / "layers.tar"
    archive_of(archive, *layers)
    return archive


class PullLayers(PullBase):
    """pull an image of 30 layers"""

    base = "small"

    def archive(self, folder, base):
        return archive_of_layers(folder, self.scale)


class PushLayer(RegistryRow):
    """push a new layer of 150 MB"""

    # Each builder has a repository of its own, which has the base but never the layer: the files are other ones for
    # each push. They are built before it, and no builder has compressed them.
    target, target_of, cache = 1 / 2, None, False

    def context(self, folder):
        write(folder, "Dockerfile", "FROM base\nCOPY tree /tree\n")
        self.files = MixedFiles()
        self.before(folder, 0)

    def ready(self, builder, base, context):
        super().ready(builder, base, context)
        builder.build(context)
        builder.push(self.name(builder.name.lower()))

    def before(self, folder, count):
        shutil.rmtree(folder / "tree", ignore_errors=True)
        for name, data in self.files.contents(int(150_000_000 * self.scale), count):
            write(folder / "tree", name, data)

    def measure(self, builder, folder, scratch):
        repository = builder.name.lower()
        builder.build(folder, cache=False)
        run = builder.push(self.name(repository))
        self.check_image(builder, "result", repository)
        return run


class PushNothing(PushLayer):
    """push it again, with nothing new"""

    target = 1 / 4

    def before(self, folder, count):
        if count == 0:
            super().before(folder, count)

    def measure(self, builder, folder, scratch):
        repository = builder.name.lower()
        there = self.manifest(repository)
        run = builder.push(self.name(repository))
        self.check_image(builder, "result", repository)
        if self.manifest(repository) != there:
            raise RuntimeError(f"{builder.name} has pushed another manifest of the same image")
        return run


class PushNothingLayers(PushNothing):
    """the same with an image of 31 layers"""

    base = "small"

    def start(self, folder, base):
        super().start(folder, base)
        self.layers = archive_of_layers(folder, self.scale)

    def ready(self, builder, base, context):
        super().ready(builder, self.layers, context)

    def before(self, folder, count):
        write(folder / "tree", "file", b"one")


ROWS = {
    "pull-base": PullBase,
    "pull-layers": PullLayers,
    "push-layer": PushLayer,
    "push-nothing": PushNothing,
    "push-nothing-layers": PushNothingLayers,
}
