"""Who mkimg is to registries: login and logout, Basic, tokens, private authorities, client certificates."""

import dataclasses
import json
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import unittest

from support import MKIMG, layer_tar
from support.http_server import Reply, preventing, refuse
from support.registry_case import PASSWORD, RegistryTestCase, authority, basic, sha256
from support.registry_images import OCI_MANIFEST, Image, noise

ALICE = ("alice", PASSWORD)
BOB = ("bob", "bob-PASSWORD-S3CRET")


def rights(user, repository):
    """public/*: anyone reads; team/*: bob reads, alice writes."""
    if user == "alice":
        return {"pull", "push"}
    return {"pull"} if user == "bob" or repository.startswith("public/") else set()


class AuthTestCase(RegistryTestCase):
    def stored(self):
        with open(self.path("docker/config.json"), encoding="utf-8") as file:
            return json.load(file)

    def make(self, *names):
        self.write("context/Dockerfile", "FROM scratch\nCOPY Dockerfile data /\n")
        self.write("context/data", noise(300_000))
        names = [word for name in names for word in ("-t", name)]
        return self.mkimg.ok("build", "-q", *names, self.path("context")).stdout.strip()

    def login(self, host, user=ALICE, *options):
        return self.mkimg.ok("login", "-u", user[0], "--password-stdin", *options, host, stdin=user[1] + "\n")


class Login(AuthTestCase):
    def test_checks_before_it_stores(self):
        registry = self.serve(user=ALICE)
        refused = self.mkimg.fails(1, "login", "-u", "alice", "--password-stdin", registry.host(), stdin="wrong-S3CRET")
        self.check_message(refused, "alice")
        self.assertFalse(os.path.exists(self.path("docker/config.json")))
        self.login(registry.host())
        path = self.path("docker/config.json")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(self.stored()["auths"], {registry.host(): {"auth": basic(*ALICE).removeprefix("Basic ")}})

    def test_leaves_the_rest_of_the_file_alone(self):
        registry = self.serve(user=ALICE)
        other = {"auths": {"other.example.com": {"auth": "eDp5"}}, "HttpHeaders": {"X": "y"}, "psFormat": "table"}
        self.write("docker/config.json", json.dumps(other), 0o600)
        self.login(registry.host())
        stored = self.stored()
        self.assertIn(registry.host(), stored["auths"])
        del stored["auths"][registry.host()]
        self.assertEqual(stored, other)
        self.mkimg.ok("logout", registry.host())
        self.assertEqual(self.stored(), other)

    def test_logout(self):
        registry = self.serve(user=ALICE)
        registry.add("app", "1", Image())
        self.login(registry.host())
        self.mkimg.ok("pull", registry.host() + "/app:1")
        self.mkimg.ok("logout", registry.host())
        self.check_message(self.mkimg.fails(1, "pull", registry.host() + "/app:1"), ["401", "anonymous", "mkimg login"])

    def test_token_authentication(self):
        tokens = self.token_server(users=dict([ALICE]))
        registry = self.serve(tokens=tokens)
        self.mkimg.fails(1, "login", "-u", "alice", "--password-stdin", registry.host(), stdin="wrong-S3CRET")
        self.login(registry.host())
        self.assertIn(registry.host(), self.stored()["auths"])

    def test_another_file(self):
        registry = self.serve(user=ALICE)
        registry.add("app", "1", Image())
        self.mkimg.env["REGISTRY_AUTH_FILE"] = self.path("auth.json")
        self.login(registry.host())
        self.assertFalse(os.path.exists(self.path("docker/config.json")))
        self.assertTrue(os.path.exists(self.path("auth.json")))
        self.mkimg.ok("pull", registry.host() + "/app:1")

    def test_several_at_once(self):
        """Nobody writes over what another one has just stored."""
        registries = [self.serve(user=ALICE) for _ in range(8)]
        threads = [threading.Thread(target=self.login, args=(registry.host(),)) for registry in registries]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(set(self.stored()["auths"]), {registry.host() for registry in registries})

    def test_a_password_of_several_lines(self):
        """Google's is a file of JSON, given on stdin as it is."""
        key = json.dumps({"type": "service_account", "private_key": "-----BEGIN-----\nKEY-S3CRET\n"}, indent=2)
        registry = self.serve(user=("_json_key", key))
        image = registry.add("app", "1", Image())
        self.mkimg.ok("login", "-u", "_json_key", "--password-stdin", registry.host(), stdin=key + "\n")
        self.assertEqual(self.mkimg.ok("pull", registry.host() + "/app:1").stdout, image.id + "\n")
        self.mkimg.fails(1, "login", "-u", "_json_key", "--password-stdin", registry.host(), stdin="a\0b")

    def test_command_line(self):
        registry = self.serve(user=ALICE)
        self.mkimg.fails(2, "login", "-u", "alice", registry.host())  # no terminal to ask for the password
        self.mkimg.fails(2, "login", "--password-stdin", registry.host(), stdin="x")
        self.mkimg.fails(1, "login", "-u", "alice", "--password-stdin", registry.host(), stdin="")
        self.assertEqual(registry.seen(".*", "/token"), [])


