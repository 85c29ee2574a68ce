"""A TLS server for tests: tls_server.py CERT KEY [--client-ca FILE] [--version 1.1].

Prints its port, answers every request with "hello" and who the client is, and ends with its standard input.
"""

import argparse
import os
import socket
import ssl
import sys
import threading


def context_of(options):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if options.version == "1.1":
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    elif options.version == "1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.cert, options.key)
    if options.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(options.client_ca)
    return context


def answer_all(tls):
    subject = dict(pair for part in (tls.getpeercert() or {}).get("subject", ()) for pair in part)
    body = f"hello {subject.get('commonName', 'nobody')}".encode()
    pending = b""
    while chunk := tls.recv(65536):
        pending += chunk
        while b"\r\n\r\n" in pending:
            pending = pending.split(b"\r\n\r\n", 1)[1]
            tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def serve(context, connection):
    # A client that is refused may have sent its request already: closing before that is read would reset the
    # connection, and the alert would be lost.
    with connection.dup() as raw:
        try:
            with context.wrap_socket(connection, server_side=True) as tls:
                answer_all(tls)
        except (ssl.SSLError, OSError):
            try:
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
            except OSError:
                pass


def accept_all(context, listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(context, connection), daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cert")
    parser.add_argument("key")
    parser.add_argument("--client-ca")
    parser.add_argument("--version", choices=["1.1", "1.2", "1.3"], default="1.3")
    context = context_of(parser.parse_args())
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=accept_all, args=(context, listener), daemon=True).start()
    sys.stdin.read()
    os._exit(0)  # connections may be open


if __name__ == "__main__":
    main()
