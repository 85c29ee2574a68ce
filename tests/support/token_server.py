"""A token server as distribution's token authentication describes it: JSON web tokens, signed RS256 by openssl."""

import base64
import json
import subprocess
import time
import uuid

from .http_server import Server, error_reply, json_reply


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class TokenServer(Server):
    """`users` {name: password}; `rights(user, repository)` gives the actions allowed, with user None for anyone.

    `lifetime` is how long tokens are good; `claimed_lifetime` what their `expires_in` says, where it is something
    else. `refresh_tokens` {token: user} are what POST takes."""

    service = "tests"
    issuer = "mkimg-tests"

    def __init__(self, users=None, rights=None, signed_by=None, certificate=None, leeway=0):
        self.users = users or {}
        self.rights = rights or (lambda user, repository: {"pull", "push"})
        self.refresh_tokens = {}
        self.signed_by = signed_by  # a certificate and its key; None: opaque tokens, known by `check`
        self.leeway = leeway        # for which the registry takes a token that has expired
        self.lifetime = 300
        self.claimed_lifetime = None
        self.issued = {}  # token: its claims
        super().__init__(certificate=certificate)

    def challenge(self, name="127.0.0.1"):
        return f'Bearer realm="{self.url("/token", name)}",service="{self.service}"'

    def respond(self, request):
        if request.path != "/token":
            return error_reply(404, "UNSUPPORTED", "no such page")
        if request.method == "POST":
            asked = request.form
            user = self._by_form(asked)
            scopes = asked.get("scope", [""])[-1].split()
        else:
            asked = request.queries
            user = self._by_basic(request.headers.get("authorization"))
            scopes = [scope for value in asked.get("scope", []) for scope in value.split()]
        if user is False:
            return error_reply(401, "UNAUTHORIZED", "incorrect username or password",
                               {"WWW-Authenticate": 'Basic realm="tokens"'})
        token = self.issue(user, scopes)
        answer = {"token": token, "access_token": token, "expires_in": self.claimed_lifetime or self.lifetime,
                  "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        return json_reply(answer)

    def _by_basic(self, header):
        """The user's name, None for nobody, False for a wrong password."""
        if header is None:
            return None
        return next((user for user, password in self.users.items() if header == basic(user, password)), False)

    def _by_form(self, form):
        kind = form.get("grant_type", [""])[0]
        if kind == "refresh_token":
            return self.refresh_tokens.get(form.get("refresh_token", [""])[0], False)
        user, password = form.get("username", [""])[0], form.get("password", [None])[0]
        return user if kind == "password" and self.users.get(user) == password else False

    def issue(self, user, scopes):
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = self.rights(user, name) & set(actions.split(","))
            if kind == "repository" and allowed:
                access.append({"type": kind, "name": name, "actions": sorted(allowed)})
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": user or "", "aud": self.service, "iat": now, "nbf": now - 600,
                  "exp": now + self.lifetime - self.leeway, "jti": uuid.uuid4().hex, "access": access}
        token = self._sign(claims) if self.signed_by else "TOKEN-S3CRET-" + claims["jti"]
        with self.lock:
            self.issued[token] = {**claims, "good_until": time.time() + self.lifetime}
        return token

    def _sign(self, claims):
        certificate, key = self.signed_by
        with open(certificate, encoding="ascii") as file:
            chain = ["".join(file.read().split("-----")[2].split())]
        signed = ".".join(_base64url(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "RS256", "x5c": chain}, claims))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=signed.encode(), stdout=subprocess.PIPE, check=True)
        return signed + "." + _base64url(signature.stdout)

    def check(self, authorization, repository, action):
        """Whether the header of a request allows the action: for registries that ask the token server itself."""
        with self.lock:
            claims = self.issued.get((authorization or "").removeprefix("Bearer "))
        if claims is None or time.time() >= claims["good_until"]:
            return False
        return any(a["name"] == repository and action in a["actions"] for a in claims["access"])
