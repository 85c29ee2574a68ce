"""A registry that does everything right, but for the faults that a test gives it."""

import re
import uuid

from .archives import sha256
from .http_server import Reply, Server, error_reply, json_reply
from .registry_images import Index
from .token_server import basic

ROUTE = re.compile(r"/v2/(?P<name>.+?)/(?P<kind>manifests|blobs/uploads|blobs)/(?P<reference>[^/]*)")


class BadRegistry(Server):
    """`manifests` {repository: {tag or digest: (media type, bytes)}}, `blobs` {repository: {digest: bytes}}.

    `user` (name, password) asks for Basic, `tokens` (a TokenServer) for Bearer."""

    def __init__(self, certificate=None, user=None, tokens=None, address="127.0.0.1", client_ca=None):
        self.manifests = {}
        self.blobs = {}
        self.uploads = {}  # id: bytearray
        self.user = user
        self.tokens = tokens
        self.mounts = True
        super().__init__(address, certificate, client_ca)

    def add(self, repository, tag, image):
        """Puts an image or an index with all that it names in place; returns it."""
        for part in image.images if isinstance(image, Index) else ():
            self.add(repository, None, part)
        self.blobs.setdefault(repository, {}).update(image.blobs)
        for reference in (tag, image.digest):
            if reference:
                self.manifests.setdefault(repository, {})[reference] = (image.media_type, image.data)
        return image

    def repository(self, name):
        """(digests of blobs, tags)"""
        tags = [reference for reference in self.manifests.get(name, {}) if not reference.startswith("sha256:")]
        return set(self.blobs.get(name, {})), sorted(tags)

    def respond(self, request):
        route = ROUTE.fullmatch(request.path)
        refusal = self._refusal(request, route["name"] if route else None)
        if refusal:
            return refusal
        if request.path in ("/v2/", "/v2"):
            return json_reply({})
        if route is None:
            return error_reply(404, "UNSUPPORTED", "no such page")
        with self.lock:
            handler = {"manifests": self._manifest, "blobs": self._blob, "blobs/uploads": self._upload}[route["kind"]]
            return handler(request, route["name"], route["reference"])

    def _refusal(self, request, name):
        """The 401 of a request that may not be, or nothing."""
        header = request.headers.get("authorization")
        if self.user and header != basic(*self.user):
            return self.unauthorized('Basic realm="registry"')
        if self.tokens:
            if name is None and header is None:
                return self.unauthorized(self.tokens.challenge())
            action = "pull" if request.method in ("GET", "HEAD") and "/uploads/" not in request.path else "push"
            if name and not self.tokens.check(header, name, action):
                actions = "pull" if action == "pull" else "pull,push"
                return self.unauthorized(f'{self.tokens.challenge()},scope="repository:{name}:{actions}"')
        return None

    @staticmethod
    def unauthorized(challenge):
        return error_reply(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": challenge})

    def _manifest(self, request, name, reference):
        held = self.manifests.setdefault(name, {})
        if request.method == "PUT" and request.whole:
            held[reference] = held[sha256(request.body)] = (request.headers.get("content-type", ""), request.body)
            return Reply(201, {"Location": f"/v2/{name}/manifests/{sha256(request.body)}",
                               "Docker-Content-Digest": sha256(request.body)})
        if reference not in held:
            return error_reply(404, "MANIFEST_UNKNOWN", "manifest unknown")
        media_type, data = held[reference]
        return Reply(200, {"Content-Type": media_type, "Docker-Content-Digest": sha256(data)}, data)

    def _blob(self, request, name, digest):
        data = self.blobs.get(name, {}).get(digest)
        if data is None:
            return error_reply(404, "BLOB_UNKNOWN", "blob unknown to registry")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if not asked:
            return Reply(200, headers, data)
        first, last = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
        if first > last:
            return Reply(416, {"Content-Range": f"bytes */{len(data)}"})
        return Reply(206, {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"}, memoryview(data)[first:last + 1])

    def _upload(self, request, name, upload):
        if request.method == "POST":
            return self._begin_upload(request, name)
        if upload not in self.uploads:
            return error_reply(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        data = self.uploads[upload]
        if request.method == "DELETE":
            del self.uploads[upload]
            return Reply(204)
        if request.method in ("PATCH", "PUT"):
            start = re.match(r"(?:bytes )?(\d+)-", request.headers.get("content-range", ""))
            if start and int(start[1]) != len(data):
                return error_reply(416, "RANGE_INVALID", "invalid content range", self._progress(name, upload))
            data += request.body
            if request.method == "PUT" and request.whole:
                return self._finish_upload(name, request.query.get("digest", ""), upload)
        return Reply(204 if request.method == "GET" else 202, self._progress(name, upload))

    def _begin_upload(self, request, name):
        query = request.query
        mounted = self.blobs.get(query.get("from"), {}).get(query.get("mount")) if self.mounts else None
        if mounted is not None:
            self.blobs.setdefault(name, {})[query["mount"]] = mounted
            return self._created(name, query["mount"])
        upload = uuid.uuid4().hex
        self.uploads[upload] = bytearray(request.body)
        if "digest" in query:
            return self._finish_upload(name, query["digest"], upload)
        return Reply(202, self._progress(name, upload))

    def _finish_upload(self, name, digest, upload):
        data = bytes(self.uploads.pop(upload))
        if sha256(data) != digest:
            return error_reply(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.blobs.setdefault(name, {})[digest] = data
        return self._created(name, digest)

    @staticmethod
    def _created(name, digest):
        return Reply(201, {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})

    def _progress(self, name, upload):
        return {"Location": f"/v2/{name}/blobs/uploads/{upload}?_state=STATE-S3CRET",
                "Range": f"0-{max(len(self.uploads[upload]) - 1, 0)}", "Docker-Upload-UUID": upload}
