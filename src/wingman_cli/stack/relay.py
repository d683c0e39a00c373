"""The gateway of an environment of containers, as this machine reaches it: through the API's container.

It publishes no port. Guarantees: what goes through that container is TLS between this machine and the gateway, of which
the relay there sees bytes alone: no key leaves the machine. The way is a socket in a directory that is closed to other
users, and ends with the context. Does not: say who may do what (the gateway does, by the certificate).
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from wingman_cli.stack.environment import Environment

GATEWAY: Final = ("execution-gateway", "8200")
PIECE: Final = 1 << 16
PROGRAM: Final = """
import os, socket, sys, threading
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10)
peer.settimeout(None)
def send():
    while piece := os.read(0, 65536):
        peer.sendall(piece)
    peer.shutdown(socket.SHUT_WR)
threading.Thread(target=send, daemon=True).start()
while piece := peer.recv(65536):
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
"""
"""What carries bytes between its standard streams and an address, with the standard library alone."""


def through_the_api(environment: Environment) -> Sequence[str]:
    """Return docker's argument vector that reaches the gateway from the API's container."""
    container = ("docker", "exec", "--interactive", environment.container("api"))
    return (*container, "python3", "-I", "-S", "-c", PROGRAM, *GATEWAY)


@asynccontextmanager
async def relayed(command: Sequence[str], environ: Mapping[str, str]) -> AsyncIterator[str]:
    """Yield an address of gRPC's, each connection to which is one run of ``command``; its name in TLS is localhost."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(environ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdin and process.stdout  # noqa: S101, PT018 - both are pipes
        try:
            sending = asyncio.create_task(_copy(reader, process.stdin))
            await _copy(process.stdout, writer)
            sending.cancel()
        finally:
            writer.close()
            process.stdin.close()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    with tempfile.TemporaryDirectory(prefix="wingman-") as place:  # of mode 0700
        path = Path(place) / "gateway.sock"
        server = await asyncio.start_unix_server(carry, path)
        try:
            yield f"unix:{path}"
        finally:
            server.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carry bytes until the source ends or the sink is gone."""
    with suppress(ConnectionError):
        while piece := await source.read(PIECE):
            sink.write(piece)
            await sink.drain()
    with suppress(OSError, RuntimeError):
        sink.close()
