"""A program whose standard streams are pipes of ours, and what it said last.

Does not: end the program. Whoever starts one ends it, and waits for it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LINE: Final = 1 << 20
"""Bytes of one line, at most."""
PIECE: Final = 1 << 16
LAST_WORDS: Final = 2000


@dataclass(frozen=True, slots=True)
class Piped:
    """One that runs."""

    process: asyncio.subprocess.Process
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader


async def start(command: Sequence[str], environ: Mapping[str, str]) -> Piped:
    """Start a program with this environment alone; raise ``OSError`` where it cannot be."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, env=dict(environ), stdin=pipe, stdout=pipe, stderr=pipe, limit=LINE
    )
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise OSError(f"{command[0]} was started without pipes")  # asyncio promises them
    return Piped(process, process.stdin, process.stdout, process.stderr)


async def last_words(stream: asyncio.StreamReader) -> str:
    """Read a stream to its end; return what it said last."""
    last = b""
    while piece := await stream.read(PIECE):
        last = (last + piece)[-LAST_WORDS:]
    return last.decode("utf-8", "replace").strip()
