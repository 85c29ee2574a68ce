"""save, load and the archives that other tools make and read."""

import gzip
import hashlib
import io
import json
import os
import resource
import signal
import subprocess
import tarfile
import unittest

from support import MKIMG, DockerArchive, Mkimg, OciArchive, TestCase, busybox_rootfs, digest, image_config, layer_tar, sha256
from support.archives import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, encode

LAYERS = [layer_tar([("etc/", None), ("etc/a", "one"), ("gone", "x")]), layer_tar([("etc/b", "two"), (".wh.gone", "")])]


def members(path):
    with tarfile.open(path) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}


def skopeo(*arguments):
    return subprocess.run(["skopeo", "--insecure-policy", *arguments], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE).stdout


class ArchiveCase(TestCase):
    def load(self, archive, *arguments, **keywords):
        return self.mkimg.ok("load", "-i", archive.write_tar(self.path("in.tar")), *arguments, **keywords)

    def save(self, *arguments, name="out.tar"):
        self.mkimg.ok("save", "-o", self.path(name), *arguments)
        return self.path(name)

    def base(self, *names):
        """A busybox image in the store; its ID."""
        rootfs = busybox_rootfs(self.path("root.tar"))
        return self.mkimg.ok("import", rootfs, *(names or ["base:1"]), "-c", "ENV A=b",
                             env={"SOURCE_DATE_EPOCH": "86400"}).stdout.strip()

    def other_store(self):
        return Mkimg(self.path("other-store"))


