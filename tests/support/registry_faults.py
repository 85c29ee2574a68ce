"""Ways in which registries misbehave when an image is pulled: each with its verdict. And images that lie."""

import copy
import email.utils
import functools
import gzip
import time
import zlib
from dataclasses import dataclass, field

from . import http_server as http
from .archives import encode, layer_tar, sha256
from .registry_images import (DOCKER_LAYER, DOCKER_MANIFEST, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Image, Index, noise)

LARGE, SMALL = layer_tar([("large", noise(400_000))]), layer_tar([("etc/", None), ("etc/small", "x")])
MANIFEST = "/manifests/"


@functools.cache
def image():
    return Image([LARGE, SMALL], "plain")


def layer():
    return "/blobs/" + image().layers[0]


def config():
    return "/blobs/" + image().id


@dataclass
class Case:
    """A pull of app:1. `status` 0: the image must come whole in spite of it; else it must fail with these words."""

    name: str
    faults: list = field(default_factory=list)
    status: int = 0
    words: tuple = ()
    image: object = image
    reference: str = ":1"
    settings: dict = field(default_factory=dict)
    at_most: int = 64 << 20  # bytes that the registry may get rid of
    tries: tuple = None      # (method, path, how often it is asked)


def fault(method, path, action, **keywords):
    return lambda: http.Fault(method, path() if callable(path) else path, action, **keywords)


def always(method, path, action, **keywords):
    return fault(method, path, action, times=None, **keywords)


def in_a_second(request, reply):
    return http.Reply(429, {"Retry-After": email.utils.formatdate(time.time() + 1, usegmt=True)})


# Trouble that passes: the pull goes on.
PASSING = [
    *[Case(f"{status} once for a {what}", [fault("GET", path, http.instead(status))])
      for status in (408, 500, 502, 503, 504) for what, path in (("manifest", MANIFEST), ("layer", layer))],
    Case("503 twice", [fault("GET", layer, http.instead(503), times=2)], tries=("GET", layer, 3)),
    Case("429, Retry-After in seconds", [fault("GET", MANIFEST, http.instead(429, {"Retry-After": "1"}))]),
    Case("429, Retry-After as a date", [fault("GET", layer, in_a_second)]),
    Case("429, a date long ago", [fault("GET", layer, http.instead(429, {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}))]),
    Case("429, Retry-After that is none", [fault("GET", MANIFEST, http.instead(429, {"Retry-After": "soon"}))]),
    Case("reset when connecting", [fault("CONNECT", "", None)]),
    Case("reset instead of a manifest", [fault("GET", MANIFEST, http.reset)]),
    Case("end instead of a manifest", [fault("GET", MANIFEST, http.hang_up)]),
    Case("reset instead of a layer", [fault("GET", layer, http.reset)]),
    Case("end in the headers", [fault("GET", layer, http.raw(b"HTTP/1.1 200 OK\r\nContent-Le"))]),
    Case("reset in a manifest", [fault("GET", MANIFEST, http.cut(50))]),
    Case("end in a manifest", [fault("GET", MANIFEST, http.cut(50, http.Hangup))]),
    Case("reset in a config", [fault("GET", config, http.cut(50))]),
    Case("reset in a layer", [fault("GET", layer, http.cut(150_000))]),
    Case("a layer that ends early, and its length said so", [fault("GET", layer, http.change_body(lambda body: body[:150_000]))]),
    Case("end in a layer", [fault("GET", layer, http.cut(150_000, http.Hangup))]),
    Case("three breaks of one layer", [fault("GET", layer, http.cut(100_000), times=3)], tries=("GET", layer, 4)),
    Case("a break before the last byte", [fault("GET", layer, http.cut(len(LARGE) - 1))]),
    Case("a layer that stalls", [fault("GET", layer, http.silence(150_000))], settings={"timeouts": {"stall": 1}}),
    Case("a resumed layer from its start", [
        fault("GET", layer, http.cut(150_000)), fault("GET", layer, lambda request, reply: http.Reply(200, {}, LARGE))]),
    Case("416 for every range", [
        fault("GET", layer, http.cut(150_000)),
        always("GET", layer, lambda request, reply: http.Reply(416) if "range" in request.headers else reply)]),
    Case("a manifest without Docker-Content-Digest", [always("GET|HEAD", MANIFEST, http.change_headers({"Docker-Content-Digest": None}))]),
    Case("a digest in the header that is none", [always("GET|HEAD", MANIFEST, http.change_headers({"Docker-Content-Digest": "../../x"}))]),
    Case("a digest in the header of another kind", [
        always("GET|HEAD", MANIFEST, http.change_headers({"Docker-Content-Digest": "sha512:" + "0" * 128}))]),
    Case("a manifest with parameters of its type", [
        always("GET|HEAD", MANIFEST, http.change_headers({"Content-Type": OCI_MANIFEST + "; charset=utf-8"}))]),
    Case("a layer called text/html", [always("GET", layer, http.change_headers({"Content-Type": "text/html"}))]),
    Case("HEAD not supported", [always("HEAD", "", http.instead(405))]),
    Case("a redirect of a layer", [fault("GET", layer, http.redirect("{path}?again=1"))]),
    Case("a redirect of a manifest", [fault("GET", MANIFEST + "1$", http.redirect("{path}?again=1", 301))]),
]

