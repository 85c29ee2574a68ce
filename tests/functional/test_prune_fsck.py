"""prune and fsck as commands; what they do to a store is tested with the layers."""

import os
import re
import unittest

from support import DockerArchive, TestCase, layer_tar


class StoreCase(TestCase):
    def setUp(self):
        super().setUp()
        self.kept = self.load("kept", [layer_tar([("a", os.urandom(50_000))])])

    def load(self, name, layers):
        archive = DockerArchive()
        image = archive.add_image(layers, [name])
        self.mkimg.ok("load", "-i", archive.write_tar(self.path("image.tar")))
        return image

    def damage(self, image):
        path = os.path.join(self.mkimg.root, "blobs/sha256", image[7:])
        with open(path, "r+b") as file:
            file.seek(20)
            file.write(b"\0")


class Prune(StoreCase):
    def test_asks_before_it_removes(self):
        self.assertIn("--force", self.mkimg.fails(2, "prune").stderr)

    def test_what_goes_and_what_stays(self):
        gone = self.load("gone", [layer_tar([("b", os.urandom(80_000))])])
        self.mkimg.ok("rmi", "gone")
        files = self.files_below(self.mkimg.root + "/layers")
        would = self.mkimg.ok("prune", "-a", "--dry-run").stdout
        self.assertRegex(would, r"\AWould free [\d.]+ KiB: 0 images, 1 layer, ")
        self.assertEqual(self.files_below(self.mkimg.root + "/layers"), files)
        freed = self.mkimg.ok("prune", "-a", "-f").stdout
        self.assertEqual(freed, would.replace("Would free", "Freed"))
        self.assertLess(len(self.files_below(self.mkimg.root + "/layers")), len(files))
        self.mkimg.fails(1, "inspect", gone)
        self.mkimg.ok("save", "-o", self.path("out.tar"), "kept")
        self.mkimg.ok("fsck")

    def test_images_that_lost_their_name(self):
        self.load("kept", [layer_tar([("b", "other")])])
        self.assertIn("Deleted: " + self.kept, self.mkimg.ok("prune", "-f").stdout)
        self.mkimg.fails(1, "inspect", self.kept)

    def test_ages_and_sizes(self):
        for arguments in (["--older-than", "1.5h"], ["--older-than", "4w"], ["--max-size", "10GB"],
                          ["--max-size", "1.5 GiB"], ["--max-size", "0"], ["--blobs"]):
            self.mkimg.ok("prune", "-f", *arguments)
        for arguments in (["--older-than", "soon"], ["--older-than", "5"], ["--older-than", "-1h"], ["--max-size", "big"],
                          ["--max-size", "1.2.3G"], ["--max-size", "99999999999999999999"], ["--max-size", "1."],
                          ["--max-size", "99999999999999TiB"]):
            self.mkimg.fails(2, "prune", "-f", *arguments)
        self.mkimg.ok("inspect", "kept")


class Fsck(StoreCase):
    def test_a_sound_store(self):
        self.assertEqual(self.mkimg.ok("fsck").stdout, "The store is sound.\n")
        self.assertEqual(self.mkimg.ok("fsck", "--format", "json").json(), [])

    def test_damage_is_found_and_repaired(self):
        self.damage(self.kept)
        result = self.mkimg.fails(1, "fsck")
        self.assertIn(f"damage: blob {self.kept}: does not match its digest\n", result.stdout)
        self.assertIn("fsck --repair", result.stderr)
        findings = self.mkimg.fails(1, "fsck", "--format", "json").json()
        self.assertIn(("damage", "blob " + self.kept, False),
                      [(finding["kind"], finding["subject"], finding["repaired"]) for finding in findings])
        repaired = self.mkimg.ok("fsck", "--repair").stdout
        self.assertTrue(all(line.endswith(" (repaired)") for line in repaired.splitlines()), repaired)
        self.assertEqual(self.mkimg.ok("fsck").stdout, "The store is sound.\n")
        self.mkimg.fails(1, "inspect", "kept")

    def test_a_damaged_image_is_not_used(self):
        self.damage(self.kept)
        for command in (["inspect", "kept"], ["history", "kept"], ["save", "-o", self.path("out.tar"), "kept"]):
            self.assertRegex(self.mkimg.fails(1, *command).stderr, re.escape(self.kept))
        self.assertFalse(os.path.exists(self.path("out.tar")))

    def test_rubbish_is_no_fault(self):
        self.write("store/blobs/sha256/" + "0" * 64, "left over")
        self.assertIn("rubbish", self.mkimg.ok("fsck").stdout)


if __name__ == "__main__":
    unittest.main()