class OciLayouts(ArchiveCase):
    def test_is_what_the_specification_says(self):
        image = self.base()
        files = members(self.save("base:1"))
        self.assertEqual(json.loads(files["oci-layout"]), {"imageLayoutVersion": "1.0.0"})
        index = json.loads(files["index.json"])
        self.assertEqual((index["schemaVersion"], index["mediaType"]), (2, OCI_INDEX))
        [entry] = index["manifests"]
        self.assertEqual(entry["mediaType"], OCI_MANIFEST)
        self.assertEqual(entry["annotations"], {"io.containerd.image.name": "docker.io/library/base:1",
                                                "org.opencontainers.image.ref.name": "1"})
        self.assertEqual(entry["platform"], {"os": "linux", "architecture": "amd64"})
        for name, data in files.items():
            if name.startswith("blobs/"):
                self.assertEqual(name, "blobs/sha256/" + hashlib.sha256(data).hexdigest())

        def blob(descriptor):
            data = files["blobs/sha256/" + descriptor["digest"][7:]]
            self.assertEqual(len(data), descriptor["size"])
            return data
        manifest = json.loads(blob(entry))
        self.assertEqual((manifest["schemaVersion"], manifest["mediaType"]), (2, OCI_MANIFEST))
        self.assertEqual((manifest["config"]["mediaType"], manifest["config"]["digest"]), (OCI_CONFIG, image))
        [layer] = manifest["layers"]
        self.assertEqual(layer["mediaType"], OCI_LAYER + "+gzip")
        self.assertEqual(sha256(gzip.decompress(blob(layer))), digest(self.path("root.tar")))
        self.assertEqual(json.loads(blob(manifest["config"]))["rootfs"]["diff_ids"], [digest(self.path("root.tar"))])
        self.assertEqual(len(files), 5)

    def test_same_image_same_bytes(self):
        self.base()
        first = digest(self.save("base:1", name="1.tar"))
        blobs = self.files_below(self.mkimg.root + "/blobs")
        self.assertEqual(digest(self.save("base:1", name="2.tar")), first)
        # The second one has compressed nothing and stored nothing.
        self.assertEqual(self.files_below(self.mkimg.root + "/blobs"), blobs)
        again = self.other_store()
        again.ok("import", self.path("root.tar"), "base:1", "-c", "ENV A=b", env={"SOURCE_DATE_EPOCH": "86400"})
        again.ok("save", "-o", self.path("3.tar"), "base:1", cwd="/")
        self.assertEqual(digest(self.path("3.tar")), first)
        self.assertEqual(sha256(self.mkimg.ok("save", "base:1").raw), first)

    def test_headers_say_nothing_about_this_host(self):
        self.base()
        with tarfile.open(self.save("base:1")) as tar:
            for info in tar:
                self.assertEqual((info.mtime, info.uid, info.gid, info.uname, info.gname, info.pax_headers),
                                 (0, 0, 0, "", "", {}))
                self.assertEqual(info.mode, 0o755 if info.isdir() else 0o644)

    def test_skopeo_reads_it(self):
        image = self.base("team/base:1")
        path = self.save("team/base:1")
        shown = json.loads(skopeo("inspect", "--config", "--raw", f"oci-archive:{path}"))
        self.assertEqual(shown["config"]["Env"], ["A=b"])
        self.assertEqual(shown, json.loads(skopeo("inspect", "--config", "--raw", f"oci-archive:{path}:1")))
        self.assertEqual(sha256(skopeo("inspect", "--config", "--raw", f"oci-archive:{path}")), image)
        skopeo("copy", f"oci-archive:{path}", f"oci-archive:{self.path('copy.tar')}:team/base:1")
        self.assertEqual(self.other_store().ok("load", "-i", self.path("copy.tar")).stdout, "Loaded image: team/base:1\n")
        self.assertEqual(self.other_store().ok("inspect", "team/base:1").json()["id"], image)

    def test_umoci_unpacks_the_same_tree(self):
        self.load_two_layers()
        skopeo("copy", f"oci-archive:{self.save('app:1')}", f"oci:{self.path('layout')}:latest")
        subprocess.run(["umoci", "unpack", "--image", self.path("layout") + ":latest", self.path("bundle")], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tree = self.path("bundle/rootfs")
        self.assertEqual([path[len(tree):] for path in self.files_below(tree)], ["/etc/a", "/etc/b"])

    def load_two_layers(self):
        archive = OciArchive()
        archive.add_image(LAYERS, "docker.io/library/app:1")
        self.load(archive)

    def test_layers_keep_the_form_they_came_in(self):
        archive = OciArchive()
        archive.add_image(LAYERS, "docker.io/library/app:1")
        self.load(archive)
        layers = {"blobs/sha256/" + sha256(gzip.compress(layer, mtime=0))[7:] for layer in LAYERS}
        self.assertLess(layers, set(members(self.save("app:1"))))

    def test_names(self):
        self.load_two_layers()
        self.mkimg.ok("tag", "app:1", "other/app:2")
        image = self.mkimg.ok("inspect", "app:1").json()["id"]

        def refs(*arguments):
            index = json.loads(members(self.save(*arguments))["index.json"])
            return [entry.get("annotations", {}).get("io.containerd.image.name") for entry in index["manifests"]]
        self.assertEqual(refs("app:1"), ["docker.io/library/app:1"])
        self.assertEqual(refs("app:1", "other/app:2"), ["docker.io/library/app:1", "docker.io/other/app:2"])
        self.assertEqual(refs(image), [None])

    def test_several_images_share_blobs(self):
        archive = OciArchive()
        archive.add_image(LAYERS[:1], "docker.io/library/one:1")
        archive.add_image(LAYERS, "docker.io/library/two:1")
        self.assertEqual(self.load(archive).stdout, "Loaded image: one:1\nLoaded image: two:1\n")
        files = members(self.save("one:1", "two:1"))
        # 2 layers, 2 configs, 2 manifests
        self.assertEqual(len([name for name in files if name.startswith("blobs/")]), 6)
        other = self.other_store()
        other.ok("load", "-i", self.path("out.tar"))
        self.assertEqual(sorted(i["names"][0] for i in other.ok("images", "--format", "json").json()), ["one:1", "two:1"])

    def test_an_image_without_layers(self):
        archive = OciArchive()
        archive.add_image([], "docker.io/library/empty:1")
        self.load(archive)
        files = members(self.save("empty:1"))
        self.assertEqual(len(files), 4)


class Loading(ArchiveCase):
    def test_every_compression_and_stdin(self):
        archive = OciArchive()
        archive.add_image(LAYERS, "docker.io/library/app:1")
        plain = archive.write_tar(self.path("in.tar"))
        with open(plain, "rb") as file:
            data = file.read()
        for command in (["cat"], ["gzip"], ["zstd", "-q"], ["xz"], ["bzip2"]):
            with self.subTest(command):
                packed = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
                self.assertEqual(self.mkimg.ok("load", stdin=packed).stdout, "Loaded image: app:1\n")
                self.mkimg.ok("load", "-i", self.write("packed", packed))

    def test_layers_of_every_compression(self):
        zstd = subprocess.run(["zstd", "-q"], input=LAYERS[0], stdout=subprocess.PIPE, check=True).stdout
        for media_type, data in ((OCI_LAYER, LAYERS[0]), (OCI_LAYER + "+gzip", gzip.compress(LAYERS[0])),
                                 (OCI_LAYER + "+zstd", zstd),
                                 ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip.compress(LAYERS[0]))):
            with self.subTest(media_type):
                archive = OciArchive()
                config = image_config(LAYERS[:1], A=media_type)
                manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": archive.describe(OCI_CONFIG, config),
                            "layers": [archive.describe(media_type, data)]}
                archive.index["manifests"].append(archive.describe(OCI_MANIFEST, manifest))
                self.assertIn(sha256(encode(config)), self.load(archive).stdout)

    def test_the_host_s_platform_of_an_index(self):
        def archive_for(*platforms):
            archive = OciArchive()
            manifests = []
            for os_name, architecture in platforms:
                manifest = archive.manifest(LAYERS, image_config(LAYERS, (os_name, architecture)))
                manifests.append(archive.describe(OCI_MANIFEST, manifest,
                                                  platform={"os": os_name, "architecture": architecture}))
            nested = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
            archive.index["manifests"].append(archive.describe(
                OCI_INDEX, nested, annotations={"io.containerd.image.name": "docker.io/library/app:1"}))
            return archive
        host = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        self.load(archive_for(("linux", "s390x"), ("linux", host), ("unknown", "unknown")))
        self.assertEqual(self.mkimg.ok("inspect", "app:1").json()["platform"], "linux/" + host)
        foreign = archive_for(("linux", "s390x"), ("windows", host)).write_tar(self.path("foreign.tar"))
        stderr = self.mkimg.fails(1, "load", "-i", foreign).stderr
        self.assertIn("no image for linux/" + host, stderr)
        self.assertIn("linux/s390x, windows/" + host, stderr)
        self.mkimg.ok("load", "-i", foreign, "--platform", "linux/s390x")
        self.assertEqual(self.mkimg.ok("inspect", "app:1").json()["platform"], "linux/s390x")

    def test_the_best_variant_of_an_index(self):
        archive = OciArchive()
        for variant in ("v5", "v6", "v7"):
            config = {**image_config(LAYERS, ("linux", "arm")), "variant": variant}
            archive.add_image(LAYERS, "docker.io/library/app:1", config)
            archive.index["manifests"][-1]["platform"] = {"os": "linux", "architecture": "arm", "variant": variant}
        path = archive.write_tar(self.path("in.tar"))
        for wanted, expected in (("arm/v6", "v6"), ("arm/v7", "v7"), ("arm/v8", "v7")):
            self.mkimg.ok("load", "-i", path, "--platform", "linux/" + wanted)
            self.assertEqual(self.mkimg.ok("inspect", "app:1").json()["config"]["variant"], expected, wanted)
        self.mkimg.fails(1, "load", "-i", path, "--platform", "linux/arm/v4")

    def test_attestations_are_no_images(self):
        archive = OciArchive()
        archive.add_image(LAYERS, "docker.io/library/app:1")
        archive.index["manifests"].append(archive.describe(
            OCI_MANIFEST, archive.manifest([]), platform={"os": "unknown", "architecture": "unknown"},
            annotations={"vnd.docker.reference.type": "attestation-manifest"}))
        self.assertEqual(self.load(archive).stdout, "Loaded image: app:1\n")

    def test_docker_archives_old_and_new(self):
        for old in (True, False):
            with self.subTest(old=old):
                archive = DockerArchive(old)
                image = archive.add_image(LAYERS, ["app:1", "localhost:5000/app:2"])
                self.assertEqual(self.load(archive).stdout, "Loaded image: app:1\nLoaded image: localhost:5000/app:2\n")
                self.assertEqual(self.mkimg.ok("inspect", "localhost:5000/app:2").json()["id"], image)

    def test_docker_archive_with_shared_layers_as_links(self):
        archive = DockerArchive()
        image = archive.add_image(LAYERS, ["app:1"])
        [first, second] = archive.manifest[0]["Layers"]
        for hard, target in ((False, "../" + first), (True, first)):
            archive.extra.clear()
            archive.link("f" * 64 + "/layer.tar", target, hard)
            archive.manifest[0]["Layers"] = ["f" * 64 + "/layer.tar", second]
            archive.files.pop("manifest.json", None)
            self.load(archive)
            self.assertEqual(self.mkimg.ok("inspect", "app:1").json()["id"], image)
            self.mkimg.ok("rmi", "app:1")

    def test_what_skopeo_saves(self):
        image = self.base()
        docker = self.save("--format", "docker", "base:1")
        skopeo("copy", f"docker-archive:{docker}", f"docker-archive:{self.path('copy.tar')}:base:1")
        other = self.other_store()
        self.assertEqual(other.ok("load", "-i", self.path("copy.tar")).stdout, "Loaded image: base:1\n")
        self.assertEqual(other.ok("inspect", "base:1").json()["id"], image)
        # From one kind to the other skopeo writes the config anew, in its own order.
        skopeo("copy", f"docker-archive:{docker}", f"oci-archive:{self.path('oci.tar')}:base:2")
        other.ok("load", "-i", self.path("oci.tar"))
        shown, known = other.ok("inspect", "base:2").json(), other.ok("inspect", "base:1").json()
        self.assertEqual(shown["config"], known["config"])
        self.assertEqual([layer["chain_id"] for layer in shown["layers"]],
                         [layer["chain_id"] for layer in known["layers"]])

    def test_loading_again_writes_no_layer(self):
        archive = OciArchive()
        archive.add_image(LAYERS, "docker.io/library/app:1")
        self.load(archive)
        before = self.files_below(self.mkimg.root + "/layers") + self.files_below(self.mkimg.root + "/blobs")
        self.load(archive)
        self.assertEqual(self.files_below(self.mkimg.root + "/layers") + self.files_below(self.mkimg.root + "/blobs"),
                         before)


