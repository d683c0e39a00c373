"""What is at a path inside a container, through the engine's archive endpoint; nothing runs in the container.

Guarantees: a file's content is hashed as it streams by and never kept; at most ``MOST_BYTES`` of it are read, only
where the archive's first member is the regular file that was asked for; a link is told as a link, not followed.
Does not: see the kernel's own file systems (``/proc``, ``/sys``): the engine shows the container's files alone.
"""

import base64
import hashlib
import json
import tarfile
from http import HTTPStatus
from typing import Final

import aiohttp

from wingman_core.errors import Code, Unavailable
from wingman_core.observation import PathKind, PathState
from wingman_core.target import Target
from wingman_gateway.engine.connection import CHUNK, JSON, Connection, EngineRefused
from wingman_gateway.engine.stamps import engine_time
from wingman_gateway.engine.state import ask_of

MOST_BYTES: Final = 64 << 20
STAT_HEADER: Final = "X-Docker-Container-Path-Stat"
BLOCK: Final = tarfile.BLOCKSIZE
EXTENSIONS: Final = frozenset({tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK})
LONGEST_EXTENSION: Final = 1 << 20
# Go's os.FileMode, the bits that say what a thing is.
DIRECTORY: Final = 1 << 31
LINK: Final = 1 << 27
ANY_TYPE: Final = DIRECTORY | LINK | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19


async def path_state(connection: Connection, target: Target, path: str) -> PathState:
    """Return what is at an absolute ``path``; the caller holds the limit for the whole.

    Raises ``TargetRefused`` if the container is gone, ``EngineRefused`` where the engine will not look there, and
    ``Unavailable``.
    """
    stat = await _stat(connection, target, path)
    if stat is None:
        return PathState("absent", 0, None, "")
    kind, size = _kind(int(stat["mode"])), int(stat["size"])
    digest = ""
    if kind == "file" and size <= MOST_BYTES:
        digest = await _digest(connection, target, path)
    return PathState(kind, size, engine_time(stat["mtime"]), digest)


async def _stat(connection: Connection, target: Target, path: str) -> JSON | None:
    try:
        async with connection.stream("HEAD", f"containers/{target.id}/archive", params={"path": path}) as response:
            header = response.headers.get(STAT_HEADER, "")
    except EngineRefused as error:
        if not error.not_found:
            raise
        await ask_of(connection, target, "json")  # one status for both: no such path, and no such container
        return None
    try:
        stat: JSON = json.loads(base64.b64decode(header, validate=True))
    except ValueError as error:
        raise _not_understood("a path's stat") from error
    return stat


def _kind(mode: int) -> PathKind:
    if mode & DIRECTORY:
        return "directory"
    if mode & LINK:
        return "link"
    return "other" if mode & ANY_TYPE else "file"


async def _digest(connection: Connection, target: Target, path: str) -> str:
    """Return the SHA-256 of the archive's first member; empty where that is no regular file by now, or grew."""
    params = {"path": path}
    try:
        async with connection.stream("GET", f"containers/{target.id}/archive", params=params) as response:
            member = await _first_member(response)
            if not member.isreg() or member.size > MOST_BYTES:
                return ""
            digest, left = hashlib.sha256(), member.size
            while left:
                data = await response.content.read(min(left, CHUNK))
                if not data:
                    raise _not_understood("an archive that broke off")
                digest.update(data)
                left -= len(data)
            return digest.hexdigest()
    except EngineRefused as error:
        if error.status == HTTPStatus.NOT_FOUND:  # gone since the stat
            return ""
        raise


async def _first_member(response: aiohttp.ClientResponse) -> tarfile.TarInfo:
    """Read past extended headers: a regular file under the cap needs nothing they say."""
    try:
        while True:
            block = await response.content.readexactly(BLOCK)
            member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if member.type not in EXTENSIONS:
                return member
            if member.size > LONGEST_EXTENSION:
                raise _not_understood("an archive with a header that does not end")
            await response.content.readexactly(-(-member.size // BLOCK) * BLOCK)
    except (tarfile.HeaderError, EOFError) as error:  # IncompleteReadError is an EOFError
        raise _not_understood("an archive that is none") from error


def _not_understood(what: str) -> Unavailable:
    return Unavailable(Code.ENGINE_UNAVAILABLE, f"the engine sent {what}", hint="ask again")
