"""images, inspect, history, tag, rmi, import and the command line itself."""

import json
import os
import subprocess
import tarfile
import unittest

from support import DockerArchive, MKIMG, TestCase, busybox_rootfs, digest, image_config, layer_tar, make_tar, sha256


class CommandLine(TestCase):
    def test_version_and_help(self):
        self.assertRegex(self.mkimg.ok("--version").stdout, r"\Amkimg \d+\.\d+\.\d+\n\Z")
        overview = self.mkimg.ok("help").stdout
        self.assertEqual(overview, self.mkimg.ok("--help").stdout)
        self.assertIn("\n  images ", overview)
        self.assertIn("--no-trunc", self.mkimg.ok("help", "history").stdout)
        self.assertEqual(self.mkimg.ok("help", "tag").stdout, self.mkimg.ok("tag", "--help").stdout)

    def test_every_command_of_the_overview_has_help(self):
        overview = self.mkimg.ok("help").stdout
        commands = [line.split()[0] for line in overview.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
        self.assertGreater(len(commands), 8)
        for command in commands:
            self.assertIn(f"mkimg {command} ", self.mkimg.ok("help", command).stdout)

    def test_unknown_flags_and_commands_name_the_nearest(self):
        for arguments, message in [
            (["images", "--formt", "json"], "unknown flag --formt; did you mean --format?"),
            (["images", "--formt=json"], "unknown flag --formt; did you mean --format?"),
            (["rmi", "--forse"], "unknown flag --forse; did you mean --force?"),
            (["imges"], "unknown command imges; did you mean images?"),
            (["help", "imges"], "unknown command imges; did you mean images?"),
            (["--zzzzzz", "images"], "unknown flag --zzzzzz\n"),
            (["tag", "a", "b", "c"], "unexpected argument c"),
            (["images", "--format"], "--format needs a value"),
            (["tag", "a"], "name is required"),
            ([], "a command is needed"),
        ]:
            with self.subTest(arguments):
                result = self.mkimg.fails(2, *arguments)
                self.assertIn(message, result.stderr)
                self.assertEqual(result.stdout, "")

    def test_errors_as_json_lines(self):
        for arguments in (["--log-format", "json", "rmi", "no-such", "nor-this"],
                          ["rmi", "--log-format=json", "no-such", "nor-this"]):
            lines = [json.loads(line) for line in self.mkimg.fails(1, *arguments).stderr.splitlines()]
            self.assertEqual([(line["level"], line["code"]) for line in lines], [("error", "not_found")] * 2)
            self.assertIn("no-such", lines[0]["message"])
        self.assertEqual(json.loads(self.mkimg.fails(2, "--log-format", "json", "imges").stderr)["code"], "usage")
        self.mkimg.fails(2, "--log-format", "xml", "images")

    def test_root_from_the_environment(self):
        root = self.path("elsewhere")
        environment = dict(os.environ, MKIMG_ROOT=root)
        subprocess.run([MKIMG, "images"], env=environment, check=True, stdout=subprocess.PIPE)
        self.assertTrue(os.path.exists(root + "/mkimg.db"))

    def test_a_closed_stdout_is_quiet(self):
        self.mkimg.ok("images")
        read, write = os.pipe()
        os.close(read)
        process = subprocess.run([MKIMG, "--root", self.mkimg.root, "images"], stdout=write, stderr=subprocess.PIPE,
                                 check=False)
        os.close(write)
        self.assertEqual((process.returncode, process.stderr), (1, b""))

    def test_a_full_stdout_is_not(self):
        with open("/dev/full", "wb") as full:
            process = subprocess.run([MKIMG, "--root", self.mkimg.root, "images"], stdout=full,
                                     stderr=subprocess.PIPE, check=False)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"No space left", process.stderr)


