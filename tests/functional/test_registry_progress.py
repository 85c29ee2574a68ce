"""What pull, push, run and save tell of transfers: on a terminal, in a pipe, as JSON; images that are not fetched."""

import json
import os
import signal
import subprocess
import tarfile
import unittest

from support import MKIMG, Mkimg, layer_tar
from support.builds import base_tar
from support.http_server import cut, drip, reset, silence
from support.registry_case import RegistryTestCase, authority
from support.registry_images import Image, noise
from support.terminal import Terminal

SIZE = r"\d+(\.\d)? [KM]?i?B"


class ProgressTestCase(RegistryTestCase):
    """`large` comes slowly, `small` at once."""

    def setUp(self):
        super().setUp()
        self.mkimg = Mkimg(self.mkimg.root, self.mkimg.env)  # without --debug: nothing but progress is said
        self.registry = self.serve()
        with open(base_tar(), "rb") as file:
            self.image = self.registry.add("app", "1", Image([file.read(), layer_tar([("large", noise(600_000))])]))
        self.small, self.large = (layer[7:19] for layer in self.image.layers)
        self.name = self.registry.host() + "/app:1"

    def slow_down(self):
        self.registry.fault("GET", self.image.layers[1], drip(0.01, 10_000), times=None)

    def unfetched(self, name="lazy"):
        """An image of the store whose layers are in the registry still."""
        self.write("context/Dockerfile", f"FROM {self.name}\nENV A=1\n")
        self.mkimg.ok("build", "-q", "-t", name, self.path("context"))
        self.assertEqual(self.registry.seen("GET", self.image.layers[0]), [])
        return name

    def check_transfers(self, said, verb="pulled"):
        """Each layer's line as it is in a pipe, and no other. Returns what is left."""
        lines = said.splitlines()
        for layer in (self.small, self.large):
            [line] = [line for line in lines if layer in line]
            self.assertRegex(line, rf"^{verb} {layer}  {SIZE} in [\d.]+ m?s(, {SIZE}/s)?$")
            lines.remove(line)
        return lines


