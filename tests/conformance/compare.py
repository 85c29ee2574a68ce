"""Compares two images: the tree after all layers, and the config that a container starts with.

Each function returns the differences as lines that a person can act on; none means equal."""

import collections

# Found by path at the top of a built tree although the recipe says nothing of them: builders and
# runtimes leave them behind as mount points or stubs. README.md gives the reason of each.
STUBS = frozenset(
    "dev dev/console dev/pts dev/shm dev/mqueue proc sys run run/.containerenv run/secrets .dockerenv "
    "etc/hosts etc/hostname etc/resolv.conf".split()
)


# Labels that a builder adds of its own accord.
OWN_LABELS = frozenset(["io.buildah.version"])


def describe(node):
    if node is None:
        return "absent"
    text = f"{node.kind} {node.mode:04o} {node.uid}:{node.gid}"
    if node.kind == "file":
        text += f" {node.size} bytes {node.digest[7:19]}"
    elif node.kind == "symlink":
        text += f" -> {node.target}"
    elif node.kind in ("char", "block"):
        text += f" {node.device[0]}:{node.device[1]}"
    if node.xattrs:
        text += f" {node.xattrs}"
    return text


def link_groups(tree):
    """For each path the set of all names of its file."""
    names = collections.defaultdict(set)
    for path, node in tree.items():
        names[id(node)].add(path)
    return {path: names[id(node)] for path, node in tree.items()}


def compare_trees(left, right, base=()):
    """Differences of two trees. Stubs count only where the tree `base`, of the image that both were
    built from, already has them."""
    differences = []
    groups_left, groups_right = link_groups(left), link_groups(right)
    for path in sorted(left.keys() | right.keys()):
        if path in STUBS and path not in base:
            continue
        a, b = left.get(path), right.get(path)
        if describe(a) != describe(b):
            differences.append(f"/{path}: {describe(a)} | {describe(b)}")
        elif a.kind != "dir" and groups_left[path] != groups_right[path]:
            only = sorted(groups_left[path] ^ groups_right[path])
            differences.append(f"/{path}: hard links differ in {only}")
    return differences


def _settings(config):
    inner = config.get("config") or {}
    healthcheck = inner.get("Healthcheck") or {}
    return {
        "architecture": config.get("architecture"),
        "os": config.get("os"),
        "author": config.get("author") or "",
        "Env": inner.get("Env") or [],
        "Cmd": inner.get("Cmd") or [],
        "Entrypoint": inner.get("Entrypoint") or [],
        "Labels": {k: v for k, v in (inner.get("Labels") or {}).items() if k not in OWN_LABELS},
        "ExposedPorts": sorted(inner.get("ExposedPorts") or {}),
        "Volumes": sorted(inner.get("Volumes") or {}),
        "User": inner.get("User") or "",
        "WorkingDir": inner.get("WorkingDir") or "/",
        "StopSignal": inner.get("StopSignal") or "",
        "Shell": inner.get("Shell") or [],
        "Healthcheck": {key: value for key, value in healthcheck.items() if value},
        "OnBuild": inner.get("OnBuild") or [],
    }


def compare_configs(left, right, ignore=()):
    """Differences of two image configs, in what a container or a later build sees of them."""
    a, b = _settings(left), _settings(right)
    return [f"{key}: {a[key]!r} | {b[key]!r}" for key in a if key not in ignore and a[key] != b[key]]