class Images(TestCase):
    def load(self, names=("app:1",), layers=None, **config):
        """Puts an image into the store by way of an archive; returns its ID."""
        layers = layers or [layer_tar([("a", "one")]), layer_tar([("b", "two")])]
        archive = DockerArchive()
        image = archive.add_image(layers, names, image_config(layers, **config))
        self.mkimg.ok("load", "-i", archive.write_tar(self.path("image.tar")))
        return image

    def names(self):
        return sorted(name for image in self.mkimg.ok("images", "--format", "json").json() for name in image["names"])

    def test_table(self):
        self.assertEqual(self.mkimg.ok("images").stdout.split(), "REPOSITORY TAG IMAGE ID CREATED SIZE".split())
        image = self.load(["localhost:5000/team/app:1.2"])
        lines = self.mkimg.ok("images").stdout.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines[1].split()[:3], ["localhost:5000/team/app", "1.2", image[7:19]])
        self.assertEqual(self.mkimg.ok("images", "-q").stdout, image[7:19] + "\n")
        self.assertEqual(self.mkimg.ok("images", "-q", "--no-trunc").stdout, image + "\n")

    def test_json(self):
        layers = [layer_tar([("a", "x" * 5000)])]
        image = self.load(["app:1", "other"], layers)
        [listed] = self.mkimg.ok("images", "--format", "json").json()
        self.assertEqual(listed["id"], image)
        self.assertEqual(sorted(listed["names"]), ["app:1", "other:latest"])
        self.assertEqual(listed["size"], len(layers[0]))
        self.assertEqual(listed["created"], "2020-01-02T03:04:05Z")
        self.assertEqual(listed["platform"], "linux/amd64")

    def test_image_without_a_name(self):
        image = self.load([])
        self.assertIn("<none>", self.mkimg.ok("images").stdout)
        self.assertEqual(self.mkimg.ok("inspect", image).json()["names"], [])

    def test_inspect(self):
        layers = [layer_tar([("a", "one")]), layer_tar([("b", "two"), ("c", "three")])]
        image = self.load(["app:1"], layers, Env=["A=b"], Cmd=["sh"])
        shown = self.mkimg.ok("inspect", "app:1").json()
        self.assertEqual(shown["id"], image)
        self.assertEqual(shown["config"], image_config(layers, Env=["A=b"], Cmd=["sh"]))
        diffs = [sha256(layer) for layer in layers]
        self.assertEqual([layer["diff_id"] for layer in shown["layers"]], diffs)
        chain = sha256(f"{diffs[0]} {diffs[1]}".encode())
        self.assertEqual([layer["chain_id"] for layer in shown["layers"]], [diffs[0], chain])
        self.assertEqual([layer["size"] for layer in shown["layers"]], [len(layer) for layer in layers])
        self.assertEqual([layer["entries"] for layer in shown["layers"]], [1, 2])
        self.assertNotIn("manifest", shown)
        self.mkimg.ok("save", "-o", self.path("out.tar"), "app:1")
        with tarfile.open(self.path("out.tar")) as tar:
            index = json.load(tar.extractfile("index.json"))
            stored = json.load(tar.extractfile("blobs/sha256/" + index["manifests"][0]["digest"][7:]))
        shown = self.mkimg.ok("inspect", "app:1").json()
        self.assertEqual(shown["manifest"], stored)
        self.assertEqual(shown["digest"], index["manifests"][0]["digest"])

    def test_inspect_by_every_kind_of_name(self):
        image = self.load(["docker.io/library/app:1"])
        for name in ("app:1", "library/app:1", "docker.io/app:1", image, image[7:], image[7:19], image[:15]):
            self.assertEqual(self.mkimg.ok("inspect", name).json()["id"], image, name)

    def test_history(self):
        layers = [layer_tar([("a", "one")]), layer_tar([("b", "two")])]
        config = image_config(layers)
        config["history"] = [
            {"created": "2020-01-01T00:00:00Z", "created_by": "ADD file"},
            {"created": "2020-01-02T00:00:00Z", "created_by": "ENV A=\u00e9" + "x" * 100, "empty_layer": True},
            {"created": "2020-01-03T00:00:00Z", "created_by": "RUN \x1b[31m&&\n\tmake", "comment": "mkimg"},
        ]
        archive = DockerArchive()
        archive.add_image(layers, ["app"], config)
        self.mkimg.ok("load", "-i", archive.write_tar(self.path("image.tar")))
        rows = self.mkimg.ok("history", "app").stdout.splitlines()
        self.assertEqual(len(rows), 4)
        self.assertIn("RUN \\x1b[31m&&  make", rows[1])
        self.assertIn("ENV A=\u00e9" + "x" * 52 + "\u2026", rows[2])
        self.assertIn("x" * 100, self.mkimg.ok("history", "--no-trunc", "app").stdout)
        shown = self.mkimg.ok("history", "--format", "json", "app").json()
        self.assertEqual([row["created_by"] for row in shown],
                         [step["created_by"] for step in reversed(config["history"])])
        self.assertEqual([row["size"] for row in shown], [len(layers[1]), 0, len(layers[0])])
        self.assertEqual([row["empty_layer"] for row in shown], [False, True, False])

    def test_tag_and_untag(self):
        image = self.load(["app:1"])
        self.mkimg.ok("tag", "app:1", "registry.example:443/team/app:v2")
        self.mkimg.ok("tag", image[7:19], "again")
        self.assertEqual(self.names(), ["again:latest", "app:1", "registry.example:443/team/app:v2"])
        self.assertEqual(self.mkimg.ok("rmi", "app:1").stdout, "Untagged: app:1\n")
        self.assertEqual(self.names(), ["again:latest", "registry.example:443/team/app:v2"])
        self.mkimg.fails(1, "rmi", image[7:19])
        self.assertEqual(len(self.names()), 2)
        self.assertIn("Deleted: " + image, self.mkimg.ok("rmi", "--force", image).stdout)
        self.assertEqual(self.names(), [])

    def test_the_last_name_takes_the_image_along(self):
        image = self.load(["app:1"])
        self.assertEqual(self.mkimg.ok("rmi", "app:1").stdout, f"Untagged: app:1\nDeleted: {image}\n")
        self.mkimg.fails(1, "inspect", image)

    def test_a_name_moves(self):
        first = self.load(["app:1"], [layer_tar([("a", "1")])])
        second = self.load(["app:1"], [layer_tar([("a", "2")])])
        self.assertEqual(self.mkimg.ok("inspect", "app:1").json()["id"], second)
        self.assertEqual(self.mkimg.ok("inspect", first).json()["names"], [])

    def test_bad_names(self):
        self.load(["app:1"])
        for name in ("UPPER", "a b", "app:", "-x:1", "app@sha256:12", "x" * 300):
            self.assertIn("error:", self.mkimg.fails(2, "tag", "app:1", "--", name).stderr)
        self.mkimg.fails(2, "tag", "app:1", "app@sha256:" + "0" * 64)
        self.assertEqual(self.names(), ["app:1"])

    def test_unknown_images_name_the_nearest(self):
        self.load(["webserver:latest", "team/tool:2"])
        self.assertIn("did you mean webserver?", self.mkimg.fails(1, "inspect", "websrver").stderr)
        self.assertIn("did you mean team/tool:2?", self.mkimg.fails(1, "history", "team/tool").stderr)
        self.assertIn("no image zzz\n", self.mkimg.fails(1, "save", "-o", self.path("out.tar"), "zzz").stderr)
        self.assertFalse(os.path.exists(self.path("out.tar")))
        self.mkimg.ok("rmi", "-f", "zzz")

    def test_rmi_goes_on_after_a_failure(self):
        self.load(["app:1"])
        result = self.mkimg.fails(1, "rmi", "missing", "app:1")
        self.assertIn("Untagged: app:1", result.stdout)
        self.assertEqual(self.names(), [])


