"""The instructions and options of mkimg build, each through the program."""

import json
import os
import signal
import subprocess
import time
import unittest

from support import MKIMG
from support.builds import BuildTestCase, mounts_below, processes_with


class Steps(BuildTestCase):
    def test_run_forms(self):
        self.build('FROM base\nRUN echo shell > /a\nRUN ["sh", "-c", "echo exec > /b"]\n'
                   "RUN <<EOF\necho here > /c\necho doc >> /c\nEOF\n"
                   'RUN cat <<"X" > /d\n$HOME\nX\n'
                   "RUN <<EOF\n#!/bin/awk -f\nBEGIN { print \"awk\" > \"/e\" }\nEOF\n", "-t", "app")
        out = self.in_image("app", "cat", "/a", "/b", "/c", "/d", "/e")
        self.assertEqual(out, "shell\nexec\nhere\ndoc\n$HOME\nawk\n")

    def test_run_sees_env_args_user_directory_and_nothing_else(self):
        self.build("FROM base\nENV A=1\nARG B=2\nENV PATH=/bin\nUSER app\nWORKDIR /home/app\nRUN env | sort > /tmp/env; id > /tmp/id; pwd > /tmp/pwd\n",
                   "-t", "app", env={"LEAKED": "host"})
        self.assertEqual(self.in_image("app", "cat", "/tmp/env"),
                         "A=1\nB=2\nHOME=/home/app\nPATH=/bin\nPWD=/home/app\n" + "SHLVL=1\n")
        self.assertEqual(self.in_image("app", "cat", "/tmp/id"),
                         "uid=1000(app) gid=1000(app) groups=1000(app),2000(extra)\n")
        self.assertEqual(self.in_image("app", "cat", "/tmp/pwd"), "/home/app\n")

    def test_run_stdin_is_empty_and_network_none_has_only_lo(self):
        self.build("FROM base\nRUN cat > /in\nRUN --network=none ls /sys/class/net > /net\n", "-t", "app", stdin="x")
        self.assertEqual(self.in_image("app", "cat", "/in", "/net"), "lo\n")

    def test_a_step_that_changes_nothing_makes_no_layer(self):
        image = self.image_id("FROM base\nRUN true\nENV A=1\nRUN echo x > /x && rm /x\n")
        config = self.config(image)
        self.assertEqual(len(config["rootfs"]["diff_ids"]), 1)
        self.assertEqual([entry.get("empty_layer", False) for entry in config["history"]], [False, True, True, True])

    def test_mount_points_leave_no_trace(self):
        image = self.image_id("FROM scratch\nCOPY busybox /bin/sh\nRUN [\"/bin/sh\", \"-c\", \"true\"]\n",
                              files={"busybox": self.read("/bin/busybox", "rb")})
        # Without the mode bit the program can't run, so it is there from the context.
        self.assertEqual(len(self.config(image)["rootfs"]["diff_ids"]), 1)

    def context(self, recipe, files=(), name="context"):
        path = super().context(recipe, files, name)
        if "busybox" in dict(files):
            os.chmod(os.path.join(path, "busybox"), 0o755)
        return path

    def test_stages_are_pruned_and_copied_from(self):
        result = self.build("FROM base AS unused\nRUN false\nFROM base AS build\nRUN echo made > /made\n"
                            "FROM base\nCOPY --from=build /made /a\nCOPY --from=1 /made /b\n", "-t", "app")
        self.assertNotIn("unused", result.stderr)
        self.assertEqual(self.in_image("app", "cat", "/a", "/b"), "made\nmade\n")

    def test_target_by_name_and_number(self):
        recipe = "FROM base AS one\nRUN echo 1 > /n\nFROM one AS two\nRUN echo 2 > /n\n"
        for target, content in (("one", "1\n"), ("0", "1\n"), ("TWO", "2\n")):
            self.build(recipe, "--target", target, "-t", "app")
            self.assertEqual(self.in_image("app", "cat", "/n"), content)
        self.assertIn("one, two", self.build_fails(2, recipe, "--target", "three").stderr)

    def test_onbuild_triggers_run_once_in_the_child(self):
        self.build("FROM base\nONBUILD RUN echo triggered >> /log\nONBUILD COPY f /f\n", "-t", "parent", files={"f": "1"})
        self.build("FROM parent\nRUN echo child >> /log\n", "-t", "child", files={"f": "2"})
        self.assertEqual(self.in_image("child", "cat", "/log", "/f"), "triggered\nchild\n2")
        image = self.image_id("FROM child\nRUN echo grandchild >> /log\n", "-t", "grandchild")
        self.assertEqual(self.in_image("grandchild", "cat", "/log"), "triggered\nchild\ngrandchild\n")
        self.assertNotIn("OnBuild", {k: v for k, v in self.config(image)["config"].items() if v})

    def test_workdir_chains_and_is_made(self):
        image = self.image_id("FROM base\nENV D=deep\nWORKDIR /srv\nWORKDIR a/$D\nWORKDIR ../b\nRUN pwd > /pwd\n", "-t", "app")
        self.assertEqual(self.config(image)["config"]["WorkingDir"], "/srv/a/b")
        self.assertEqual(self.in_image("app", "cat", "/pwd"), "/srv/a/b\n")

    def test_an_arg_again_without_a_value_keeps_its_default(self):
        self.build("FROM base\nARG A=1\nARG A\nRUN echo $A > /a\n", "-t", "app")
        self.assertEqual(self.in_image("app", "cat", "/a"), "1\n")

    def test_a_line_rewritten_with_carriage_returns_is_shown_as_a_terminal_would(self):
        result = self.build("FROM base\nRUN printf '10%%\\r50%%\\r100%%\\r\\n'\n")
        self.assertRegex(result.stderr, r"(?m)^#1 \d+\.\d+ 100%$")
        self.assertIn("(1 step ran, 0 were cached)", result.stderr)

    def test_add_host(self):
        self.build("FROM base\nRUN cp /etc/hosts /h\n", "-t", "app", "--add-host", "db:10.0.0.5", "--add-host", "six:::1")
        hosts = [line.split() for line in self.in_image("app", "cat", "/h").splitlines()]
        self.assertIn(["10.0.0.5", "db"], hosts)
        self.assertIn(["::1", "six"], hosts)

    def test_config_instructions(self):
        image = self.image_id(
            "FROM base\nLABEL a=1 b=\"two words\"\nMAINTAINER me <me@example.org>\nEXPOSE 80 53/udp\nVOLUME /data /cache\n"
            "USER app\nSTOPSIGNAL SIGINT\nHEALTHCHECK --interval=5s CMD true\nENTRYPOINT [\"/bin/e\"]\nCMD [\"x\"]\n",
            "--label", "c=3")
        config = self.config(image)
        self.assertEqual(config["author"], "me <me@example.org>")
        inner = config["config"]
        self.assertEqual(inner["Labels"], {"a": "1", "b": "two words", "c": "3"})
        self.assertEqual(inner["ExposedPorts"], {"80/tcp": {}, "53/udp": {}})
        self.assertEqual(inner["Volumes"], {"/data": {}, "/cache": {}})
        self.assertEqual((inner["User"], inner["StopSignal"]), ("app", "SIGINT"))
        self.assertEqual(inner["Healthcheck"], {"Test": ["CMD-SHELL", "true"], "Interval": 5000000000})
        self.assertEqual((inner["Entrypoint"], inner["Cmd"]), (["/bin/e"], ["x"]))

    def test_history_reads_like_the_recipe_and_holds_no_arg_value(self):
        image = self.image_id("FROM base\nARG TOKEN\nRUN echo $TOKEN > /dev/null\nENV A=1\n", "--build-arg", "TOKEN=hunter2")
        config = json.dumps(self.config(image))
        self.assertNotIn("hunter2", config)
        self.assertEqual([entry["created_by"] for entry in self.config(image)["history"]][1:],
                         ["ARG TOKEN", "RUN echo $TOKEN > /dev/null", "ENV A=1"])

    def test_a_recipe_from_stdin_and_from_elsewhere(self):
        os.makedirs(self.path("empty"))
        result = self.mkimg.ok("build", "-q", "-f", "-", self.path("empty"), stdin="FROM base\nENV A=stdin\n")
        self.assertIn("A=stdin", self.config(result.stdout.strip())["config"]["Env"])
        result = self.mkimg.ok("build", "-q", "-", stdin="FROM base\nENV A=alone\n")
        self.assertIn("A=alone", self.config(result.stdout.strip())["config"]["Env"])
        recipe = self.write("elsewhere/My.recipe", "FROM base\nCOPY . /all\n")
        self.write("elsewhere/My.recipe.dockerignore", "secret\n")
        self.write("ctx/secret", "1")
        self.write("ctx/plain", "2")
        self.mkimg.ok("build", "-t", "app", "-f", recipe, self.path("ctx"))
        self.assertEqual(self.in_image("app", "ls", "/all"), "plain\n")

    def test_a_context_from_a_tar_on_stdin(self):
        context = self.context("FROM base\nCOPY f /f\n", {"f": "from a tar\n"})
        tar = subprocess.run(["tar", "-C", context, "-cz", "."], capture_output=True, check=True).stdout
        self.mkimg.ok("build", "-t", "app", "-", stdin=tar)
        self.assertEqual(self.in_image("app", "cat", "/f"), "from a tar\n")

    def test_containerfile_is_found(self):
        self.write("ctx/Containerfile", "FROM base\nENV FOUND=yes\n")
        image = self.mkimg.ok("build", "-q", self.path("ctx")).stdout.strip()
        self.assertIn("FOUND=yes", self.config(image)["config"]["Env"])

    def test_output_files(self):
        result = self.build("FROM base\nRUN echo x > /x\n", "-t", "app:1", "--iidfile", self.path("iid"), "--metadata-file",
                            self.path("meta"), "-o", f"type=oci,dest={self.path('a.tar')}")
        image = self.config_id("app:1")
        self.assertEqual(self.read(self.path("iid")), image)
        meta = json.loads(self.read(self.path("meta")))
        self.assertEqual(meta["containerimage.config.digest"], image)
        self.assertEqual(meta["image.name"], "docker.io/library/app:1")
        shown = json.loads(subprocess.run(["skopeo", "inspect", f"oci-archive:{self.path('a.tar')}"],
                                          capture_output=True, check=True).stdout)
        self.assertEqual(meta["containerimage.digest"], shown["Digest"])
        self.assertIn(image, result.stderr)

    def test_an_archive_on_stdout_stands_alone(self):
        result = self.build("FROM base\nRUN echo x > /x\n", "-q", "-o", "type=oci,dest=-")
        archive = self.write("out.tar", result.raw)
        shown = json.loads(subprocess.run(["skopeo", "inspect", "--config", f"oci-archive:{archive}"],
                                          capture_output=True, check=True).stdout)
        self.assertEqual(len(shown["rootfs"]["diff_ids"]), 2)
        self.assertEqual(len(result.raw) % 512, 0)
        self.assertRegex(result.stderr, "^sha256:[0-9a-f]{64}\n$")

    def test_commands_start_with_default_signals(self):
        # Exec form: a shell would ignore signals of its own choice.
        self.build('FROM base\nRUN ["cp", "/proc/self/status", "/s"]\n', "-t", "app")
        self.assertEqual(self.in_image("app", "grep", "-E", "^Sig(Ign|Blk):", "/s"), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")

    def config_id(self, name):
        for image in self.mkimg.ok("images", "--format", "json").json():
            if name in json.dumps(image):
                return next(value for value in image.values() if isinstance(value, str) and value.startswith("sha256:"))
        raise AssertionError(f"{name} is not listed")

    def test_from_archives(self):
        self.build("FROM base\nRUN echo x > /x\n", "-t", "app", "-o", f"type=oci,dest={self.path('a.tar')}",
                   "-o", f"type=docker,dest={self.path('d.tar')}", "-o", f"type=oci,tar=false,dest={self.path('layout')}")
        for base in (f"oci-archive:{self.path('a.tar')}", f"docker-archive:{self.path('d.tar')}",
                     f"oci-layout://{self.path('layout')}"):
            self.build(f"FROM {base}\nRUN echo y >> /x\n", "-t", "child")
            self.assertEqual(self.in_image("child", "cat", "/x"), "x\ny\n")


class Failures(BuildTestCase):
    def test_a_failing_command_is_reported_whole(self):
        result = self.build_fails(1, "FROM base\nENV A=1\nRUN echo some output; \\\n    echo last words >&2; exit 7\n")
        for part in ("Dockerfile:3:1: error:", "3 | RUN echo some output; \\", "exit status 7", "last words", "/logs/"):
            self.assertIn(part, result.stderr)
        log = result.stderr.split("the whole output: ")[1].split("\n")[0]
        self.assertIn("some output\n", self.read(log))
        self.assertEqual(self.mkimg.ok("images", "--format", "json").stdout.count("sha256:"), 1)

    def test_a_signal_is_named(self):
        self.assertIn("SIGSEGV", self.build_fails(1, "FROM base\nRUN kill -SEGV $$\n").stderr)

    def test_a_missing_command(self):
        self.assertIn("not found in the image", self.build_fails(1, 'FROM base\nRUN ["/nope"]\n').stderr)

    def test_all_faults_of_a_recipe_at_once(self):
        result = self.build_fails(2, "FROM base\nRUNN x\nCOPY a\nRUN --mount=type=cache,target=/c true\nADD https://example.org/x /\n")
        self.assertIn("Dockerfile:2:1: error:", result.stderr)
        self.assertIn("Dockerfile:3:6: error:", result.stderr)

    def test_not_supported_yet_is_told_before_anything_runs(self):
        result = self.build_fails(2, "FROM base\nRUN touch /ran\nRUN --mount=type=cache,target=/c true\n"
                                     "ADD https://example.org/x /\nCOPY --link Dockerfile /\n")
        for line in (3, 4, 5):
            self.assertIn(f"Dockerfile:{line}:", result.stderr)
        self.assertEqual(result.stderr.count("not supported yet"), 3)
        self.assertNotIn("#1 ", result.stderr)

    def test_wrong_usage(self):
        context = self.context("FROM base\n")
        for arguments, words in (
                ((), "required"), (("/nonexistent",), "does not exist"), ((context, "-t", "UPPER"), "lowercase"),
                ((context, "--unknown"), "unknown flag --unknown"), ((context, "--targe", "x"), "did you mean --target"),
                ((context, "-f", "nope"), "nope"), ((context, "--platform", "linux/s390x"), "not supported yet"),
                ((context, "-o", "type=nope"), "nope"), ((context, "--network", "moon"), "moon"),
                ((context, "--source-date-epoch", "yesterday"), "yesterday"),
                ((context, "--add-host", "h:1.1.1.1\nevil"), "address"), ((context, "--add-host", "q:notanip"), "notanip"),
                ((context, "--jobs", "-1"), "--jobs"), ((context, "--jobs", "0"), "--jobs"),
                ((context, "-t", "scratch"), "reserved")):
            result = self.mkimg.fails(2, "build", *arguments)
            self.assertIn(words, result.stderr.replace("lower-case", "lowercase").replace("lower case", "lowercase"))

    def test_unknown_base_offers_the_nearest(self):
        result = self.build_fails(1, "FROM basee\n", "--pull=never")
        self.assertIn("Dockerfile:1:", result.stderr)
        self.assertIn("--pull=never asks no registry", result.stderr)
        self.assertIn("did you mean base", result.stderr)

    def test_unused_build_arg_is_a_warning(self):
        self.assertIn("NOPE", self.build("FROM base\n", "--build-arg", "NOPE=1").stderr)

    def test_copy_errors_say_what_happened(self):
        result = self.build_fails(1, "FROM base\nCOPY app.conf /\n", files={".dockerignore": "# c\n\n*.conf\n", "app.conf": ""})
        self.assertIn("Dockerfile:2:", result.stderr)
        self.assertIn(".dockerignore:3", result.stderr)
        self.assertIn("*.conf", result.stderr)

    def test_ctrl_c_ends_it_cleanly(self):
        context = self.context("FROM base\nRUN echo started; sleep 1000.7531\n")
        process = subprocess.Popen([MKIMG, "--root", self.mkimg.root, "build", context], stderr=subprocess.PIPE)
        while b"started" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        process.stderr.read()
        self.assertEqual(process.wait(timeout=20), 130)
        deadline = time.monotonic() + 10
        while processes_with("sleep 1000.7531") and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(processes_with("sleep 1000.7531"), [])
        self.assertEqual(mounts_below(self.dir), [])
        self.assertEqual(os.listdir(os.path.join(self.mkimg.root, "tmp")), [])


if __name__ == "__main__":
    unittest.main()