class Pull(ProgressTestCase):
    def test_on_a_terminal(self):
        self.slow_down()
        terminal = Terminal(self.mkimg, "pull", self.name)
        terminal.read_until(rf"⠿ pulling {self.large}  {SIZE} of 586\.\d KiB  {SIZE}/s  \d+ s left\r\n")
        status, out, screen = terminal.finish()
        self.assertEqual((status, out), (0, self.image.id + "\n"))
        # Of what ran nothing is left, of what ended a line each.
        self.assertEqual(len(screen.lines), 3, screen.lines)
        for layer in (self.small, self.large):
            self.assertRegex("\n".join(screen.lines), rf"(?m)^ ✔ pulled {layer}  {SIZE} in [\d.]+ m?s")
        self.assertEqual(screen.lines[2], f"pulled {self.name}@{self.image.digest}")

    def test_lines_fit_the_terminal(self):
        self.slow_down()
        terminal = Terminal(self.mkimg, "pull", self.name, width=30)
        terminal.read_until(rf"⠿ pulling {self.large}")
        _, _, screen = terminal.finish()
        lines = [line for line in terminal.text.replace("\x1b[J", "\n").splitlines() if "⠿" in line or "✔" in line]
        self.assertLess(max(map(len, lines)), 30)
        self.assertFalse([line for line in screen.lines if "⠿" in line])

    def test_in_a_pipe(self):
        result = self.mkimg.ok("pull", self.name)
        self.assertEqual(result.stdout, self.image.id + "\n")
        self.assertEqual(self.check_transfers(result.stderr), [f"pulled {self.name}@{self.image.digest}"])
        again = self.mkimg.ok("pull", f"{self.registry.host()}/app@{self.image.digest}")
        self.assertEqual(again.stderr, f"{self.registry.host()}/app@{self.image.digest} is here already\n")

    def test_kinds(self):
        self.assertIn(" ✔ pulled " + self.large, self.mkimg.ok("pull", "--progress", "tty", self.name).stderr)
        other = Mkimg(self.path("other"), self.mkimg.env)
        terminal = Terminal(other, "pull", "--progress", "plain", self.name)
        status, _, screen = terminal.finish()
        self.assertEqual((status, "\x1b" in terminal.text), (0, False))
        self.check_transfers("\n".join(screen.lines))
        for quiet in (["-q"], ["--progress", "quiet"]):
            terminal = Terminal(Mkimg(self.path("quiet" + quiet[0]), self.mkimg.env), "pull", *quiet, self.name)
            self.assertEqual((terminal.finish()[:2], terminal.text), ((0, self.image.id + "\n"), ""))
        self.assertIn("auto, tty, plain or quiet", self.mkimg.fails(2, "pull", "--progress", "loud", self.name).stderr)

    def test_json_is_alone_on_stdout(self):
        terminal = Terminal(self.mkimg, "pull", "--format", "json", self.name)
        status, out, screen = terminal.finish()
        self.assertEqual((status, json.loads(out)[0]["image"]), (0, self.image.id))
        self.assertIn("pulled " + self.large, "\n".join(screen.lines))

    def test_a_transfer_that_fails(self):
        self.registry.fault("GET", self.image.layers[1], cut(100_000))
        self.registry.fault("GET", self.image.layers[1], reset, times=None)
        terminal = Terminal(self.mkimg, "pull", self.name)
        status, out, screen = terminal.finish()
        self.assertEqual((status, out), (1, ""))
        self.assertRegex("\n".join(screen.lines), rf"(?m)^ ✘ pulling {self.large}  {SIZE} of 586\.\d KiB, failed")
        self.assertFalse([line for line in screen.lines if "⠿" in line])
        self.assertTrue([line for line in screen.lines if line.startswith("error:")])

    def test_an_interrupt_clears_the_terminal(self):
        self.registry.fault("GET", self.image.layers[1], silence(100_000), times=None)
        terminal = Terminal(self.mkimg, "pull", self.name)
        terminal.read_until("⠿ pulling " + self.large)
        terminal.process.send_signal(signal.SIGINT)
        status, out, screen = terminal.finish()
        self.assertEqual((status, out), (130, ""))
        self.assertFalse([line for line in screen.lines if "⠿" in line])


class Push(ProgressTestCase):
    def setUp(self):
        super().setUp()
        self.mkimg.ok("pull", "-q", self.name)
        self.other = self.serve()

    def test_in_a_pipe(self):
        target = self.other.host() + "/app:1"
        result = self.mkimg.ok("push", self.name, target)
        self.assertEqual(result.stdout, self.image.digest + "\n")
        rest = self.check_transfers(result.stderr, "pushed")
        self.assertRegex(rest[0], rf"^pushed {self.image.id[7:19]}  ")
        self.assertEqual(rest[1:], [f"pushed {target}@{self.image.digest}"])
        again = self.mkimg.ok("push", self.name, target)
        self.assertEqual(again.stderr, f"nothing to push: the registry has {target}@{self.image.digest}\n")

    def test_what_is_there_and_what_is_mounted(self):
        self.other.blobs["app"] = {self.image.layers[0]: self.image.blobs[self.image.layers[0]]}
        said = self.mkimg.ok("push", self.name, self.other.host() + "/app:1").stderr
        self.assertRegex(said, rf"(?m)^{self.small}  {SIZE} is there already$")
        said = self.mkimg.ok("push", self.name, self.registry.host() + "/elsewhere:1").stderr
        self.assertRegex(said, rf"(?m)^{self.large}  {SIZE} mounted from another repository$")

    def test_on_a_terminal(self):
        terminal = Terminal(self.mkimg, "push", "--format", "json", self.name, self.other.host() + "/app:1")
        status, out, screen = terminal.finish()
        self.assertEqual((status, json.loads(out)["digest"]), (0, self.image.digest))
        self.assertEqual(len(screen.lines), 4, screen.lines)
        for line in screen.lines[:3]:
            self.assertRegex(line, rf"^ ✔ pushed [0-9a-f]{{12}}  {SIZE} in ")


