"""A private certificate authority of the tests', made by openssl."""

import os
import subprocess


def _openssl(*arguments):
    subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True)


class Authority:
    """Has its certificate in `ca`; server() and client() give the paths of a certificate and its key."""

    def __init__(self, folder, name="mkimg test authority"):
        os.makedirs(folder, exist_ok=True)
        self.folder = str(folder)
        self.ca = self._path("ca.crt")
        self._key = self._path("ca.key")
        _openssl("req", "-x509", *self._new_key(self._key), "-out", self.ca, "-days", "2", "-subj", f"/CN={name}",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,digitalSignature")
        self._made = {}

    def server(self, names=("IP:127.0.0.1", "DNS:localhost")):
        return self._issue("server", ",".join(names))

    def client(self, user):
        return self._issue("client-" + user, "DNS:" + user)

    def _path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def _new_key(path):
        return "-newkey", "rsa:2048", "-nodes", "-keyout", path

    def _issue(self, name, alternatives):
        if (name, alternatives) not in self._made:
            stem = self._path(f"{name}-{len(self._made)}")
            _openssl("req", *self._new_key(stem + ".key"), "-out", stem + ".csr", "-subj", f"/CN={name}",
                     "-addext", f"subjectAltName={alternatives}")
            _openssl("x509", "-req", "-in", stem + ".csr", "-CA", self.ca, "-CAkey", self._key, "-CAcreateserial",
                     "-days", "2", "-copy_extensions", "copy", "-out", stem + ".crt")
            self._made[name, alternatives] = (stem + ".crt", stem + ".key")
        return self._made[name, alternatives]