class Bases(ArchiveCase):
    """FROM an archive: which image of it is meant."""

    def base_of(self, spec, status=0, cwd=None):
        context = os.path.dirname(self.write("context/Dockerfile", f"FROM {spec}\nLABEL built=yes\n"))
        if status:
            return self.mkimg.fails(status, "build", context, cwd=cwd).stderr
        image = self.mkimg.ok("build", "-q", context, cwd=cwd).stdout.strip()
        return self.mkimg.ok("inspect", image).json()["config"]["config"]["Env"]

    def test_oci(self):
        archive = OciArchive()
        one = archive.add_image(LAYERS, "one", image_config(LAYERS, Env=["N=1"]))
        archive.add_image(LAYERS, "reg.example:5000/team/two:2", image_config(LAYERS, Env=["N=2"]))
        for path, prefix in ((archive.write_tar(self.path("a:b.tar")), "oci-archive:"),
                             (archive.write_dir(self.path("lay:out")), "oci-layout://")):
            self.assertEqual(self.base_of(f"{prefix}{path}:one"), ["N=1"])
            self.assertEqual(self.base_of(f"{prefix}{path}:2"), ["N=2"])
            self.assertEqual(self.base_of(f"{prefix}{path}:reg.example:5000/team/two:2"), ["N=2"])
            self.assertEqual(self.base_of(f"{prefix}{path}@{one['digest']}"), ["N=1"])
            self.assertEqual(self.base_of(f"{prefix}{os.path.basename(path)}:one", cwd=self.dir), ["N=1"])
            stderr = self.base_of(f"{prefix}{path}", 1)
            self.assertIn("several images", stderr)
            self.assertIn("one, reg.example:5000/team/two:2", stderr)
            self.assertIn("no image three", self.base_of(f"{prefix}{path}:three", 1))
            self.assertIn("no image @sha256:00", self.base_of(f"{prefix}{path}@sha256:{'0' * 64}", 1))
        self.assertIn("does not exist", self.base_of(f"oci-archive:{self.path('missing')}:one", 1))

    def test_docker(self):
        archive = DockerArchive()
        archive.add_image(LAYERS, ["one:1", "uno:1"], image_config(LAYERS, Env=["N=1"]))
        archive.add_image(LAYERS, ["team/two"], image_config(LAYERS, Env=["N=2"]))
        path = archive.write_tar(self.path("a.tar"))
        self.assertEqual(self.base_of(f"docker-archive:{path}:uno:1"), ["N=1"])
        self.assertEqual(self.base_of(f"docker-archive:{path}:team/two:latest"), ["N=2"])
        stderr = self.base_of(f"docker-archive:{path}", 1)
        self.assertIn("2 images", stderr)
        self.assertIn("one:1, uno:1, team/two", stderr)

    def test_a_layout_s_links_stay_inside(self):
        archive = OciArchive()
        archive.add_image(LAYERS, "one", image_config(LAYERS, Env=["N=1"]))
        layout = archive.write_dir(self.path("layout"))
        os.rename(layout + "/index.json", self.path("index.json"))
        os.symlink(self.path("index.json"), layout + "/index.json")
        self.assertIn("lacks index.json", self.base_of(f"oci-layout://{layout}", 1))
        os.unlink(layout + "/index.json")
        os.mkfifo(layout + "/index.json")
        self.assertIn("no regular file", self.base_of(f"oci-layout://{layout}", 1))

    def test_the_second_time_no_layer_is_read(self):
        archive = OciArchive()
        archive.add_image(LAYERS, "one", image_config(LAYERS, Env=["N=1"]))
        layout = archive.write_dir(self.path("layout"))
        self.base_of(f"oci-layout://{layout}")
        for layer in LAYERS:
            blob = layout + "/blobs/" + sha256(gzip.compress(layer, mtime=0)).replace(":", "/")
            os.truncate(blob, 0)
            os.truncate(blob, len(gzip.compress(layer, mtime=0)))
        self.assertEqual(self.base_of(f"oci-layout://{layout}"), ["N=1"])
        self.mkimg.ok("fsck")