class Build(ProgressTestCase):
    def build(self):
        self.write("context/Dockerfile", f"FROM {self.name}\nRUN echo made > /made\n")
        return ["build", "-t", "app", self.path("context")]

    def test_on_a_terminal(self):
        self.slow_down()
        terminal = Terminal(self.mkimg, *self.build())
        # The step waits for its base: both are shown, and neither stays.
        terminal.read_until(rf"⠿ +[\d.]+ s \[0 1/1\] RUN echo made > /made\r\n ⠿ pulling {self.large}  ")
        status, _, screen = terminal.finish()
        self.assertEqual(status, 0)
        self.assertFalse([line for line in screen.lines if "⠿" in line])
        self.assertRegex(screen.lines[0], rf"^ ✔ pulled {self.small}  {SIZE} in ")
        self.assertRegex(screen.lines[1], rf"^ ✔ pulled {self.large}  {SIZE} in ")
        self.assertRegex(screen.lines[2], r"^ ✔ +[\d.]+ s \[0 1/1\] RUN echo made > /made$")

    def test_in_a_pipe(self):
        rest = self.check_transfers(self.mkimg.ok(*self.build()).stderr)
        self.assertEqual(rest[0], "#1 [0 1/1] RUN echo made > /made")
        self.assertRegex(rest[1], r"^#1 DONE [\d.]+ s$")

    def test_quietly(self):
        result = self.mkimg.ok(*self.build(), "-q")
        self.assertRegex(result.stdout, r"^sha256:[0-9a-f]{64}\n$")
        self.assertEqual(result.stderr, "")


