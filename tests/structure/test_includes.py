"""The include rules of docs/architecture.md, checked against #include lines and CMake's link edges."""

import pathlib
import re
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A folder may include itself and these.
MAY_INCLUDE = {
    "base": set(),
    "oci": {"base"},
    "parser": {"base"},
    "layers": {"oci", "base"},
    "sandbox": {"base"},
    "registry": {"oci", "base"},
    "builder": {"parser", "layers", "sandbox", "registry", "oci", "base"},
    "cli": {"builder", "parser", "layers", "sandbox", "registry", "oci", "base"},
}

# Libraries that only some folders know.
ONLY_IN = {
    "curl/": {"registry"},
    "CLI/": {"cli"},
    "tao/": {"parser"},
    "archive": {"layers"},
    "seccomp.h": {"sandbox"},
    "sqlite3.h": {"base"},
    "openssl/": {"base"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


def include_faults(root):
    """Every #include of the sources below root that the tables forbid, as "file:line: what is wrong"."""
    faults = []
    for folder in MAY_INCLUDE:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in {".h", ".cpp"}:
                continue
            text = path.read_text()
            for match in INCLUDE.finditer(text):
                quote, name = match.groups()
                place = f"{path.relative_to(root)}:{text.count(chr(10), 0, match.start(2)) + 1}"
                top = name.split("/")[0]
                if quote == '"':
                    if "/" not in name or top not in MAY_INCLUDE:
                        faults.append(f'{place}: "{name}" is not named from the root')
                    elif top != folder and top not in MAY_INCLUDE[folder]:
                        faults.append(f"{place}: {folder}/ may not include {top}/")
                else:
                    for library, folders in ONLY_IN.items():
                        if name.startswith(library) and folder not in folders:
                            faults.append(f"{place}: only {', '.join(sorted(folders))} may include <{name}>")
    return faults


def link_faults(text):
    """Link edges of a CMakeLists.txt between the folders' libraries that the table forbids."""
    faults = []
    calls = re.findall(r"mkimg_library\(\s*(\w+)([^)]*)\)", text)
    calls += [("cli", rest) for rest in re.findall(r"target_link_libraries\(\s*mkimg\s([^)]*)\)", text)]
    for folder, rest in calls:
        if folder not in MAY_INCLUDE:
            faults.append(f"mkimg_library({folder}): not in the table of folders")
            continue
        for other in re.findall(r"\bmkimg_(\w+)", rest):
            if other not in {"options", folder} | MAY_INCLUDE[folder]:
                faults.append(f"{folder} may not link mkimg_{other}")
    return faults


class IncludeRules(unittest.TestCase):
    def test_sources_follow_the_table(self):
        self.assertEqual(include_faults(ROOT), [])

    def test_link_edges_follow_the_table(self):
        text = (ROOT / "CMakeLists.txt").read_text()
        self.assertGreaterEqual(len(re.findall(r"mkimg_library\(", text)), 6)
        self.assertEqual(link_faults(text), [])

    def test_a_forbidden_include_is_found(self):
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            for folder in MAY_INCLUDE:
                (root / folder).mkdir()
            (root / "base/a.h").write_text('#pragma once\n#include <string>\n#include "oci/digest.h"\n')
            (root / "layers/b.cpp").write_text('#include "layers/b.h"\n#include "sandbox/sandbox.h"\n')
            (root / "cli/c.cpp").write_text('#include "c.h"\n  #  include <curl/curl.h>\n#include "base/fd.h"\n')
            self.assertEqual(
                include_faults(root),
                [
                    "base/a.h:3: base/ may not include oci/",
                    "layers/b.cpp:2: layers/ may not include sandbox/",
                    'cli/c.cpp:1: "c.h" is not named from the root',
                    "cli/c.cpp:2: only registry may include <curl/curl.h>",
                ],
            )

    def test_a_forbidden_link_edge_is_found(self):
        text = """
            mkimg_library(base PRIVATE OpenSSL::Crypto mkimg_oci)
            mkimg_library(parser PUBLIC mkimg_base
                          PRIVATE mkimg_layers)
            target_link_libraries(mkimg PRIVATE mkimg_builder mkimg_options)
        """
        self.assertEqual(link_faults(text), ["base may not link mkimg_oci", "parser may not link mkimg_layers"])


if __name__ == "__main__":
    unittest.main()