class DockerArchives(ArchiveCase):
    def test_is_what_docker_load_reads(self):
        image = self.base()
        self.mkimg.ok("tag", "base:1", "reg.example/team/base:2")
        files = members(self.save("--format", "docker", "base:1", "reg.example/team/base:2"))
        [entry] = json.loads(files["manifest.json"])
        self.assertEqual(entry["RepoTags"], ["base:1", "reg.example/team/base:2"])
        self.assertEqual(sha256(files[entry["Config"]]), image)
        self.assertEqual(entry["Config"], image[7:] + ".json")
        self.assertEqual([sha256(files[path]) for path in entry["Layers"]], [digest(self.path("root.tar"))])
        self.assertEqual(len(files), 3)
        other = self.other_store()
        other.ok("load", "-i", self.path("out.tar"))
        self.assertEqual(other.ok("inspect", "reg.example/team/base:2").json()["id"], image)

    def test_skopeo_reads_it(self):
        self.base()
        path = self.save("--format", "docker", "base:1")
        config = json.loads(skopeo("inspect", "--config", "--raw", f"docker-archive:{path}:base:1"))
        self.assertEqual(config["config"]["Env"], ["A=b"])
        self.assertEqual(config["rootfs"]["diff_ids"], [digest(self.path("root.tar"))])

    def test_same_image_same_bytes(self):
        self.base()
        first = self.save("--format", "docker", "base:1", name="1.tar")
        second = self.save("--format", "docker", "base:1", name="2.tar")
        self.assertEqual(digest(first), digest(second))


