"""The cases of recipes/: a build context each, with what the harness must know of it in `.case/`.

.case/prepare            a shell script run in a copy of the context: makes what git can't hold
.case/first.Dockerfile   built before, as the image `first`
.case/oracle.Dockerfile  the same result written with older features, for oracles that lack the newer ones
.case/options.json       {"arguments": [...], "fails": true,
                          "without": {oracle: reason}, "except": {oracle: {path or setting: reason}},
                          "unsupported": what mkimg's refusal must name, where it does not do this yet}"""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess

RECIPES = pathlib.Path(__file__).resolve().parent / "recipes"
KNOWN = {"arguments", "fails", "without", "except", "unsupported"}


@dataclasses.dataclass
class Case:
    name: str
    folder: pathlib.Path
    arguments: list
    fails: bool
    without: dict
    exceptions: dict
    unsupported: str

    def control(self, name):
        """A file of .case/, or nothing."""
        path = self.folder / ".case" / name
        return path if path.exists() else None

    def context(self, target):
        """Makes the build context at `target`, with modes that don't depend on how it was checked out."""
        shutil.copytree(self.folder, target, ignore=lambda folder, _: [".case"] if folder == str(self.folder) else [])
        for base, _, files in os.walk(target):
            os.chmod(base, 0o755)
            for name in files:
                path = os.path.join(base, name)
                os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)
        if script := self.control("prepare"):
            subprocess.run(["sh", "-euc", "umask 022; . \"$0\"", str(script)], cwd=target, check=True)
        return target

    def build_arguments(self, context):
        return [argument.replace("{context}", str(context)) for argument in self.arguments]


def load(folder):
    path = folder / ".case" / "options.json"
    options = json.loads(path.read_text()) if path.exists() else {}
    if unknown := options.keys() - KNOWN:
        raise ValueError(f"{path}: unknown {sorted(unknown)}")
    return Case(
        folder.name, folder, options.get("arguments", []), options.get("fails", False), options.get("without", {}),
        options.get("except", {}), options.get("unsupported", ""))


def all_cases():
    return [load(folder) for folder in sorted(RECIPES.iterdir())]
