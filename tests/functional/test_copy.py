"""COPY and ADD through the program. What is expected is what BuildKit makes of the same recipe
(docs/copy.md has the table, and the few places where mkimg differs on purpose)."""

import gzip
import io
import lzma
import os
import tarfile
import time
import unittest

from support.mkimg import TestCase

TYPES = {tarfile.REGTYPE: "-", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h", tarfile.FIFOTYPE: "p"}


def archive(*entries):
    """A tar of (name, mode, content) with owner 5:6; content None is a directory, "->x" a link to x."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, mode, content in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid, info.mtime = mode, 5, 6, 1500000000
            data = (content or "").encode()
            if content is None:
                info.type = tarfile.DIRTYPE
            elif content.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, content[2:]
            else:
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return out.getvalue()


class CopyTestCase(TestCase):
    def setUp(self):
        super().setUp()
        self.file("a", "A")
        self.file("b", "B", 0o600)
        self.file("c.txt", "C")
        self.file("[b]x", "X")
        self.file("name with blank", "N")
        self.file("dir/f", "F")
        self.file("dir/.hid", "H")
        self.file("dir/sub/g", "G", 0o755)
        os.symlink("f", self.path("context/dir/link"))
        os.chmod(self.path("context/dir/sub"), 0o711)
        os.chmod(self.path("context/dir"), 0o750)
        self.file("d2/y.txt", "Y")
        os.symlink("a", self.path("context/to_a"))
        os.symlink("/dir", self.path("context/to_dir"))
        # What an image may hold already.
        self.file("tree/file", "old")
        self.file("tree/d1/in", "in")
        os.chmod(self.path("context/tree/d1"), 0o700)
        for name, target in (("ls", "/d1"), ("lf", "file"), ("ldang", "/made"), ("lup", "../../..//d1/deep"), ("loop", "loop")):
            os.symlink(target, self.path("context/tree", name))

    def file(self, name, content, mode=0o644):
        self.write("context/" + name, content, mode)

    def try_build(self, recipe, ignore="", *options):
        # The recipe lies outside of the context, so that COPY of everything doesn't see it.
        recipe = self.write("recipe", "FROM scratch\n" + recipe + "\n")
        self.write("recipe.dockerignore", ignore)
        return self.mkimg.run("build", "-f", recipe, *options, "-o", "type=tar,dest=" + self.path("out.tar"),
                              self.path("context"))

    def tree(self, recipe, ignore="", *options):
        """{path: "type mode owner content"} of the built root."""
        result = self.try_build(recipe, ignore, *options)
        self.assertEqual(result.status, 0, str(result))
        found = {}
        with tarfile.open(self.path("out.tar"), errors="surrogateescape") as tar:
            for entry in tar:
                content = ""
                if entry.isreg():
                    content = " " + tar.extractfile(entry).read().decode()
                elif entry.issym() or entry.islnk():
                    content = " " + entry.linkname
                kind = TYPES[entry.type]
                mode = "" if kind == "l" else f" {entry.mode:o}"
                found[entry.name] = f"{kind}{mode} {entry.uid}:{entry.gid}{content}"
        return found

    def assert_tree(self, recipe, expected, ignore=""):
        self.assertEqual(self.tree(recipe, ignore), expected, recipe)

    def assert_fails(self, recipe, status, *messages, ignore=""):
        result = self.try_build(recipe, ignore)
        self.assertEqual(result.status, status, str(result))
        for message in messages:
            self.assertIn(message, result.stderr)


D = "d 755 0:0"
DIR = {"f": "- 644 0:0 F", ".hid": "- 644 0:0 H", "link": "l 0:0 f", "sub": "d 711 0:0", "sub/g": "- 755 0:0 G"}


def below(directory, entries):
    return {directory: D, **{f"{directory}/{name}": value for name, value in entries.items()}}


class TargetTest(CopyTestCase):
    def test_files(self):
        self.assert_tree("COPY a new", {"new": "- 644 0:0 A"})
        self.assert_tree("COPY a x/", {"x": D, "x/a": "- 644 0:0 A"})
        self.assert_tree("WORKDIR /w\nCOPY a .", {"w": D, "w/a": "- 644 0:0 A"})
        self.assert_tree("COPY a b /x/", {"x": D, "x/a": "- 644 0:0 A", "x/b": "- 600 0:0 B"})
        self.assert_tree("COPY a /x/.", {"x": "- 644 0:0 A"})
        self.assert_tree("COPY a /x/y/..", {"x": "- 644 0:0 A"})
        self.assert_tree('COPY ["name with blank", "/x y/"]', {"x y": D, "x y/name with blank": "- 644 0:0 N"})
        self.assert_tree("COPY a a2\nCOPY b a2", {"a2": "- 600 0:0 B"})

    def test_directories(self):
        for recipe in ("COPY dir x", "COPY dir/ x/", "COPY dir/. /x", "COPY d?r /x/", "COPY to_dir /x", "COPY to_dir/ x"):
            self.assert_tree(recipe, below("x", DIR))
        self.assert_tree("COPY dir .", DIR)
        self.assert_tree("COPY dir /", DIR)
        self.assertIn("x/tree/d1/in", self.tree("COPY . /x"))
        self.assertIn("x/tree/d1/in", self.tree('COPY ["", "/x/"]'))

    def test_sources(self):
        for recipe in ("COPY ../a /x/", "COPY /a /x/", "COPY dir/../../a /x/", "COPY a/ /x/", "COPY a a /x/"):
            self.assert_tree(recipe, {"x": D, "x/a": "- 644 0:0 A"})
        self.assert_tree("COPY to_a /x/", {"x": D, "x/to_a": "- 644 0:0 A"})
        self.assert_tree("COPY to_dir/f /x/", {"x": D, "x/f": "- 644 0:0 F"})
        self.assert_tree("COPY [[]b]x /x/", {"x": D, "x/[b]x": "- 644 0:0 X"})
        self.assert_tree("COPY *.txt d2/*.txt *.none /x/", {"x": D, "x/c.txt": "- 644 0:0 C", "x/y.txt": "- 644 0:0 Y"})
        self.assert_tree("COPY d* x", {**below("x", DIR), "x/y.txt": "- 644 0:0 Y"})

    def test_names_are_bytes(self):
        with open(os.path.join(self.path("context").encode(), b"n\xffu"), "wb") as file:
            file.write(b"bytes")
        self.assert_tree("COPY n?u /x/", {"x": D, "x/n\udcffu": "- 644 0:0 bytes"})

    def test_merging(self):
        base = self.tree("COPY tree /")
        self.assertEqual(base["d1"], "d 700 0:0")
        self.file("over/d1/new", "new")
        os.chmod(self.path("context/over/d1"), 0o777)
        self.assert_tree("COPY tree /\nCOPY over /", {**base, "d1": "d 777 0:0", "d1/new": "- 644 0:0 new"})
        self.assert_tree("COPY tree /\nCOPY over/d1 /d1", {**base, "d1/new": "- 644 0:0 new"})
        for target in ("/d1", "/d1/", "/ls", "/ls/"):
            self.assert_tree("COPY tree /\nCOPY a " + target, {**base, "d1/a": "- 644 0:0 A"})
        self.assert_tree("COPY tree /\nCOPY a /ls/n", {**base, "d1/n": "- 644 0:0 A"})
        self.assert_tree("COPY tree /\nCOPY a /lf", {**base, "file": "- 644 0:0 A"})
        self.assert_tree("COPY tree /\nCOPY a /ldang", {**base, "made": "- 644 0:0 A"})
        self.assert_tree("COPY tree /\nCOPY a /ldang/", {**base, "made": D, "made/a": "- 644 0:0 A"})
        self.assert_tree("COPY tree /\nCOPY a /lup/x", {**base, "d1/deep": D, "d1/deep/x": "- 644 0:0 A"})
        self.assert_tree("COPY tree /\nCOPY dir /ldang", {**base, **below("made", DIR)})
        self.file("links/ls", "now a file")
        self.assert_tree("COPY tree /\nCOPY links /", {**base, "ls": "- 644 0:0 now a file"})

    def test_conflicts(self):
        self.file("one/file/z", "a directory over a file")
        self.file("two/d1", "a file over a directory")
        self.file("three/ls/q", "a directory over a symlink")
        for copy, message in (("one /", "cannot copy a directory to non-directory: /file"),
                              ("two /", "cannot replace the directory /d1 with a file"),
                              ("three /", "cannot copy a directory to non-directory: /ls"),
                              ("dir /file", "/file exists and is not a directory"),
                              ("a /file/x", "/file exists and is not a directory"),
                              ("a /loop/x", "too many levels of symbolic links")):
            self.assert_fails("COPY tree /\nCOPY " + copy, 1, message, "recipe:3")

    def test_refusals(self):
        self.assert_fails("COPY a b dst", 2, "2 sources", "recipe:2")
        self.assert_fails("COPY [ab] dst", 2, "several files", "recipe:2")
        self.assert_fails("COPY nope /x/", 1, "COPY nope: not in the context", "recipe:2")
        self.assert_fails("COPY *.none /x/", 1, "COPY *.none: no file matches", "recipe:2")
        self.assert_fails("COPY [a /x/", 2, "recipe:2")
        self.assert_fails("COPY --chmod=rwx a /x/", 2, "--chmod=rwx", "recipe:2")
        self.assert_fails("COPY --chown=nobody-here a /x/", 1, "nobody-here", "recipe:2")


class MetadataTest(CopyTestCase):
    def test_owners_and_modes(self):
        os.chown(self.path("context/a"), 7, 8)
        self.file("suid", "s", 0o4755)
        self.assert_tree("COPY a suid /x/", {"x": D, "x/a": "- 644 0:0 A", "x/suid": "- 4755 0:0 s"})
        self.assert_tree("COPY --chown=11:12 a /p/q/r", {"p": "d 755 11:12", "p/q": "d 755 11:12", "p/q/r": "- 644 11:12 A"})
        self.assert_tree("COPY --chown=11 to_dir/sub /p/", {"p": "d 755 11:11", "p/g": "- 755 11:11 G"})
        self.assert_tree("COPY --chmod=640 dir /p/", below("p", {
            "f": "- 640 0:0 F", ".hid": "- 640 0:0 H", "link": "l 0:0 f", "sub": "d 640 0:0", "sub/g": "- 640 0:0 G"}))
        self.assert_tree("COPY --chmod=u=rwX,go= dir/sub b /p/", below("p", {"g": "- 700 0:0 G", "b": "- 600 0:0 B"}))

    def test_names_from_the_image(self):
        self.file("etc/passwd", "app:x:41:42::/:/bin/sh\n")
        self.file("etc/group", "app:x:42:\nweb:x:43:\n")
        made = self.tree("COPY etc /etc/\nCOPY --chown=app:web a /one\nCOPY --chown=app a /two\nCOPY --chown=41 a /three")
        self.assertEqual([made["one"], made["two"], made["three"]], ["- 644 41:43 A", "- 644 41:42 A", "- 644 41:41 A"])

    def test_another_stage_keeps_its_owners(self):
        stage = "COPY --chown=21:22 --chmod=6750 a /k/\nFROM scratch\n"
        self.assert_tree(stage + "COPY --from=0 /k /z", {"z": D, "z/a": "- 6750 21:22 A"})
        self.assert_tree(stage + "COPY --from=0 --chown=31:32 /k/a /y/", {"y": "d 755 31:32", "y/a": "- 6750 31:32 A"})
        self.assert_fails(stage + "COPY --from=0 /nope /z", 1, "COPY /nope: not in the image", "recipe:4")
        self.assert_tree("COPY tree /\nFROM scratch\nCOPY --from=0 /ls /x", {"x": D, "x/in": "- 644 0:0 in"})

    def test_hard_links_and_fifos(self):
        self.file("h/1", "same")
        os.link(self.path("context/h/1"), self.path("context/h/2"))
        os.mkfifo(self.path("context/h/3"), 0o640)
        os.chmod(self.path("context/h/3"), 0o640)
        expected = {"x": D, "x/1": "- 644 0:0 same", "x/2": "h 644 0:0 x/1", "x/3": "p 640 0:0"}
        self.assert_tree("COPY h /x/", expected)
        self.assert_tree("COPY h /y/\nFROM scratch\nCOPY --from=0 /y /x", expected)
        self.assert_tree("COPY h/1 h/2 /x/", {"x": D, "x/1": "- 644 0:0 same", "x/2": "- 644 0:0 same"})

    def test_times(self):
        os.utime(self.path("context/dir/f"), (1234567890, 1234567890))
        os.utime(self.path("context/dir/sub"), (1234567891, 1234567891))
        result = self.try_build("COPY dir /x/", "", "--source-date-epoch", "1300000000")
        self.assertEqual(result.status, 0, str(result))
        with tarfile.open(self.path("out.tar")) as tar:
            times = {entry.name: entry.mtime for entry in tar}
        self.assertEqual(times["x/f"], 1234567890)
        self.assertEqual(times["x/sub"], 1234567891)
        self.assertEqual(times["x/.hid"], 1300000000)  # younger than the epoch
        self.assertEqual(times["x"], 1300000000)       # made by the build


class IgnoreTest(CopyTestCase):
    def test_what_is_ignored_is_not_there(self):
        g = {"g": "- 755 0:0 G"}
        self.assert_tree("COPY dir /x", below("x", {"sub": "d 711 0:0", "sub/g": "- 755 0:0 G"}), "dir\n!dir/sub/g\n")
        self.assert_tree("COPY dir/* /x/", {"x": D, "x/.hid": "- 644 0:0 H", **below("x", g)}, "**/f\n**/link\n")
        self.assert_tree("COPY d2 /x", {"x": D}, "d2/**\n")
        self.assert_fails("COPY dir/f /x", 1, "not in the context; `", "recipe.dockerignore:2` (`dir`) excludes it",
                          ignore="# comment\ndir\n!dir/sub\n")
        self.assert_fails("COPY to_a /x", 1, "leads to a", "recipe.dockerignore:1`", ignore="a\n")
        self.assert_fails("COPY *.txt /x/", 1, "recipe.dockerignore:1` (`*.txt`) excludes it", ignore="*.txt\n")


class AddTest(CopyTestCase):
    TAR = archive(("d", 0o750, None), ("d/in", 0o4755, "in"), ("d/l", 0o777, "->in"))
    UNPACKED = {"x": D, "x/d": "d 750 5:6", "x/d/in": "- 4755 5:6 in", "x/d/l": "l 5:6 in"}

    def test_archives_by_content(self):
        for name, data in (("plain", self.TAR), ("a.tgz", gzip.compress(self.TAR)), ("whatever", lzma.compress(self.TAR))):
            self.file(name, data)
            self.assert_tree(f"ADD {name} /x/", self.UNPACKED)
            self.assert_tree(f"ADD {name} /x", self.UNPACKED)
        os.symlink("plain", self.path("context/link"))
        self.assert_tree("ADD link /x/", self.UNPACKED)
        self.assert_tree("ADD --chown=7:8 --chmod=600 plain /x/", {**self.UNPACKED, "x": "d 755 7:8"})
        self.assert_tree("ADD plain a /x/", {**self.UNPACKED, "x/a": "- 644 0:0 A"})
        self.assertEqual(sorted(self.tree("COPY plain /x/")), ["x", "x/plain"])

    def test_everything_else_is_copied(self):
        self.file("text.gz", gzip.compress(b"text"))
        self.file("cut.tar", self.TAR[:100])
        self.file("zeros.tar", bytes(10240))
        self.file("empty.tar", "")
        self.file("holder/a.tar", self.TAR)
        result = self.try_build("ADD text.gz cut.tar zeros.tar empty.tar holder /x/")
        self.assertEqual(result.status, 0, str(result))
        with tarfile.open(self.path("out.tar")) as tar:
            self.assertEqual(sorted(tar.getnames()),
                             ["x", "x/a.tar", "x/cut.tar", "x/empty.tar", "x/text.gz", "x/zeros.tar"])

    def test_merges_into_the_image(self):
        self.file("t.tar", archive(("ls/new", 0o644, "new"), ("d1/in", 0o600, "changed")))
        made = self.tree("COPY tree /\nADD t.tar /")
        self.assertEqual(made["d1/new"], "- 644 5:6 new")
        self.assertEqual(made["d1/in"], "- 600 5:6 changed")
        self.assert_fails("COPY a /f\nADD t.tar /f", 1, "/f exists and is not a directory", "recipe:3")

    def test_a_broken_archive(self):
        self.file("broken.tar", self.TAR[:1024])
        self.assert_fails("ADD broken.tar /x/", 1, "broken.tar", "recipe:2")


class HeredocTest(CopyTestCase):
    def test_files(self):
        self.assert_tree("COPY <<EOF /etc/conf\nkey=1\nEOF", {"etc": D, "etc/conf": "- 644 0:0 key=1\n"})
        self.assert_tree("COPY --chmod=755 <<one a <<two /x/\n1\none\n2\ntwo",
                         {"x": D, "x/one": "- 755 0:0 1\n", "x/two": "- 755 0:0 2\n", "x/a": "- 755 0:0 A"})


class CacheTest(CopyTestCase):
    def steps(self, recipe, ignore=""):
        """How many of the steps that change files ran."""
        result = self.try_build(recipe, ignore)
        self.assertEqual(result.status, 0, str(result))
        return result.stderr.count("DONE")

    def test_what_counts(self):
        recipe = "COPY dir /x/\nCOPY a /a"
        self.assertEqual(self.steps(recipe), 2)
        self.assertEqual(self.steps(recipe), 0)
        os.utime(self.path("context/dir/f"), (1, 1))
        os.chown(self.path("context/dir/f"), 5, 5)
        self.file("unrelated", "new")
        self.assertEqual(self.steps(recipe), 0)
        for change in (lambda: self.file("dir/f", "changed"), lambda: self.file("dir/new", ""),
                       lambda: os.chmod(self.path("context/dir/f"), 0o600),
                       lambda: os.symlink("g", self.path("context/dir/sub/l")),
                       lambda: os.setxattr(self.path("context/dir/f"), "user.x", b"1"),
                       lambda: os.rename(self.path("context/dir/f"), self.path("context/dir/f2"))):
            change()
            self.assertEqual(self.steps(recipe), 2)
            self.assertEqual(self.steps(recipe), 0)

    def test_a_change_of_the_same_size_and_time_is_seen(self):
        recipe = "COPY dir /x/"
        self.file("dir/f", "1")
        os.utime(self.path("context/dir/f"), (1000, 1000))
        time.sleep(2.1)  # older files are known by their stat alone
        self.steps(recipe)
        self.assertEqual(self.steps(recipe), 0)
        self.file("dir/f", "2")
        os.utime(self.path("context/dir/f"), (1000, 1000))
        self.assertEqual(self.steps(recipe), 1)
        self.assertEqual(self.tree(recipe)["x/f"], "- 644 0:0 2")

    def test_ignored_files_dont_count(self):
        recipe = "COPY . /x/"
        self.steps(recipe, "**/*.log\n")
        self.file("dir/sub/noise.log", "noise")
        self.assertEqual(self.steps(recipe, "**/*.log\n"), 0)


if __name__ == "__main__":
    unittest.main()