class Destinations(ArchiveCase):
    def test_a_directory_is_left_alone(self):
        self.base()
        os.mkdir(self.path("dir"))
        self.assertIn("is a directory", self.mkimg.fails(1, "save", "-o", self.path("dir"), "base:1").stderr)
        self.mkimg.fails(1, "save", "-o", self.path("missing/out.tar"), "base:1")

    def test_an_old_file_stays_until_the_new_one_is_whole(self):
        self.base()
        path = self.write("out.tar", "old")
        self.mkimg.fails(1, "save", "-o", path, "base:1", "no-such-image")
        self.assertEqual(digest(path), sha256(b"old"))
        self.mkimg.ok("save", "-o", path, "base:1")
        self.assertIn("index.json", members(path))
        os.symlink(path, self.path("link.tar"))
        self.mkimg.ok("save", "--format", "docker", "-o", self.path("link.tar"), "base:1")
        self.assertTrue(os.path.islink(self.path("link.tar")))
        self.assertIn("manifest.json", members(path))

    def test_the_umask_counts(self):
        self.base()
        for umask in (0o022, 0o077):
            path = self.path(f"{umask}.tar")
            subprocess.run(["sh", "-c", f"umask {umask:o}; exec \"$@\"", "sh", MKIMG, "--root", self.mkimg.root, "save",
                            "-o", path, "base:1"], check=True)
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o666 & ~umask)

    def test_devices_and_pipes_are_written_as_they_are(self):
        self.base()
        self.mkimg.ok("save", "-o", "/dev/null", "base:1")
        os.mkfifo(self.path("fifo"))
        with subprocess.Popen(["sha256sum", self.path("fifo")], stdout=subprocess.PIPE) as reader:
            self.mkimg.ok("save", "-o", self.path("fifo"), "base:1")
            piped = reader.stdout.read().split()[0].decode()
        self.assertEqual("sha256:" + piped, digest(self.save("base:1")))
        with open(self.path("appended"), "ab") as file:
            subprocess.run([MKIMG, "--root", self.mkimg.root, "save", "base:1"], stdout=file, check=True)
        self.assertEqual(digest(self.path("appended")), digest(self.path("out.tar")))

    def test_not_to_a_terminal(self):
        self.base()
        master, slave = os.openpty()
        process = subprocess.run([MKIMG, "--root", self.mkimg.root, "save", "base:1"], stdout=slave,
                                 stderr=subprocess.PIPE, check=False)
        os.close(slave)
        os.close(master)
        self.assertEqual(process.returncode, 2)
        self.assertIn(b"terminal", process.stderr)

    def test_a_reader_that_goes_away(self):
        self.base()
        with subprocess.Popen([MKIMG, "--root", self.mkimg.root, "save", "--format", "docker", "base:1"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            process.stdout.read(10)
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
            self.assertEqual(process.wait(), 1)

    def test_a_full_disk_leaves_nothing(self):
        self.base()
        self.assertGreater(os.stat(self.save("base:1")).st_size, 1 << 19)
        full = self.path("full")
        os.mkdir(full)
        # A file size limit fails in the same place as a full disk, with EFBIG.
        for limit, expected in ((None, "No space left on device"), (1 << 18, "File too large")):
            result = self.in_small_tmpfs(full, limit)
            self.assertEqual(result.returncode, 1, result)
            self.assertIn(expected, result.stderr)
            self.assertEqual(result.stdout, "")  # what ls shows

    def in_small_tmpfs(self, directory, limit):
        """Saves into a tmpfs of 256 KiB that lives in a mount namespace of its own, then lists it."""
        script = ('mount -t tmpfs -o size=256k none "$1" || exit 99; shift 1; d=$1; shift; "$@"; '
                  'status=$?; ls -A "$d"; exit $status')
        prefix = ["unshare", "--mount", "sh", "-c", script, "sh", directory, directory]
        if limit:
            prefix = ["sh", "-c", 'd=$1; shift; "$@"; status=$?; ls -A "$d"; exit $status', "sh", directory]

        def before():
            if limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        return subprocess.run([*prefix, MKIMG, "--root", self.mkimg.root, "save", "-o", directory + "/out.tar", "base:1"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              preexec_fn=before, restore_signals=False)


if __name__ == "__main__":
    unittest.main()
