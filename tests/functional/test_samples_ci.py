"""The recipes for CI in samples/ci: their shell steps run as they stand, against a registry that wants a password."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml

from support import MKIMG, TestCase, digest
from support.registry import Registry
from support.registry_case import PASSWORD, basic
from support.registry_images import OCI_MANIFEST
from support.rootless import RootlessMkimg

CI = pathlib.Path(__file__).resolve().parents[2] / "samples/ci"
PROJECT = CI.parents[1]

RECIPE = """FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "echo made > /made; /bin/busybox chown 5:6 /made"]
CMD ["/bin/busybox", "cat", "/made"]
"""


def load(name):
    with open(CI / name, encoding="utf-8") as file:
        return list(yaml.safe_load_all(file))


class CiTestCase(TestCase):
    def setUp(self):
        super().setUp()
        self.registry = Registry(users={"alice": PASSWORD})
        self.addCleanup(self.registry.close)
        os.chmod(self.dir, 0o755)

    def project(self, folder):
        """What a job checks out."""
        os.makedirs(folder)
        shutil.copy(shutil.which("busybox"), os.path.join(folder, "busybox"))
        with open(os.path.join(folder, "Dockerfile"), "w", encoding="ascii") as file:
            file.write(RECIPE)
        return folder

    def program(self, name, text):
        return os.path.dirname(self.write(f"bin/{name}", "#!/bin/sh\n" + text, 0o755))

    def shell(self, script, env, cwd, prefix=("bash", "-e", "-c")):
        process = subprocess.run(
            [*prefix, script], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
        self.assertEqual(process.returncode, 0, f"{script}\n{process.stdout}")
        self.assertNotIn(PASSWORD, process.stdout)
        return process.stdout

    def pushed(self, repository, tag):
        """The digest of what the registry has under a tag."""
        return digest(self.registry.manifest(repository, tag, OCI_MANIFEST, basic("alice", PASSWORD)))

    def uploads(self):
        return [request for request in self.registry.requests() if request[0] in ("PUT", "POST")]


class GitHub(CiTestCase):
    """Each job on a machine of its own: nothing is the same but the cache."""

    def job(self, number, event="push", cache=None):
        [workflow] = load("github/image.yml")
        [job] = workflow["jobs"].values()
        machine = self.path(f"machine{number}")
        temp, store, output = (os.path.join(machine, name) for name in ("temp", "store", "output"))
        os.makedirs(temp)
        values = {
            "vars.MKIMG_URL": "file://" + os.path.abspath(MKIMG), "vars.MKIMG_SHA256": digest(os.path.abspath(MKIMG))[7:],
            "secrets.GITHUB_TOKEN": PASSWORD, "runner.temp": temp, "github.ref_name": "main", "github.run_id": str(number),
            "github.event_name != 'pull_request'": event != "pull_request",
            "github.event_name != 'pull_request' && '--push' || ''": "" if event == "pull_request" else "--push"}

        def expand(text):
            return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: values[match[1]], str(text))

        environment = {
            "PATH": self.program("sudo", 'exec "$@"\n') + ":" + os.environ["PATH"], "HOME": os.path.join(machine, "home"),
            "RUNNER_TEMP": temp, "GITHUB_OUTPUT": output, "GITHUB_ACTOR": "alice", "GITHUB_REPOSITORY": "Team/App",
            "GITHUB_SHA": "5ca1ab1e", **job["env"],
            # In place of what the file says of the world outside.
            "REGISTRY": self.registry.host(), "STORE": store}
        self.assertLessEqual({"REGISTRY", "STORE"}, job["env"].keys())
        workspace, said, used, archive = self.project(os.path.join(machine, "work")), {}, [], None
        for step in job["steps"]:
            if "uses" in step:
                used.append(step["uses"].split("@")[0])
                if used[-1] == "actions/cache":
                    archive = expand(step["with"]["path"])
                    expand(step["with"]["key"] + step["with"]["restore-keys"])
                    if cache:
                        shutil.copy(cache, archive)
                continue
            if "if" in step and not values[step["if"]]:
                continue
            env = {**environment, **{name: expand(value) for name, value in step.get("env", {}).items()}}
            said[step["name"]] = self.shell(step["run"], env, workspace)
        self.assertEqual(used, ["actions/checkout", "actions/cache"])
        with open(output, encoding="utf-8") as file:
            outputs = dict(line.rstrip("\n").split("=", 1) for line in file)
        for name, value in job["outputs"].items():
            self.assertEqual(value, "${{ steps.build.outputs.%s }}" % name)
            self.assertIn(name, outputs)
        self.assertEqual([step["name"] for step in job["steps"] if step.get("id") == "build"], ["Build and push"])
        self.assertTrue(os.path.isfile(archive))
        return said, outputs["digest"], archive

    def test_a_push_builds_pushes_and_tells_the_digest(self):
        said, told, archive = self.job(1)
        self.assertIn("DONE", said["Build and push"])
        self.assertEqual(told, self.pushed("team/app", "5ca1ab1e"))
        self.assertEqual(told, self.pushed("team/app", "latest"))
        again, told, _ = self.job(2, cache=archive)
        self.assertIn("nothing to run", again["Build and push"])
        self.assertEqual(told, self.pushed("team/app", "latest"))

    def test_a_pull_request_builds_and_pushes_nothing(self):
        said, told, archive = self.job(1, event="pull_request")
        self.assertNotIn("Log in", said)
        self.assertEqual((told, self.uploads()), ("", []))
        again, _, _ = self.job(2, event="pull_request", cache=archive)
        self.assertIn("nothing to run", again["Build and push"])

    def test_a_program_that_is_not_the_one_is_not_run(self):
        [workflow] = load("github/image.yml")
        [step] = [step for step in workflow["jobs"]["image"]["steps"] if step.get("name") == "Get mkimg"]
        other = self.write("other", "#!/bin/sh\n")
        result = subprocess.run(
            ["bash", "-e", "-c", step["run"]], stdin=subprocess.DEVNULL, capture_output=True, check=False,
            env={**os.environ, "RUNNER_TEMP": self.dir, "MKIMG_URL": "file://" + other, "MKIMG_SHA256": "0" * 64})
        self.assertNotEqual(result.returncode, 0)
        self.assertFalse(os.access(self.path("mkimg"), os.X_OK))


class GitLab(CiTestCase):
    """As a plain user in containers of their own: nothing is the same but the cache."""

    def job(self, number, cache=None):
        [pipeline] = load("gitlab/.gitlab-ci.yml")
        [(name, job)] = pipeline.items()
        # Words that GitLab takes for something else than a job.
        self.assertNotIn(name, ("image", "services", "stages", "before_script", "after_script", "variables", "cache", "include", "default"))
        self.assertEqual(job["image"], "$MKIMG_IMAGE")
        machine = self.path(f"machine{number}")
        os.makedirs(machine)
        mkimg = RootlessMkimg(machine)
        workspace = self.project(os.path.join(machine, "work"))
        [archive] = (os.path.join(workspace, path) for path in job["cache"]["paths"])
        if cache:
            shutil.copy(cache, archive)
        os.mkdir(mkimg.root, 0o700)
        for path in (mkimg.root, workspace):
            os.chown(path, mkimg.user.pw_uid, mkimg.user.pw_gid)
        environment = {
            "PATH": machine + ":" + os.environ["PATH"], "HOME": os.path.dirname(mkimg.root), "MKIMG_ROOT": mkimg.root,
            "CI_REGISTRY": self.registry.host(), "CI_REGISTRY_IMAGE": self.registry.host() + "/team/app",
            "CI_REGISTRY_USER": "alice", "CI_REGISTRY_PASSWORD": PASSWORD, "CI_COMMIT_SHA": "5ca1ab1e",
            "CI_COMMIT_REF_SLUG": "main"}
        script = "\n".join([*job["before_script"], *job["script"]])
        said = self.shell(script, environment, workspace, (
            "setpriv", f"--reuid={mkimg.user.pw_uid}", f"--regid={mkimg.user.pw_gid}", "--clear-groups", "sh", "-e", "-c"))
        with open(os.path.join(workspace, job["artifacts"]["reports"]["dotenv"]), encoding="utf-8") as file:
            name, told = file.read().strip().split("=")
        self.assertEqual(name, "IMAGE_DIGEST")
        for tag in ("5ca1ab1e", "main"):
            self.assertEqual(told, self.pushed("team/app", tag))
        return said, archive

    def test_it_builds_pushes_and_tells_the_digest(self):
        said, archive = self.job(1)
        self.assertIn("DONE", said)
        said, _ = self.job(2, archive)
        self.assertIn("nothing to run", said)


class Kubernetes(CiTestCase):
    def setUp(self):
        super().setUp()
        [self.job] = load("kubernetes/job.yml")
        self.pod = self.job["spec"]["template"]["spec"]
        self.containers = self.pod["initContainers"] + self.pod["containers"]

    def test_the_fields_that_matter(self):
        self.assertEqual((self.job["apiVersion"], self.job["kind"]), ("batch/v1", "Job"))
        self.assertRegex(self.job["metadata"]["generateName"], r"^[a-z][a-z-]*-$")
        self.assertEqual(self.pod["restartPolicy"], "Never")
        self.assertIs(self.pod["hostUsers"], False)
        volumes = {volume["name"]: volume for volume in self.pod["volumes"]}
        self.assertEqual(len(volumes), len(self.pod["volumes"]))
        used = set()
        for container in self.containers:
            self.assertRegex(container["name"], r"^[a-z][a-z0-9-]*$")
            self.assertTrue(container["image"])
            paths = [mount["mountPath"] for mount in container["volumeMounts"]]
            self.assertEqual(len(set(paths)), len(paths))
            self.assertTrue(all(os.path.isabs(path) for path in paths))
            used |= {mount["name"] for mount in container["volumeMounts"]}
            for variable in container["env"]:
                self.assertIsInstance(variable["value"], str)
        self.assertEqual(used, volumes.keys())
        self.assertEqual(volumes["store"].keys(), {"name", "emptyDir"})
        self.assertEqual(volumes["registry"]["secret"]["items"], [{"key": ".dockerconfigjson", "path": "config.json"}])
        [container] = self.pod["containers"]
        context = container["securityContext"]
        self.assertNotIn("privileged", context)
        self.assertEqual(context["capabilities"], {"add": ["SYS_ADMIN"]})
        # mkimg's folders are where the volumes are.
        env = {variable["name"]: variable["value"] for variable in container["env"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        self.assertEqual((env["MKIMG_ROOT"], env["DOCKER_CONFIG"]), (mounts["store"], mounts["registry"]))

    def test_it_clones_builds_pushes_and_tells_the_digest(self):
        repository = self.project(self.path("repository"))
        git = ["git", "-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.com"]
        for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "first"]):
            subprocess.run(git + arguments, check=True)
        # The Secret, made as the file says.
        path = {"PATH": self.program("mkimg", f'exec "{os.path.abspath(MKIMG)}" "$@"\n') + ":" + os.environ["PATH"]}
        self.shell(f"printf %s {PASSWORD} | DOCKER_CONFIG=registry mkimg login --username alice --password-stdin {self.registry.host()}",
                   {**path, "HOME": self.path("home")}, self.dir)
        with open(self.path("registry/config.json"), encoding="utf-8") as file:
            self.assertEqual(list(json.load(file)["auths"]), [self.registry.host()])
        os.makedirs(self.path("store"))
        places = {"/workspace": self.path("workspace"), "/var/lib/mkimg": self.path("store"), "/run/secrets/registry": self.path("registry"),
                  "/dev/termination-log": self.path("message"), "/tmp/metadata.json": self.path("metadata.json")}
        self.assertLessEqual({mount["mountPath"] for container in self.containers for mount in container["volumeMounts"]}, places.keys())
        here = {"REPOSITORY": repository, "IMAGE": self.registry.host() + "/team/app:latest"}

        def placed(text):
            return re.sub("|".join(map(re.escape, places)), lambda match: places[match[0]], text)

        for container in self.containers:
            env = {variable["name"]: here.get(variable["name"], placed(variable["value"])) for variable in container["env"]}
            argv = [re.sub(r"\$\((\w+)\)", lambda match: env[match[1]], placed(word))
                    for word in container["command"] + container.get("args", [])]
            self.shell(argv[-1], {**path, **env, "HOME": self.path("home")}, self.dir, argv[:-1])
        with open(self.path("message"), encoding="utf-8") as file:
            self.assertEqual(file.read(), self.pushed("team/app", "latest") + "\n")


class Image(TestCase):
    """The image that holds mkimg."""

    def setUp(self):
        super().setUp()
        for name in ("samples/ci/Dockerfile", "samples/ci/Dockerfile.dockerignore"):
            os.makedirs(os.path.dirname(self.path("mkimg", name)), exist_ok=True)
            shutil.copy(PROJECT / name, self.path("mkimg", name))
        os.makedirs(self.path("mkimg/build/release/rest"))
        shutil.copy(MKIMG, self.path("mkimg/build/release/mkimg"))

    def build(self, *options):
        return self.mkimg.ok(
            "build", "--build-arg", "MKIMG=built", *options, "-f", self.path("mkimg/samples/ci/Dockerfile"), self.path("mkimg"), timeout=900)

    def test_it_holds_the_program_and_what_that_needs(self):
        base = PROJECT / "build" / "debian.tar"
        subprocess.run([PROJECT / "scripts/debian-base", base], check=True)
        self.mkimg.ok("import", base, "debian:bookworm-slim")
        self.build("-t", "ci")
        config = self.mkimg.ok("inspect", "ci").json()["config"]["config"]
        self.assertEqual((config["User"], list(config["Volumes"])), ("mkimg", ["/var/lib/mkimg"]))
        said = self.mkimg.ok(
            "run", "ci", "sh", "-c", "id -u; stat -c '%a %U' $MKIMG_ROOT; sha256sum < /usr/local/bin/mkimg; cat /etc/subuid;"
            "/sbin/getcap /usr/bin/newuidmap /usr/bin/newgidmap; jq --version").stdout
        self.assertEqual(said.splitlines()[:-1], [
            "1000", "700 mkimg", digest(os.path.abspath(MKIMG))[7:] + "  -", "mkimg:100000:65536",
            "/usr/bin/newuidmap cap_setuid=ep", "/usr/bin/newgidmap cap_setgid=ep"])

    def test_the_program_alone(self):
        self.build("--target", "mkimg", "-o", self.path("out"))
        self.assertEqual(os.listdir(self.path("out")), ["mkimg"])
        self.assertEqual(digest(self.path("out/mkimg")), digest(os.path.abspath(MKIMG)))

    def test_what_it_compiles_is_there(self):
        recipe = self.mkimg.ok("parse", "-f", CI / "Dockerfile").json()
        self.assertIn("compile", json.dumps(recipe))
        for name in ("scripts/packages", "CMakePresets.json", "CMakeLists.txt"):
            self.assertTrue((PROJECT / name).exists())


class Options(TestCase):
    def test_every_option_exists(self):
        uses = []
        for path in CI.rglob("*"):
            if path.is_file():
                text = re.sub(r"\\\n\s*(# +)?", " ", path.read_text(encoding="utf-8"))
                uses += re.findall(r"""\bmkimg"?(?: --root \S+)? ([a-z]+)((?: +[^\s|&>#`]+)*)""", text)
        known = {}
        found = set()
        for command, arguments in uses:
            options = re.findall(r"(?<=\s)--?[a-z][a-z-]*", " " + arguments)
            if not options:
                continue
            if command not in known:
                known[command] = set(re.findall(r"--?[a-z][a-z-]*", self.mkimg.ok("help", command).stdout))
            found.add(command)
            self.assertLessEqual(set(options), known[command], command + arguments)
        self.assertEqual(found, {"build", "login", "prune"})


if __name__ == "__main__":
    unittest.main()
