"""A container's health check: an address that answers 200, or a file that was written in the last 30 seconds.

Runs on the standard library's smallest part (``python3 -I -S``): every few seconds, in every container.
"""

import os
import socket
import sys
import time

FRESH = 30.0
PATIENCE = 3.0


def answers(address: str) -> bool:
    """Return whether ``http://host:port/path`` answers 200."""
    place, _, path = address.removeprefix("http://").partition("/")
    host, _, port = place.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n".encode("ascii"))
        return connection.recv(12).endswith(b" 200")


def is_fresh(path: str) -> bool:
    """Return whether the file was written a moment ago."""
    return time.time() - os.stat(path).st_mtime < FRESH


if __name__ == "__main__":
    what = sys.argv[1]
    try:
        well = answers(what) if what.startswith("http://") else is_fresh(what)
    except OSError as error:
        sys.exit(f"{what}: {error.strerror or error}")
    sys.exit(0 if well else f"{what}: not well")
