"""A SOCKS5 proxy (RFC 1928) that leads to one port of this machine, whatever it is asked for."""

import contextlib
import select
import socket
import socketserver
import struct
import threading


def _relay(one, other):
    """Until either side closes."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            data = ready.recv(1 << 16)
            if not data:
                return
            (other if ready is one else one).sendall(data)


class SocksProxy:
    NO_AUTHENTICATION, GSSAPI = 0, 1

    def __init__(self, port, method=NO_AUTHENTICATION):
        """Chooses `method`, whether it was offered or not."""
        self.target, self.method = port, method
        self.offered = []  # the methods of each client, a byte each
        self.asked = []    # (name, port)
        owner = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                with contextlib.suppress(ConnectionError, struct.error, IndexError):
                    owner._serve(self.rfile, self.connection)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, user=""):
        return f"socks5h://{user}{'@' if user else ''}127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def _serve(self, reader, client):
        _version, count = reader.read(2)
        self.offered.append(reader.read(count))
        client.sendall(bytes([5, self.method]))
        if self.method != self.NO_AUTHENTICATION:
            client.sendall(bytes([1, 1, 0, 0]))  # a token of the GSS-API, RFC 1961, of no bytes
            reader.read(1)
            return
        reader.read(4)  # version, CONNECT, reserved, a name
        name = reader.read(reader.read(1)[0]).decode()
        self.asked.append((name, *struct.unpack("!H", reader.read(2))))
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            client.sendall(bytes([5, 0, 0, 1, 127, 0, 0, 1]) + struct.pack("!H", self.target))
            _relay(client, server)
