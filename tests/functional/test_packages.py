"""The main job on real input: Debian packages and a compiled program, as root and as an ordinary user."""

import os
import pathlib
import subprocess
import unittest

from support import TestCase
from support.rootless import RootlessMkimg

PROJECT = pathlib.Path(__file__).resolve().parents[2]
EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}

# openssh-client brings a setgid program and a group, dbus a user and a setuid helper of group messagebus,
# iputils-ping a file capability.
PACKAGES = """\
FROM debian
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
    openssh-client dbus iputils-ping && rm -rf /var/lib/apt/lists/*
"""
CHECK = r"""
find / -xdev -perm /6000 -type f -exec stat -c '%a %u %n' {} + | sort -k3
stat -c '%G' /usr/bin/ssh-agent /usr/lib/dbus-1.0/dbus-daemon-launch-helper
getent passwd messagebus | cut -d: -f1,6
"""
COMPILED = """\
FROM debian AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
WORKDIR /src
COPY hello.c .
RUN gcc -O2 -static -o /hello hello.c
FROM scratch
COPY --from=build /hello /hello
ENTRYPOINT ["/hello"]
"""
HELLO = '#include <stdio.h>\nint main(int c, char **v) { return printf("hello, %s\\n", c > 1 ? v[1] : "world") < 0; }\n'


class AsRoot(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = PROJECT / "build" / "debian.tar"
        subprocess.run([PROJECT / "scripts/debian-base", cls.base], check=True)

    def setUp(self):
        super().setUp()
        os.chmod(self.dir, 0o755)
        self.program = self.make_program()
        with open(self.base, "rb") as tar:
            self.program.ok("import", "-", "debian", stdin=tar.read())

    def make_program(self):
        return self.mkimg

    def test_users_setuid_programs_and_capabilities(self):
        self.write("context/Dockerfile", PACKAGES)
        self.program.ok("build", "-t", "packages", self.path("context"), timeout=900)
        shown = self.program.ok("run", "packages", "sh", "-c", CHECK).stdout.splitlines()
        self.assertIn("4755 0 /usr/bin/passwd", shown)
        self.assertIn("2755 0 /usr/bin/ssh-agent", shown)
        self.assertIn("4754 0 /usr/lib/dbus-1.0/dbus-daemon-launch-helper", shown)
        self.assertEqual(shown[-3:], ["_ssh", "messagebus", "messagebus:/nonexistent"])
        # cap_net_raw=ep of ping, as the kernel keeps it and as the archive must hold it.
        archive = os.path.join(os.path.dirname(self.program.root), "packages.tar")
        self.program.ok("save", "-o", archive, "packages")
        copied = subprocess.run(["skopeo", "copy", "-q", f"oci-archive:{archive}", f"oci:{self.path('layout')}:x"], check=False)
        self.assertEqual(copied.returncode, 0)
        subprocess.run(["umoci", "unpack", "--image", f"{self.path('layout')}:x", self.path("bundle")], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ping = self.path("bundle/rootfs/usr/bin/ping")
        self.assertEqual(os.getxattr(ping, "security.capability").hex(), "0100000200200000000000000000000000000000")

    def test_a_program_compiled_in_one_stage_and_copied_into_another(self):
        self.write("context/Dockerfile", COMPILED)
        self.write("context/hello.c", HELLO)
        self.program.ok("build", "-t", "hello", self.path("context"), timeout=900)
        self.assertEqual(self.program.ok("run", "hello", "there").stdout, "hello, there\n")
        # The archive runs elsewhere too.
        archive = os.path.join(os.path.dirname(self.program.root), "hello.tar")
        self.program.ok("save", "-o", archive, "hello")
        peer = ["buildah", "--root", self.path("b"), "--runroot", self.path("r"), "--storage-driver", "vfs"]
        container = subprocess.run([*peer, "from", f"oci-archive:{archive}"], capture_output=True, text=True, check=True).stdout.strip()
        said = subprocess.run([*peer, "run", "--isolation", "chroot", container, "/hello", "peer"],
                              capture_output=True, text=True, check=True).stdout
        self.assertEqual(said, "hello, peer\n")
        subprocess.run([*peer, "rm", container], check=True, capture_output=True)


class AsAnOrdinaryUser(AsRoot):
    def make_program(self):
        return RootlessMkimg(self.dir)


if __name__ == "__main__":
    unittest.main()
