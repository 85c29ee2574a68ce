"""HTTP/1.1 servers of the tests': they record every request, speak TLS where asked, and misbehave by a list of faults.

A server answers each request with a Reply; a Fault may put another in its place, or break the connection."""

import http.client
import http.server
import json
import os
import re
import select
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field


class Reset(Exception):
    """Raised while a reply is written: the connection ends with a TCP reset."""


class Hangup(Exception):
    """Raised while a reply is written: the connection ends as if all were well (FIN)."""


@dataclass
class Request:
    method: str
    target: str      # as it was sent: path and query
    headers: dict    # names in lower case
    connection: int  # the client's port
    body: bytes = b""
    whole: bool = True  # all of its body was read
    status: int = 0     # of the answer
    sent: int = 0       # bytes of the answer's body

    @property
    def path(self):
        return urllib.parse.urlsplit(self.target).path

    @property
    def query(self):
        """The last value of each name."""
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.target).query, keep_blank_values=True))

    @property
    def queries(self):
        """All values by name."""
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.target).query, keep_blank_values=True)

    @property
    def form(self):
        """All values by name of a body of that kind."""
        return urllib.parse.parse_qs(self.body.decode(), keep_blank_values=True)

    def __str__(self):
        return f"{self.method} {self.target} {self.status} ({len(self.body)} in, {self.sent} out)"


@dataclass
class Reply:
    status: int = 200
    headers: dict = field(default_factory=dict)
    # Bytes, or an iterator of bytes that may raise Reset or Hangup: sent in chunks, unless a Content-Length is given.
    body: object = b""
    raw: object = None  # a function of the open socket that writes the whole answer itself

    def with_headers(self, headers):
        """The same with other headers; None takes one away."""
        merged = {**self.headers, **headers}
        return Reply(self.status, {name: value for name, value in merged.items() if value is not None}, self.body, self.raw)


def json_reply(value, status=200, headers=None):
    return Reply(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode())


def error_reply(status, code, message, headers=None):
    """An error as registries write it."""
    return json_reply({"errors": [{"code": code, "message": message}]}, status, headers)


