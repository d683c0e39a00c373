"""The gateway of an environment of containers, as this machine reaches it: through the API's container.

It publishes no port. Guarantees: what goes through that container is TLS between this machine and the gateway, of which
the relay there sees bytes alone: no key leaves the machine. The way is a socket in a directory that is closed to other
users, and ends with the context. Where it breaks, the error says why, in the words of what broke.
Does not: say who may do what (the gateway does, by the certificate).
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from wingman_cli.piped import last_words, start
from wingman_cli.stack.environment import Environment
from wingman_core.errors import Code, Unavailable

GATEWAY: Final = ("execution-gateway", "8200")
PIECE: Final = 1 << 16
LAST_WORDS_SECONDS: Final = 2.0
"""For a run that broke to say why."""
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
    """Yield an address of gRPC's, each connection to which is one run of ``command``; its name in TLS is localhost.

    What is ``Unavailable`` inside because a run broke is raised as ``Unavailable`` with what it said.
    """
    broke: asyncio.Queue[str] = asyncio.Queue()
    running: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if words := await _carried(command, environ, reader, writer):
                broke.put_nowait(words)
        except OSError as error:
            broke.put_nowait(f"{command[0]}: {error.strerror or error}")
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.add(task := asyncio.create_task(carry(reader, writer)))
        task.add_done_callback(running.discard)

    with tempfile.TemporaryDirectory(prefix="wingman-") as place:  # of mode 0700
        path = Path(place) / "gateway.sock"
        server = await asyncio.start_unix_server(connected, path)
        try:
            yield f"unix:{path}"
        except Unavailable as error:
            with suppress(TimeoutError):
                words = await asyncio.wait_for(broke.get(), LAST_WORDS_SECONDS)
                raise Unavailable(
                    Code.GATEWAY_UNAVAILABLE,
                    f"the way to the gateway broke: {words}",
                    hint="see that the API's container runs, and that docker exec reaches it",
                ) from error
            raise
        finally:
            server.close()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def _carried(
    command: Sequence[str], environ: Mapping[str, str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> str:
    """Carry both ways through one run until it ends; return what it said where it ended badly by itself.

    Raises ``OSError`` where it cannot be started.
    """
    program = await start(command, environ)
    said = asyncio.create_task(last_words(program.stderr))
    sending = asyncio.create_task(_copy(reader, program.stdin))
    try:
        await _copy(program.stdout, writer)
        words = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                if code := await program.process.wait():
                    words = f"exit code {code}"
                    words = (await said).rpartition("\n")[2] or words
        return words
    finally:
        for task in (sending, said):
            task.cancel()
        program.stdin.close()
        with suppress(ProcessLookupError):
            program.process.kill()
        await program.process.wait()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carry bytes until the source ends or the sink is gone."""
    with suppress(ConnectionError):
        while piece := await source.read(PIECE):
            sink.write(piece)
            await sink.drain()
    with suppress(OSError, RuntimeError):
        sink.close()