class Unfetched(ProgressTestCase):
    """Images whose layers are in the registry still."""

    def test_images_and_inspect_say_so(self):
        name = self.unfetched()
        self.assertRegex(self.mkimg.ok("images", name).stdout, r"2 layers not fetched\n$")
        [shown] = self.mkimg.ok("images", "--format", "json", name).json()
        self.assertEqual((shown["size"], shown["layers_missing"]), (0, 2))
        layers = self.mkimg.ok("inspect", name).json()["layers"]
        for layer, described in zip(layers, self.image.manifest["layers"]):
            self.assertEqual(layer["origins"], [{
                "repository": self.registry.host() + "/app", "digest": described["digest"], "size": described["size"],
                "media_type": described["mediaType"]}])
            self.assertNotIn("size", layer)
        self.assertEqual(self.registry.seen("GET", self.image.layers[0]), [])
        self.mkimg.ok("pull", "-q", self.name)
        [shown] = self.mkimg.ok("images", "--format", "json", name).json()
        self.assertEqual((shown["size"] > 600_000, shown["layers_missing"]), (True, 0))
        self.assertNotIn("not fetched", self.mkimg.ok("images").stdout)
        self.assertNotIn("origins", self.mkimg.ok("inspect", name).json()["layers"][0])

    def test_some_layers_are_here(self):
        with open(base_tar(), "rb") as file:
            self.registry.add("app", "base", Image([file.read()]))
        self.mkimg.ok("pull", "-q", self.registry.host() + "/app:base")
        self.write("context/Dockerfile", f"FROM {self.name}\nENV A=1\n")
        self.mkimg.ok("build", "-q", "-t", "half", self.path("context"))
        self.assertRegex(self.mkimg.ok("images", "half").stdout, rf"{SIZE}, 1 layer not fetched\n$")

    def test_run_fetches_and_says_so(self):
        name = self.unfetched()
        result = self.mkimg.ok("run", "--entrypoint", "echo", name, "hello")
        self.assertEqual(result.stdout, "hello\n")
        self.assertEqual(self.check_transfers(result.stderr), [])
        again = self.mkimg.ok("run", "--entrypoint", "echo", name, "hello")
        self.assertEqual((again.stdout, again.stderr), ("hello\n", ""))

    def test_run_on_a_terminal_leaves_it_to_the_command(self):
        self.slow_down()
        terminal = Terminal(self.mkimg, "run", "--entrypoint", "sh", self.unfetched(), "-c", "echo said >&2")
        terminal.read_until("⠿ pulling " + self.large)
        status, out, screen = terminal.finish()
        self.assertEqual((status, out, len(screen.lines), screen.lines[-1]), (0, "", 3, "said"))

    def test_quietly(self):
        for option in (["-q"], ["--progress", "quiet"]):
            mkimg = self.mkimg = Mkimg(self.path("store" + option[0]), self.mkimg.env)
            self.registry.forget()
            self.assertEqual(mkimg.ok("run", *option, "--entrypoint", "true", self.unfetched()).stderr, "")
            mkimg = self.mkimg = Mkimg(self.path("saved" + option[0]), self.mkimg.env)
            self.registry.forget()
            self.assertEqual(mkimg.ok("save", *option, "-o", self.path("a.tar"), self.unfetched()).stderr, "")

    def test_save_fetches_and_says_so(self):
        self.unfetched()
        with open(self.path("a.tar"), "wb") as archive:
            process = subprocess.run([MKIMG, "--root", self.mkimg.root, "save", "lazy"], stdout=archive, stderr=subprocess.PIPE,
                                     env={**os.environ, **self.mkimg.env}, check=True, text=True)
        self.assertEqual(self.check_transfers(process.stderr), [])
        with tarfile.open(self.path("a.tar")) as archive:
            self.assertIn("index.json", archive.getnames())

    def test_whom_to_trust(self):
        """What the build was told on its command line must be told to whoever fetches later."""
        secure = self.serve_tls()
        secure.add("app", "1", self.image)
        self.registry, self.name = secure, secure.host() + "/app:1"
        trust = ["--registry-ca", authority().ca]
        for command in (["run", "--entrypoint", "true"], ["save", "-o", self.path("a.tar")]):
            self.mkimg = Mkimg(self.path("store-" + command[0]), self.mkimg.env)
            secure.forget()
            self.write("context/Dockerfile", f"FROM {self.name}\nENV A=1\n")
            self.mkimg.ok("build", "-q", "-t", "lazy", *trust, self.path("context"))
            self.assertIn("certificate", self.mkimg.fails(1, *command, "lazy").stderr)
            self.check_transfers(self.mkimg.ok(*command, *trust, "lazy").stderr)

    def test_an_interrupt_ends_the_fetch(self):
        self.registry.fault("GET", self.image.layers[1], silence(100_000), times=None)
        name = self.unfetched()
        for command in (["run", "--entrypoint", "true", name], ["save", "-o", self.path("a.tar"), name]):
            self.registry.forget()
            terminal = Terminal(self.mkimg, *command)
            terminal.read_until("⠿ pulling " + self.large)
            terminal.process.send_signal(signal.SIGINT)
            status, out, screen = terminal.finish()
            self.assertEqual((status, out), (130, ""), screen.lines)
            self.assertFalse([line for line in screen.lines if "⠿" in line])
            self.assertFalse(os.path.exists(self.path("a.tar")))

    def test_signals_are_the_commands_after_a_fetch(self):
        terminal = Terminal(self.mkimg, "run", "--entrypoint", "sh", self.unfetched(), "-c",
                            "trap 'echo caught; exit 7' TERM; echo ready >&2; while :; do sleep 0.05; done")
        terminal.read_until("ready")
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.finish()[:2], (7, "caught\n"))


if __name__ == "__main__":
    unittest.main()
