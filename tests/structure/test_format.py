"""Every C++ source is as clang-format leaves it."""

import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ["base", "oci", "parser", "layers", "sandbox", "registry", "builder", "cli", "tests"]


def sources():
    return sorted(
        path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in {".h", ".cpp"}
    )


def unformatted(text, name):
    """What clang-format says of the text, as if it were the file `name` of the project."""
    run = subprocess.run(
        ["clang-format-14", "--dry-run", "-Werror", f"--assume-filename={name}"],
        input=text, capture_output=True, text=True, check=False, cwd=ROOT,
    )
    return run.stderr


class Format(unittest.TestCase):
    def test_every_source_is_formatted(self):
        files = sources()
        self.assertGreater(len(files), 20)
        run = subprocess.run(
            ["clang-format-14", "--dry-run", "-Werror", *map(str, files)], capture_output=True, text=True, check=False
        )
        self.assertEqual(run.stderr, "")
        self.assertEqual(run.returncode, 0)

    def test_a_badly_formatted_text_is_found(self):
        self.assertEqual(unformatted("int main() {\n    return 0;\n}\n", ROOT / "base/x.cpp"), "")
        self.assertIn("clang-format-violations", unformatted("int  main(){return 0;}\n", ROOT / "base/x.cpp"))


if __name__ == "__main__":
    unittest.main()