class Helpers(AuthTestCase):
    """Programs docker-credential-NAME."""

    def setUp(self):
        super().setUp()
        self.write("bin/docker-credential-tests", HELPER, 0o755)
        self.mkimg.env["PATH"] = self.path("bin") + ":" + os.environ["PATH"]
        self.mkimg.env["HELPER_FILE"] = self.path("helper.json")
        self.registry = self.serve(user=ALICE)
        self.image = self.registry.add("app", "1", Image())

    def test_a_helper_for_the_host(self):
        self.write("docker/config.json", json.dumps({"credHelpers": {self.registry.host(): "tests"}}))
        self.login(self.registry.host())
        with open(self.path("helper.json"), encoding="utf-8") as file:
            self.assertEqual(json.load(file), {self.registry.host(): list(ALICE)})
        self.assertNotIn(self.registry.host(), self.stored().get("auths", {}))
        self.mkimg.ok("pull", self.registry.host() + "/app:1")
        self.mkimg.ok("logout", self.registry.host())
        self.mkimg.fails(1, "pull", self.registry.host() + "/app:1")

    def test_a_store_for_all(self):
        self.write("docker/config.json", json.dumps({"credsStore": "tests"}))
        self.write("helper.json", json.dumps({self.registry.host(): ALICE}))
        self.mkimg.ok("pull", self.registry.host() + "/app:1")

    def test_a_helper_that_has_nothing(self):
        self.write("docker/config.json", json.dumps({"credsStore": "tests"}))
        self.write("helper.json", "{}")
        self.check_message(self.mkimg.fails(1, "pull", self.registry.host() + "/app:1"), "anonymous")

    def test_an_interrupt_while_a_helper_waits(self):
        """On a terminal it is for both; it is not the helper's failure."""
        self.write("bin/docker-credential-waits", f"#!/bin/sh\ntouch {self.path('waits')}\nexec sleep 20\n", 0o755)
        self.write("docker/config.json", json.dumps({"credsStore": "waits"}))
        process = subprocess.Popen(
            [MKIMG, "--root", self.mkimg.root, "pull", self.registry.host() + "/app:1"], start_new_session=True,
            env={**os.environ, **self.mkimg.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.wait_for(lambda: os.path.exists(self.path("waits")))
        os.killpg(process.pid, signal.SIGINT)
        errors = process.communicate(timeout=60)[1].decode()
        self.assertEqual(process.returncode, 130, errors)
        self.assertNotIn("docker-credential", errors)

    def test_a_helper_that_is_missing_or_fails(self):
        self.write("docker/config.json", json.dumps({"credHelpers": {self.registry.host(): "nowhere"}}))
        self.check_message(self.mkimg.fails(3, "pull", self.registry.host() + "/app:1"), "docker-credential-nowhere")
        self.write("docker/config.json", json.dumps({"credHelpers": {self.registry.host(): "tests"}}))
        self.write("helper.json", "no JSON")
        self.check_message(self.mkimg.fails(1, "pull", self.registry.host() + "/app:1"), "docker-credential-tests")


HELPER = """#!/bin/sh
exec python3 -c '
import json, os, sys
path = os.environ["HELPER_FILE"]
held = json.load(open(path)) if os.path.exists(path) else {}
text = sys.stdin.read()
if sys.argv[1] == "get":
    if text.strip() not in held:
        print("credentials not found in native keychain")
        sys.exit(1)
    user, secret = held[text.strip()]
    print(json.dumps({"ServerURL": text.strip(), "Username": user, "Secret": secret}))
elif sys.argv[1] == "store":
    given = json.loads(text)
    held[given["ServerURL"]] = [given["Username"], given["Secret"]]
elif sys.argv[1] == "erase":
    held.pop(text.strip(), None)
json.dump(held, open(path, "w"))
' "$@"
"""


class WhoIsWhoseFriend(AuthTestCase):
    """Credentials go to the registry that they are for."""

    def test_the_host_must_be_exactly_the_same(self):
        registry = self.serve(user=ALICE)
        registry.add("app", "1", Image())
        for host in (registry.host("localhost"), "127.0.0.1", f"127.0.0.1:{registry.port}0", "0.0.1:" + str(registry.port)):
            self.credentials(**{host: ALICE})
            self.check_message(self.mkimg.fails(1, "pull", registry.host() + "/app:1"), "anonymous")
        self.assertEqual([r for r in registry.seen() if "authorization" in r.headers], [])
        self.credentials(**{registry.host(): ALICE})
        self.mkimg.ok("pull", registry.host() + "/app:1")

    def test_a_path_of_its_own(self):
        registry = self.serve(user=ALICE)
        registry.add("team/app", "1", Image())
        self.credentials(**{registry.host(): BOB, registry.host() + "/team": ALICE})
        self.mkimg.ok("pull", registry.host() + "/team/app:1")
        self.credentials(**{registry.host(): ALICE, registry.host() + "/tea": BOB})
        self.mkimg.ok("pull", registry.host() + "/team/app:1")

    def test_nothing_is_sent_before_it_is_asked_for(self):
        registry = self.serve()
        registry.add("app", "1", Image())
        self.credentials(**{registry.host(): ALICE})
        self.mkimg.ok("pull", registry.host() + "/app:1")
        self.assertEqual([r for r in registry.seen() if "authorization" in r.headers], [])

    def test_a_file_that_is_damaged(self):
        registry = self.serve(user=ALICE)
        registry.add("app", "1", Image())
        self.write("docker/config.json", '{"auths": PASSWORD-S3CRET')
        self.check_message(self.mkimg.fails(2, "pull", registry.host() + "/app:1"), "config.json")

    def test_a_registry_token(self):
        tokens = self.token_server()
        registry = self.serve(tokens=tokens)
        registry.add("app", "1", Image())
        self.credentials(**{registry.host(): {"registrytoken": tokens.issue("alice", ["repository:app:pull"])}})
        self.mkimg.ok("pull", registry.host() + "/app:1")
        self.assertEqual(tokens.seen(), [])


class Tokens(AuthTestCase):
    """A registry and a token server of the tests, which see every header."""

    def setUp(self):
        super().setUp()
        self.tokens = self.token_server(users=dict([ALICE, BOB]), rights=rights)
        self.registry = self.serve(tokens=self.tokens)
        for name in ("public/app", "team/app"):
            self.registry.add(name, "1", Image())
        self.host = self.registry.host()

    def scopes(self):
        return [scope for request in self.tokens.seen() for value in request.queries.get("scope", []) for scope in value.split()]

    def test_anonymous(self):
        self.mkimg.ok("pull", self.host + "/public/app:1")
        self.assertEqual(set(self.scopes()), {"repository:public/app:pull"})
        self.assertEqual([r for r in self.tokens.seen() if "authorization" in r.headers], [])
        self.assertEqual(self.tokens.seen()[0].query["service"], "tests")
        self.check_message(self.mkimg.fails(1, "pull", self.host + "/team/app:1"), ["anonymous", "mkimg login " + self.host])

    def test_who_may_what(self):
        self.credentials(**{self.host: BOB})
        self.mkimg.ok("pull", self.host + "/team/app:1")
        self.check_message(self.mkimg.fails(1, "push", self.host + "/team/app:1", self.host + "/team/new:1"), "bob")
        self.assertEqual(self.registry.repository("team/new")[1], [])
        self.credentials(**{self.host: ALICE})
        self.mkimg.ok("push", self.host + "/team/app:1", self.host + "/team/new:1")

    def test_one_token_serves_many_requests(self):
        self.registry.add("public/many", "1", Image([layer_tar([(str(n), noise(1000, b"%d" % n))]) for n in range(20)]))
        self.mkimg.ok("pull", self.host + "/public/many:1")
        self.assertLessEqual(len(self.tokens.seen()), 2)

    def test_scopes_of_a_mount(self):
        self.credentials(**{self.host: ALICE})
        self.mkimg.ok("pull", self.host + "/team/app:1")
        pushed = self.mkimg.ok("push", "--format", "json", self.host + "/team/app:1", self.host + "/team/new:1").json()
        self.assertIn("mounted", {blob["action"] for blob in pushed["blobs"]})
        self.assertTrue({"repository:team/new:pull,push", "repository:team/app:pull"} <= set(self.scopes()), self.scopes())

    def test_a_repository_that_a_push_makes(self):
        """There is nothing in it to be pulled yet: who asks for that right alone gets none."""
        self.credentials(**{self.host: ALICE})
        self.mkimg.ok("pull", self.host + "/team/app:1")
        self.tokens.forget()

        def no_right_to_pull(request, reply):
            return self.tokens.respond(dataclasses.replace(request, target="/token?service=tests"))

        self.tokens.fault("GET", "team%2Fnew%3Apull(&|$)(?!.*push)", no_right_to_pull, times=None)
        self.mkimg.ok("push", self.host + "/team/app:1", self.host + "/team/new:1")
        self.assertEqual(self.registry.repository("team/new")[1], ["1"])

    def test_a_wrong_password(self):
        self.credentials(**{self.host: ("alice", "wrong-S3CRET")})
        self.check_message(self.mkimg.fails(1, "pull", self.host + "/team/app:1"), ["alice", "mkimg login " + self.host])
        self.assertLessEqual(len(self.tokens.seen()), 3)
        self.check_nothing_came()

    def test_an_identity_token(self):
        self.tokens.refresh_tokens["REFRESH-S3CRET"] = "alice"
        self.credentials(**{self.host: {"identitytoken": "REFRESH-S3CRET"}})
        self.mkimg.ok("pull", self.host + "/team/app:1")
        requests = self.tokens.seen()
        self.assertEqual({request.method for request in requests}, {"POST"})
        form = requests[0].form
        self.assertEqual((form["grant_type"], form["refresh_token"], form["service"]), (["refresh_token"], ["REFRESH-S3CRET"], ["tests"]))
        self.assertIn("client_id", form)
        self.assertEqual(form["scope"], ["repository:team/app:pull"])
        self.tokens.refresh_tokens.clear()
        self.mkimg.fails(1, "pull", self.host + "/team/app:1")

    def test_an_empty_token_field_and_access_token(self):
        """Some servers fill but one of the two names (distribution's token specification)."""
        for field in ("token", "access_token"):
            def only(request, reply, field=field):
                answer = json.loads(reply.body)
                return Reply(200, reply.headers, json.dumps({field: answer["token"]}).encode())
            self.tokens.faults.clear()
            self.tokens.fault("GET", "/token", only, times=None)
            self.another_store(field).ok("pull", self.host + "/public/app:1")

    def test_a_token_that_expires_in_the_middle_of_an_upload(self):
        self.credentials(**{self.host: ALICE})
        name = self.host + "/team/mine:1"
        self.make(name)

        def forget_all(request, reply):
            self.tokens.issued.clear()
            return self.registry.unauthorized(self.tokens.challenge() + ',scope="repository:team/mine:pull,push"')

        for method, path in (("POST", "/uploads/"), ("PUT", "/uploads/"), ("PUT", "/manifests/")):
            with self.subTest(method + path):
                self.registry.manifests.pop("team/mine", None)
                self.registry.blobs.pop("team/mine", None)
                secrets = list(self.tokens.issued)
                self.registry.faults.clear()
                self.registry.fault(method, path, preventing(forget_all))
                result = self.mkimg.ok("push", name)
                self.assertFalse([token for token in secrets if token in result.stderr])
                self.assertEqual(self.registry.repository("team/mine")[1], ["1"])

    def test_no_more_than_a_few_tries(self):
        self.credentials(**{self.host: ALICE})
        self.registry.fault(".*", "/team/", refuse(401, headers={"WWW-Authenticate": self.tokens.challenge()}), times=None)
        self.check_message(self.mkimg.fails(1, "pull", self.host + "/team/app:1"), "alice")
        self.assertLess(len(self.registry.seen()), 8)


class Certificates(AuthTestCase):
    def setUp(self):
        super().setUp()
        self.registry = self.serve_tls()
        self.image = self.registry.add("app", "1", Image())
        self.name = self.registry.host() + "/app:1"

    def test_an_unknown_authority(self):
        self.check_message(self.pull_fails(self.name), ["certificate", "--registry-ca"])
        self.assertEqual(self.registry.seen(), [])

    def test_where_distributions_keep_the_authorities_they_trust(self):
        for place in ("ssl/certs/ca-certificates.crt", "pki/tls/certs/ca-bundle.crt", "ssl/ca-bundle.pem", "ssl/cert.pem"):
            with self.subTest(place), tempfile.TemporaryDirectory(dir=self.path("")) as scratch:
                # Another /etc, with no CAs but this one, for the program alone.
                script = """mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/work"
                    mount -t overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" none /etc
                    rm -rf /etc/ssl /etc/pki && mkdir -p "$(dirname "/etc/$2")" && cp "$3" "/etc/$2"
                    shift 3 && exec "$@\""""
                store = os.path.join(scratch, "store")
                pulled = subprocess.run(
                    ["unshare", "-m", "sh", "-ec", script, "sh", scratch, place, authority().ca, MKIMG, "--root", store,
                     "pull", self.name], env={**os.environ, **self.mkimg.env}, capture_output=True, text=True)
                self.assertEqual((pulled.returncode, pulled.stdout), (0, self.image.id + "\n"), pulled.stderr)

    def test_ways_to_trust_it(self):
        self.mkimg.ok("pull", "--registry-ca", authority().ca, self.name)
        self.configure({self.registry.host(): {"ca": [authority().ca]}})
        self.another_store("1").ok("pull", self.name)
        self.configure({self.registry.host(): {"insecure": True}})
        self.another_store("2").ok("pull", self.name)
        self.configure()
        self.another_store("3").ok("pull", "--insecure-registry", self.registry.host(), self.name)
        self.mkimg = self.another_store("4")
        self.pull_fails("--insecure-registry", "localhost", self.registry.host("localhost") + "/app:1")

    def pull_with_certs_d(self, host, files):
        """What mkimg does where /etc/docker/certs.d/HOST has these files, which it has in a mount namespace alone."""
        folder = self.path("certs.d", host)
        os.makedirs(folder)
        for name, path in files.items():
            shutil.copy(path, os.path.join(folder, name))
        os.makedirs("/etc/docker", exist_ok=True)
        script = 'mount -t tmpfs tmpfs /etc/docker && cp -r "$1" /etc/docker/certs.d && shift && exec "$@"'
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", self.path("certs.d"),
             MKIMG, "--root", self.mkimg.root, "pull", host + "/app:1"],
            env={**os.environ, **self.mkimg.env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)

    def test_certs_d(self):
        process = self.pull_with_certs_d(self.registry.host(), {"ca.crt": authority().ca})
        self.assertEqual((process.returncode, process.stdout.decode()), (0, self.image.id + "\n"), process.stderr)

    def test_a_client_certificate(self):
        registry = self.serve_tls(client_ca=authority().ca)
        image = registry.add("app", "1", Image())
        self.pull_fails("--registry-ca", authority().ca, registry.host() + "/app:1")
        certificate, key = authority().client("alice")
        process = self.pull_with_certs_d(registry.host(), {"ca.crt": authority().ca, "alice.cert": certificate, "alice.key": key})
        self.assertEqual((process.returncode, process.stdout.decode()), (0, image.id + "\n"), process.stderr)

    def test_a_certificate_for_another_name(self):
        other = self.serve(certificate=authority().server(("DNS:registry.example.com",)))
        other.add("app", "1", Image())
        self.check_message(self.pull_fails("--registry-ca", authority().ca, other.host() + "/app:1"), "certificate")
        self.assertEqual(other.seen(), [])

    def test_bad_files(self):
        self.mkimg.fails(1, "pull", "--registry-ca", self.path("missing.crt"), self.name)
        self.assertIn("empty.crt", self.mkimg.fails(2, "pull", "--registry-ca", self.write("empty.crt", "no PEM"), self.name).stderr)

    def test_settings_that_mean_nothing(self):
        for settings in ('{"registries": []}', "[]", "{", '{"registries": {"h:1": {"ca": 5}}}', '{"timeouts": {"stall": "long"}}',
                         '{"registries": {"h:1": {"insecur": true}}}', '{"retries": {"attempts": -1}}'):
            self.write("registries.json", settings)
            self.assertIn("registries.json", self.mkimg.fails(2, "pull", self.name).stderr)
        os.unlink(self.path("registries.json"))
        self.assertIn("registries.json", self.mkimg.fails(1, "pull", self.name).stderr)


class DockerRegistry(AuthTestCase):
    """The same against Debian's own registry."""

    def test_htpasswd_and_a_private_authority(self):
        registry = self.start_registry(certificate=authority().server(), ca=authority().ca, users=dict([ALICE, BOB]))
        name = registry.host("localhost") + "/team/app:1"
        self.configure({registry.host("localhost"): {"ca": [authority().ca]}})
        image = self.make(name)
        self.check_message(self.mkimg.fails(1, "push", name), ["anonymous", "401"])
        refused = self.mkimg.fails(1, "login", "-u", "alice", "--password-stdin", registry.host("localhost"), stdin="wrong-S3CRET")
        self.check_message(refused, "alice")
        self.login(registry.host("localhost"))
        digest = self.mkimg.ok("push", name).stdout.strip()
        self.assertEqual(sha256(registry.manifest("team/app", "1", OCI_MANIFEST, basic(*BOB))), digest)
        other = self.another_store()
        self.assertEqual(other.ok("pull", name).stdout, image + "\n")
        self.mkimg.ok("logout", registry.host("localhost"))
        self.check_message(self.another_store("third").fails(1, "pull", name), "anonymous")

    def test_tokens(self):
        tokens = self.token_server(users=dict([ALICE, BOB]), rights=rights, signed_by=authority().server(),
                                   certificate=authority().server(), leeway=60)
        registry = self.start_registry(certificate=authority().server(), ca=authority().ca, tokens=tokens, token_roots=authority().ca)
        host = registry.host()
        trust = ("--registry-ca", authority().ca)
        image = self.make(host + "/public/app:1", host + "/team/app:1")
        self.check_message(self.mkimg.fails(1, "push", *trust, host + "/public/app:1"), "anonymous")
        self.login(host, ALICE, *trust)
        self.mkimg.ok("push", *trust, host + "/public/app:1")
        # Each token is good for a moment only, whatever the server says of it.
        tokens.lifetime, tokens.claimed_lifetime = 2, 300
        self.mkimg.ok("push", *trust, host + "/team/app:1")
        tokens.lifetime, tokens.claimed_lifetime = 300, None
        self.mkimg.ok("logout", host)
        self.assertEqual(self.another_store("a").ok("pull", *trust, host + "/public/app:1").stdout, image + "\n")
        self.check_message(self.another_store("b").fails(1, "pull", *trust, host + "/team/app:1"), "anonymous")
        self.login(host, BOB, *trust)
        self.assertEqual(self.another_store("c").ok("pull", *trust, host + "/team/app:1").stdout, image + "\n")


if __name__ == "__main__":
    unittest.main()
