"""What somebody who is root in a container would try; run in its namespaces, on its file system, as source text.

Standard library alone, since the text of this module is the program of a container without Wingman. Input: one JSON
argument; output: one line of JSON, a list of ``{"kind", "where", "said"}``, one for each way that led somewhere.
"""

import contextlib
import json
import os
import socket
import ssl
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

PATIENCE = 1.5
LIMIT = 4096
ASK = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""The preface and empty SETTINGS (RFC 9113 section 3.4)."""
GRPC = b"\x04" + bytes(5)
"""Type, flags and stream of the SETTINGS that a gRPC server, such as containerd, says first (RFC 9113 section 4.1)."""
HIDDEN = ("/proc", "/sys")
LISTENING = "00010000"
AT_ONCE = 64

Way = tuple[str, str, str, Callable[[], bool]]
"""Kind, place, what it means that it led somewhere, and the attempt."""


def try_unix(address: str) -> bool:
    """Return whether an engine answers at a Unix socket, by path or (beginning with NUL) by abstract name."""
    said = b""
    with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError, ValueError):
        connection.settimeout(PATIENCE)
        connection.connect(address)
        connection.sendall(ASK)
        while len(said) < LIMIT and (piece := connection.recv(LIMIT)):
            said += piece  # which counts, whether or not it hangs up then
    if said[3:9] == GRPC:
        return True
    head, _, body = said.partition(b"\r\n\r\n")
    return head.startswith(b"HTTP/") and (b"api-version" in head.lower() or body.strip() == b"OK")


def opens(host: str, port: int) -> bool:
    """Return whether a TCP port takes connections."""
    try:
        socket.create_connection((host, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True


def serves(host: str, port: int, certificate: str) -> bool:
    """Return whether the gateway's port goes on talking to a client with ``certificate``, a file, or with none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if certificate:
        context.load_cert_chain(certificate)
    try:
        with socket.create_connection((host, port), timeout=PATIENCE) as plain, context.wrap_socket(plain) as secured:
            secured.sendall(HTTP2)
            return secured.recv(9) != b""
    except OSError:
        return False


def socket_files() -> Iterator[str]:
    """Yield every socket file below the root."""
    for place, directories, names in os.walk("/"):
        directories[:] = [name for name in directories if os.path.join(place, name) not in HIDDEN]
        for name in names:
            path = os.path.join(place, name)
            try:
                if stat.S_ISSOCK(os.lstat(path).st_mode):
                    yield path
            except OSError:
                continue


def abstract_sockets() -> Iterator[str]:
    """Yield the name of each abstract socket that somebody in this network namespace listens on, without the NUL."""
    with open("/proc/net/unix", encoding="utf-8", errors="replace") as table:
        for line in table:
            *_, flags, _type, _state, _inode, name = (line.split() + [""] * 8)[:8]
            if name.startswith("@") and flags == LISTENING:
                yield name[1:]


def over_the_network(asked: dict[str, Any], foreign: str) -> Iterator[Way]:
    """Yield the ways that depend on where this network namespace leads; ``foreign`` a certificate's file, or empty."""
    for host, port in asked["gateways"]:
        place = f"{host}:{port}"
        yield "gateway", place, "without a certificate", partial(serves, host, port, "")
        if foreign:
            yield "gateway", place, "with a foreign certificate", partial(serves, host, port, foreign)
    for host in asked["hosts"]:
        for port in asked["ports"]:
            yield "tcp", f"{host}:{port}", "takes connections", partial(opens, host, port)
    for name in abstract_sockets():
        yield "unix", f"@{name}", "answers /_ping", partial(try_unix, f"\0{name}")


def on_the_file_system(paths: Iterable[str]) -> Iterator[Way]:
    """Yield the ways that lie below the root: known paths, links included, and whatever else is a socket."""
    for path in sorted({*filter(os.path.exists, map(os.path.expanduser, paths)), *socket_files()}):
        yield "unix", path, "answers /_ping", partial(try_unix, path)


def attempt(ways: Iterable[Way]) -> list[dict[str, str]]:
    """Try all of them, many at once; return those that led somewhere."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = [(kind, where, said, pool.submit(leads)) for kind, where, said, leads in ways]
        return [{"kind": kind, "where": where, "said": said} for kind, where, said, led in tried if led.result()]


def main(asked: dict[str, Any]) -> None:
    """Try the network, then go into the tested root and try what lies there."""
    with tempfile.NamedTemporaryFile("w") as foreign:
        foreign.write(asked["certificate"])
        foreign.flush()
        found = attempt(over_the_network(asked, foreign.name if asked["certificate"] else ""))
    if asked["root"]:
        os.chroot(asked["root"])
        os.chdir("/")
    print(json.dumps(found + attempt(on_the_file_system(asked["paths"]))))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