# Trouble that stays: a clear error soon.
STAYING = [
    Case("503 for ever", [always("GET", layer, http.instead(503))], 1, ("GET http://", "503"), tries=("GET", layer, 3)),
    Case("503 for every manifest", [always("GET", MANIFEST, http.instead(503))], 1, ("503",), tries=("GET", MANIFEST, 3)),
    Case("503 for every manifest, in a registry's words", [always("GET", MANIFEST, http.refuse(503))], 1, ("503",), tries=("GET", MANIFEST, 3)),
    Case("an error of the registry's own", [always("GET", MANIFEST, http.refuse(503, "TOOMANYSECRETS", "ask again tomorrow"))],
         1, ("TOOMANYSECRETS", "ask again tomorrow")),
    Case("an error with a terminal's commands", [always("GET", MANIFEST, http.refuse(500, "X", "\x1b]0;evil\x07\x1b[2J\r\nerror: other"))],
         1, ("500",)),
    Case("an error of endless text", [always("GET", MANIFEST, http.refuse(403, "X", "y" * 3_000_000))], 1, ("403",)),
    Case("429, Retry-After beyond all patience", [always("GET", layer, http.instead(429, {"Retry-After": "99999999"}))],
         1, ("429",), tries=("GET", layer, 1)),
    Case("429, Retry-After of twenty digits", [always("GET", layer, http.instead(429, {"Retry-After": "9" * 20}))], 1, ("429",)),
    Case("a reset of every connection", [always("CONNECT", "", None)], 1, ("GET http",)),
    # Three tries, and the one that was to find out how the registry speaks.
    Case("a reset of every manifest", [always("GET", MANIFEST, http.reset)], 1, ("GET http",), tries=("GET", MANIFEST, 4)),
    Case("every layer ends early", [always("GET", layer, http.cut(0, http.Hangup))], 1, ("GET http",), tries=("GET", layer, 3)),
    Case("headers without end", [always("GET", MANIFEST, http.endless_headers)], 1, ("GET http",), at_most=8 << 20),
    Case("a status line that is none", [always("GET", MANIFEST, http.raw(b"HELLO\r\n\r\n"))], 1, ("GET http",)),
    Case("a status beyond all", [always("GET", MANIFEST, http.instead(299))], 1, ("299",)),
    Case("a manifest of a gigabyte", [
        always("GET", MANIFEST, lambda request, reply: http.Reply(200, {**reply.headers, "Content-Length": 1 << 30}, iter(lambda: bytes(1 << 18), 0)))],
        1, ("manifest",), at_most=32 << 20),
    Case("a manifest without end", [always("GET", MANIFEST, http.endless())], 1, ("GET http",), at_most=40 << 20),
    Case("a config without end", [always("GET", config, http.endless())], 1, (), at_most=40 << 20),
    Case("a layer without end", [always("GET", layer, http.endless(headers={"Docker-Content-Digest": None}))], 1, ("larger",), at_most=40 << 20),
    Case("an error without end", [always("GET", MANIFEST, lambda request, reply: http.endless()(request, http.Reply(403)))], 1, ("403",), at_most=40 << 20),
    Case("a manifest a byte at a time", [always("GET", MANIFEST, http.drip(0.05))], 1, ("GET http",),
         settings={"timeouts": {"document": 1}, "retries": {"attempts": 2}}),
    Case("a layer a byte at a time", [always("GET", layer, http.drip(0.05))], 1, ("GET http",),
         settings={"timeouts": {"stall": 1}, "retries": {"attempts": 2}}),
    Case("a layer that stalls each time", [always("GET", layer, http.silence(100))], 1, ("GET http",),
         settings={"timeouts": {"stall": 1}, "retries": {"attempts": 2}}),
    Case("a layer with another content", [always("GET", layer, http.change_body(lambda body: body[:-1] + b"\1"))], 1, ("digest",)),
    Case("a layer that is shorter", [always("GET", layer, http.change_body(lambda body: body[:-1]))], 1, ("blob",)),
    Case("a layer that is longer", [always("GET", layer, http.change_body(lambda body: body + b"x"))], 1, ("larger",)),
    Case("an empty layer", [always("GET", layer, http.change_body(b""))], 1, ("blob",)),
    Case("another config", [always("GET", config, http.change_body(lambda body: body.replace(b"amd64", b"arm64")))], 1, ("than its manifest says",)),
    Case("a config that is longer", [always("GET", config, http.change_body(lambda body: body + b" "))], 1, ()),
    Case("206 for another range", [
        fault("GET", layer, http.cut(150_000)),
        always("GET", layer, http.change_headers({"Content-Range": f"bytes 7-{len(LARGE) - 1}/{len(LARGE)}"}))], 1, ("bytes",)),
    Case("206 without a range", [fault("GET", layer, http.cut(150_000)),
                                 always("GET", layer, http.change_headers({"Content-Range": None}))], 1, ("bytes",)),
    Case("206 though nobody asked", [
        always("GET", layer, lambda request, reply: http.Reply(206, {"Content-Range": f"bytes 100-{len(LARGE) - 1}/{len(LARGE)}"}, LARGE[100:]))],
        1, ("bytes",)),
    Case("no manifest", [always("GET|HEAD", MANIFEST, http.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown"))],
         1, ("404", "MANIFEST_UNKNOWN"), tries=("GET", MANIFEST, 1)),
    Case("no layer", [always("GET", layer, http.refuse(404, "BLOB_UNKNOWN", "blob unknown"))], 1, ("404", "BLOB_UNKNOWN"), tries=("GET", layer, 1)),
    Case("forbidden", [always("GET", layer, http.refuse(403))], 1, ("403", "anonymous"), tries=("GET", layer, 1)),
    Case("401 without a challenge", [always("GET|HEAD", "", http.instead(401))], 1, ("401",)),
    Case("401 with a challenge of another kind", [always("GET|HEAD", "", http.instead(401, {"WWW-Authenticate": "Negotiate"}))], 1, ("401",)),
    Case("401 with a challenge that is damaged", [
        always("GET|HEAD", "", http.instead(401, {"WWW-Authenticate": 'Bearer realm="' + "x" * 5000}))], 1, ("401",)),
    Case("a manifest called text/html", [always("GET|HEAD", MANIFEST, http.change_headers({"Content-Type": "text/html"}))], 2, ("text/html",)),
    Case("a manifest called an index", [always("GET|HEAD", MANIFEST, http.change_headers({"Content-Type": OCI_INDEX}))], 1, ("index",)),
    Case("a manifest called a docker one", [always("GET|HEAD", MANIFEST, http.change_headers({"Content-Type": DOCKER_MANIFEST}))], 1, ("docker",)),
    Case("another digest in the header", [always("GET|HEAD", MANIFEST, http.change_headers({"Docker-Content-Digest": sha256(b"other")}))],
         1, ("digest",)),
    Case("another manifest for a digest", [always("GET", MANIFEST, lambda request, reply: http.Reply(
        200, {"Content-Type": OCI_MANIFEST}, Image([SMALL]).data))], 1, ("digest",), reference="@" + image().digest),
    Case("a page in place of a manifest", [always("GET|HEAD", MANIFEST, http.instead(200, {"Content-Type": "text/html"}, b"<html>log in</html>"))],
         2, ("text/html",)),
    Case("an empty manifest", [always("GET|HEAD", MANIFEST, http.change_body(b""))], 1, ()),
    Case("redirects without end", [always("GET", layer, http.redirect("{path}x"))], 1, ("redirect",)),
    Case("a redirect to itself", [always("GET", MANIFEST, http.redirect("{path}"))], 1, ("redirect",)),
    Case("a redirect to a file", [always("GET", layer, http.redirect("file:///etc/passwd"))], 1, ("file",)),
    Case("a redirect to another protocol", [always("GET", layer, http.redirect("gopher://127.0.0.1:1/x"))], 1, ("gopher",)),
    Case("a redirect to nowhere", [always("GET", layer, http.instead(307))], 1, ("redirect",)),
    Case("a redirect with a user in it", [always("GET", layer, http.redirect("http://me:you-S3CRET@127.0.0.1:1/x"))], 1, ()),
]


def changed(change, of=image):
    return lambda: of().changed(change)


def configured(change, of=image):
    return lambda: of().with_config(change)


def layer_field(**fields):
    return changed(lambda manifest: manifest["layers"][0].update(fields))


def with_blob(media_type, data, layers=None):
    """An image with one layer: these bytes, whatever its config says."""
    def make():
        made = Image(layers or [LARGE], "plain")
        made.manifest["layers"] = [made.describe(media_type, data)]
        return made
    return make


def nested_indexes():
    part = Image([SMALL])
    for _ in range(50):
        part = Index([part])
    return part


@functools.cache
def bomb():
    """A gigabyte of zeros, packed, as the file of a layer that says to be small."""
    piece = zlib.compressobj(9, wbits=-15)
    packed = piece.compress(bytes(1 << 20)) + piece.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed * 1024 + zlib.compressobj(9, wbits=-15).flush() + bytes(8)


def duplicate_keys(manifest):
    text = encode(manifest).decode()
    return text.replace('"config":', '"config":{"digest":"sha256:00"},"config":', 1).encode()


# Documents and layers that lie, under the digests that they really have.
LYING = [
    Case("fields of a manifest and an index at once", image=changed(lambda m: m.update(manifests=[])), status=1, words=("refused",)),
    Case("an index by name, a manifest by its fields", image=changed(lambda m: m.update(mediaType=OCI_INDEX)), status=1, words=("refused",)),
    Case("schema 1", image=changed(lambda m: {"schemaVersion": 1, "name": "app", "tag": "1", "fsLayers": [], "history": []}),
         status=2, words=("schema 1",)),
    Case("an unknown type", image=changed(lambda m: m.update(mediaType="application/vnd.example.v9+json")), status=2, words=("vnd.example.v9",)),
    Case("a schema of the future", image=changed(lambda m: m.update(schemaVersion=3)), status=1, words=("schemaVersion",)),
    Case("no JSON", image=changed(lambda m: b"manifest"), status=1, words=("JSON",)),
    Case("JSON of another kind", image=changed(lambda m: b"[]"), status=1, words=("object",)),
    Case("JSON and more", image=changed(lambda m: encode(m) + b"{}"), status=1, words=("JSON",)),
    Case("deep JSON", image=changed(lambda m: b'{"a":' * 200_000 + b"1" + b"}" * 200_000), status=1, words=("deep",)),
    *[Case(f"deep JSON as the {key}", image=changed(lambda m, key=key: b'{"%s":' % key.encode() + b"[" * 3_000_000 + b"]" * 3_000_000 + b"}"),
           status=1, words=("deep",)) for key in ("mediaType", "schemaVersion")],
    Case("deep JSON without end", image=changed(lambda m: b"[" * 200_000), status=1, words=("deep",)),
    Case("bytes that are no UTF-8", image=changed(lambda m: encode(m).replace(b"schemaVersion", b"\xff\xfe")), status=1, words=("JSON",)),
    # The last one counts, as in every other client.
    Case("a key that comes twice", image=changed(duplicate_keys)),
    Case("no config", image=changed(lambda m: m.pop("config") and None), status=1, words=("config",)),
    Case("no layers", image=changed(lambda m: m.update(layers=[])), status=1, words=("layers",)),
    Case("layers that are no list", image=changed(lambda m: m.update(layers={})), status=1, words=("layers",)),
    Case("20,000 layers", image=changed(lambda m: m.update(layers=m["layers"][:1] * 20_000)), status=1, words=("layers",)),
    Case("a digest with a path in it", image=layer_field(digest="sha256:../../../../etc/passwd"), status=1, words=("sha256:",)),
    Case("a digest in capitals", image=layer_field(digest="sha256:" + "A" * 64), status=1, words=("sha256:",)),
    Case("a digest with more behind it", image=layer_field(digest=sha256(LARGE) + "/../x"), status=1, words=("sha256:",)),
    Case("a digest with a zero byte", image=layer_field(digest=sha256(LARGE) + "\0"), status=1, words=("sha256:",)),
    Case("sha512", image=layer_field(digest="sha512:" + "0" * 128), status=2, words=("sha512", "only sha256")),
    Case("md5", image=layer_field(digest="md5:" + "0" * 32), status=1, words=("md5",)),
    Case("no digest", image=layer_field(digest=None), status=1, words=("digest",)),
    *[Case(f"a layer of {size!r} bytes", image=layer_field(size=size), status=1, words=("size",))
      for size in (-1, None, "12", 1.5, 1 << 63, 1 << 64)],
    Case("a layer of 4 EiB", image=layer_field(size=1 << 62), status=1, words=()),
    Case("a layer smaller than it says", image=layer_field(size=len(LARGE) + 1), status=1, words=("blob",)),
    Case("a layer larger than it says", image=layer_field(size=len(LARGE) - 1), status=1, words=("larger",)),
    Case("a layer of another kind", image=layer_field(mediaType="application/vnd.example.layer.v1.squashfs"), status=2, words=("squashfs",)),
    Case("an encrypted layer", image=layer_field(mediaType=OCI_LAYER + "+encrypted"), status=2, words=("encrypted",)),
    Case("a config of 100 MB", image=changed(lambda m: m["config"].update(size=100 << 20)), status=1, words=()),
    Case("a config that is no JSON", image=configured(lambda c: b"config"), status=1, words=("JSON",)),
    Case("a config that is a list", image=configured(lambda c: b"[]"), status=1, words=("object",)),
    Case("a config without rootfs", image=configured(lambda c: c.pop("rootfs") and None), status=1, words=()),
    Case("another DiffID", image=configured(lambda c: c["rootfs"]["diff_ids"].__setitem__(1, sha256(b"other"))), status=1, words=("sha256:",)),
    Case("a DiffID with a path in it", image=configured(lambda c: c["rootfs"]["diff_ids"].__setitem__(1, "sha256:../../x")), status=1, words=("diff_ids",)),
    Case("more layers than DiffIDs", image=configured(lambda c: c["rootfs"]["diff_ids"].pop() and None), status=1, words=("layers",)),
    Case("fewer layers than DiffIDs", image=configured(lambda c: c["rootfs"]["diff_ids"].append(sha256(b"x"))), status=1, words=("layers",)),
    Case("an image in place of a config", image=changed(lambda m: m.update(config={**m["layers"][1]})), status=2, words=("no image",)),
    Case("a layer that is no tar", image=with_blob(OCI_LAYER, b"hello " * 1000), status=1, words=()),
    Case("a gzip that ends early", image=with_blob(OCI_LAYER + "+gzip", gzip.compress(LARGE)[:-100]), status=1, words=()),
    Case("a gzip with a wrong sum", image=with_blob(OCI_LAYER + "+gzip", gzip.compress(LARGE)[:-8] + bytes(8)), status=1, words=()),
    Case("a gzip that is none", image=with_blob(OCI_LAYER + "+gzip", b"\x1f\x8b" + noise(5000)), status=1, words=()),
    Case("a zstd that is none", image=with_blob(OCI_LAYER + "+zstd", b"\x28\xb5\x2f\xfd" + noise(5000)), status=1, words=()),
    Case("a gigabyte of zeros in a megabyte", image=lambda: with_blob(OCI_LAYER + "+gzip", bomb())(), status=1, words=()),
    Case("a tar that leads out", image=lambda: Image([layer_tar([("../../evil", "x")])]), status=1, words=()),
    Case("indexes in indexes", image=nested_indexes, status=1, words=("index",)),
    Case("an index with nothing in it", image=lambda: Index([]), status=1, words=()),
    Case("an index of another platform", image=lambda: Index([Image([SMALL], platform=("plan9", "mips"))]), status=1, words=("plan9/mips",)),
    Case("an index of digests that are none", image=lambda: _index_with(digest="sha256:../x"), status=1, words=("sha256:",)),
    Case("an index that names another size", image=lambda: _index_with(size=5), status=1, words=()),
    Case("an index that calls a manifest an index", image=lambda: _index_with(mediaType=OCI_INDEX), status=1, words=()),
]


def _index_with(**fields):
    index = Index([image()])
    index.manifest = copy.deepcopy(index.manifest)
    index.manifest["manifests"][0].update(fields)
    return index


def foreign(urls):
    """An image whose first layer lies elsewhere, says its manifest."""
    made = Image([LARGE, SMALL], "gzip", docker=True)
    made.manifest["layers"][0].update(mediaType=DOCKER_LAYER.replace("rootfs.diff", "rootfs.foreign.diff") + ".gzip", urls=urls)
    return made