class Import(TestCase):
    def test_the_image(self):
        rootfs = busybox_rootfs(self.path("root.tar"))
        result = self.mkimg.ok(
            "import", rootfs, "base:1", "-m", "from scratch", "-c", 'CMD ["sh", "-l"]', "-c", "ENV A=b C='d e'",
            "--change", "ENTRYPOINT exec top", "-c", "WORKDIR /srv", "-c", "WORKDIR app", "-c", "USER app", "-c",
            "EXPOSE 80 53/udp", "-c", "LABEL a=1 b=2", "-c", 'VOLUME ["/data"]', env={"SOURCE_DATE_EPOCH": "86400"})
        shown = self.mkimg.ok("inspect", "base:1").json()
        self.assertEqual(result.stdout, shown["id"] + "\n")
        config = shown["config"]
        self.assertEqual(config["rootfs"], {"type": "layers", "diff_ids": [digest(rootfs)]})
        self.assertEqual(config["created"], "1970-01-02T00:00:00Z")
        self.assertEqual(config["history"][0]["comment"], "from scratch")
        self.assertEqual(config["config"], {
            "Entrypoint": ["/bin/sh", "-c", "exec top"], "Env": ["A=b", "C=d e"],
            "WorkingDir": "/srv/app", "User": "app", "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "Labels": {"a": "1", "b": "2"}, "Volumes": {"/data": {}}, "Cmd": ["sh", "-l"]})

    def test_stdin_and_every_compression(self):
        plain = make_tar(self.path("root.tar"), [("etc/", None), ("etc/motd", "hello\n")])
        with open(plain, "rb") as file:
            data = file.read()
        ids = set()
        for command in (["cat"], ["gzip", "-9"], ["bzip2"], ["xz"], ["zstd", "-q"]):
            packed = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
            ids.add(self.mkimg.ok("import", "-", "base", stdin=packed, env={"SOURCE_DATE_EPOCH": "0"}).stdout)
        self.assertEqual(len(ids), 1)

    def test_platform(self):
        rootfs = make_tar(self.path("root.tar"), [("a", "b")])
        self.mkimg.ok("import", "--platform", "linux/arm/v7", rootfs, "base")
        config = self.mkimg.ok("inspect", "base").json()["config"]
        self.assertEqual((config["os"], config["architecture"], config["variant"]), ("linux", "arm", "v7"))

    def test_refusals(self):
        rootfs = make_tar(self.path("root.tar"), [("a", "b")])
        for change in ("RUN true", "COPY a b", "FROM x", "ARG A", "NONSENSE", "ENV"):
            self.assertIn("--change", self.mkimg.fails(2, "import", "-c", change, rootfs, "base").stderr)
        self.mkimg.fails(1, "import", self.path("missing.tar"), "base")
        self.mkimg.fails(2, "import", rootfs, "Not A Name")
        self.mkimg.fails(2, "import", "https://example.org/root.tar", "base")
        for name, data in (("empty", b""), ("text", b"hello " * 1000), ("zeros", bytes(20480))):
            self.mkimg.fails(1, "import", self.write(name, data), "base")
        self.assertEqual(self.mkimg.ok("images", "-q").stdout, "")


if __name__ == "__main__":
    unittest.main()