@dataclass
class Fault:
    """`action(request, reply)` gives the reply that goes out instead, for requests that match.

    Actions that refuse prevent that the request is carried out. `times` None is always. `skip` requests pass first. `read`: only so many bytes of the request's body are taken.
    The method CONNECT (without a path) is the moment when a connection is accepted."""

    method: str  # regular expressions, matched as a whole and found in the target
    path: str
    action: object
    times: int = 1
    skip: int = 0
    read: int = None

    def takes(self, method, target):
        if self.times == 0 or not re.fullmatch(self.method, method) or not re.search(self.path, target):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Server:
    """Answers by `respond(request)`. Use it as a context manager, or call close()."""

    def __init__(self, address="127.0.0.1", certificate=None, client_ca=None):
        self.requests = []
        self.faults = []
        self.handshakes_failed = 0
        self.body_limit = None  # the longest request body that is taken (413)
        self.greet_tls = _answer_tls_in_plain  # what a server without TLS does to a client that speaks it
        self.closing = threading.Event()
        self.lock = threading.RLock()
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
            if client_ca:
                self.tls.verify_mode = ssl.CERT_REQUIRED
                self.tls.load_verify_locations(client_ca)
        self._http = _Listener((address, 0), self)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def scheme(self):
        return "https" if self.tls else "http"

    def host(self, name="127.0.0.1"):
        return f"{name}:{self.port}"

    def url(self, path="", name="127.0.0.1"):
        return f"{self.scheme}://{self.host(name)}{path}"

    def respond(self, request):
        raise NotImplementedError

    def fault(self, *arguments, **keywords):
        """Adds a Fault; of several that match, the first one acts."""
        self.faults.append(Fault(*arguments, **keywords))

    def take_fault(self, method, target):
        with self.lock:
            return next((fault for fault in self.faults if fault.takes(method, target)), None)

    def seen(self, method=".*", path=""):
        """The requests so far whose method and target match."""
        with self.lock:
            return [r for r in self.requests if re.fullmatch(method, r.method) and re.search(path, r.target)]

    def forget(self):
        with self.lock:
            self.requests.clear()


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address, owner):
        self.owner = owner
        super().__init__(address, _Handler)

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()  # without the look-up of a name that HTTPServer makes

    def finish_request(self, request, client_address):
        if self.owner.take_fault("CONNECT", ""):
            reset_connection(request)
            return
        if self.owner.tls is None:
            if request.recv(1, socket.MSG_PEEK) == b"\x16":  # the greeting of TLS
                self.owner.greet_tls(request)
            else:
                self.RequestHandlerClass(request, client_address, self)
            return
        try:
            request.settimeout(10)
            encrypted = self.owner.tls.wrap_socket(request, server_side=True)
            encrypted.settimeout(None)
        except (OSError, ssl.SSLError):
            self.owner.handshakes_failed += 1
            return
        try:
            self.RequestHandlerClass(encrypted, client_address, self)
        finally:
            encrypted.close()

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is no fault of the test; what is one shows in its verdict."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self):
        owner = self.server.owner
        request = Request(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self.client_address[1])
        with owner.lock:
            owner.requests.append(request)
            fault = owner.take_fault(request.method, request.target)
        try:
            if owner.body_limit is not None and int(request.headers.get("content-length", 0)) > owner.body_limit:
                self._write(request, error_reply(413, "SIZE_INVALID", "request entity too large", {"Connection": "close"}))
                self.connection.shutdown(socket.SHUT_WR)
                self._read_body(None)  # as real servers do, lest a reset overtakes the answer
                return
            request.body, request.whole = self._read_body(fault.read if fault else None)
            if owner.body_limit is not None and len(request.body) > owner.body_limit:  # its length was not said before
                self._write(request, error_reply(413, "SIZE_INVALID", "request entity too large", {"Connection": "close"}))
                return
            prevented = fault and (getattr(fault.action, "prevents", False) or fault.read == 0)
            reply = Reply() if prevented else owner.respond(request)
            if fault:
                reply = fault.action(request, reply)
            self._write(request, reply)
            if not request.whole:
                self.close_connection = True
        except Reset:
            self.close_connection = True
            reset_connection(self.connection)
        except Hangup:
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = answer

    def handle_expect_100(self):
        return True  # said once the body is really wanted

    def _read_body(self, limit):
        """The request's body, or its first `limit` bytes, and whether that is all."""
        if limit != 0 and self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = bytearray()
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                body += self.rfile.read(size)
                self.rfile.readline()
                if limit is not None and len(body) > limit:
                    return bytes(body[:limit]), False
            return bytes(body), self.rfile.readline() == b"\r\n"
        size = int(self.headers.get("Content-Length", 0))
        wanted = size if limit is None else min(limit, size)
        while len(body) < wanted:
            piece = self.rfile.read1(min(wanted - len(body), 1 << 20))
            if not piece:
                return bytes(body), False
            body += piece
        return bytes(body), wanted == size

    def _write(self, request, reply):
        request.status = reply.status
        if reply.raw:
            reply.raw(self.connection)
            self.close_connection = True
            return
        headers = dict(reply.headers)
        chunked = False
        if isinstance(reply.body, (bytes, bytearray, memoryview)):
            if reply.status not in (204, 304):
                headers.setdefault("Content-Length", len(reply.body))
            pieces = (memoryview(reply.body)[i:i + (1 << 18)] for i in range(0, len(reply.body), 1 << 18))
        else:
            pieces = reply.body
            if "Content-Length" not in headers and headers.get("Connection") != "close":
                headers["Transfer-Encoding"] = "chunked"
                chunked = True
        lines = [f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, 'Something')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if headers.get("Connection") == "close":
            self.close_connection = True
        if request.method == "HEAD" or reply.status in (204, 304):
            return
        for piece in pieces:
            if self.server.owner.closing.is_set():
                raise Hangup
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            request.sent += len(piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")


def reset_connection(connection):
    """Ends a connection with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def _answer_tls_in_plain(connection):
    """What a server without TLS says to a client that speaks it."""
    connection.sendall(b"HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(5)
    while connection.recv(4096):
        pass


# Actions of faults.


def preventing(action):
    """Marks an action as one in whose case the request is not carried out."""
    action.prevents = True
    return action


def instead(status, headers=None, body=b""):
    """Another reply."""
    return preventing(lambda request, reply: Reply(status, headers or {}, body))


def refuse(status, code="DENIED", message="not today", headers=None):
    """An error of the registry's."""
    return preventing(lambda request, reply: error_reply(status, code, message, headers))


def change_headers(headers):
    """The right reply with other headers; None takes one away."""
    return lambda request, reply: reply.with_headers(headers)


def change_body(change):
    """The right reply with `change(body)` as its body."""
    def action(request, reply):
        body = change(bytes(reply.body)) if callable(change) else change
        return Reply(reply.status, {k: v for k, v in reply.headers.items() if k != "Content-Length"}, body)
    return action


def redirect(location, status=307):
    """Location may hold {path}, which is the request's."""
    return preventing(lambda request, reply: Reply(status, {"Location": location.replace("{path}", request.target)}))


def reset(request, reply):
    """The request was carried out, but a reset comes instead of the reply."""
    raise Reset


def hang_up(request, reply):
    """The same with an orderly end of the connection."""
    raise Hangup


def raw(text):
    """Bytes in place of a reply, then the end of the connection."""
    return lambda request, reply: Reply(raw=lambda connection: connection.sendall(text))


def cut(count, how=Reset):
    """The reply's headers and so many bytes of its body, then the end of the connection."""
    def action(request, reply):
        def pieces():
            yield reply.body[:count]
            time.sleep(0.02)  # a reset at once would throw away what is still to be sent
            raise how
        return Reply(reply.status, {**reply.headers, "Content-Length": len(reply.body)}, pieces())
    return action


def endless(piece=bytes(1 << 18), headers=None):
    """A body without end, in chunks."""
    def action(request, reply):
        def pieces():
            while True:
                yield piece
        return Reply(reply.status, {**reply.headers, **(headers or {})}, pieces())
    return action


def endless_headers(request, reply):
    def write(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        line = b"X-Header: " + b"x" * 1000 + b"\r\n"
        for _ in range(1 << 20):
            connection.sendall(line)
            request.sent += len(line)
    return Reply(raw=write)


def silence(count=0, seconds=30):
    """The headers and so many bytes of the body, then nothing for so long as the client waits."""
    def action(request, reply):
        def write(connection):
            lines = [f"HTTP/1.1 {reply.status} OK", *(f"{k}: {v}" for k, v in reply.headers.items()),
                     f"Content-Length: {len(reply.body)}", "", ""]
            connection.sendall("\r\n".join(lines).encode() + bytes(reply.body[:count]))
            request.sent += count
            select.select([connection], [], [], seconds)  # the client's end of the connection wakes it
        return Reply(reply.status, raw=write)
    return action


def mute(seconds=20):
    """No answer at all, on a connection that stays open."""
    return preventing(lambda request, reply: Reply(raw=lambda connection: time.sleep(seconds)))


def drip(interval, size=1):
    """The body in small pieces with a pause between them."""
    def action(request, reply):
        def pieces():
            for i in range(0, len(reply.body), size):
                yield reply.body[i:i + size]
                time.sleep(interval)
        return Reply(reply.status, {**reply.headers, "Content-Length": len(reply.body)}, pieces())
    return action
