"""Claims about files: there, gone, changed, what they hold, their digest.

Guarantees: looks beneath the allowed roots alone (``roots``); content is read of regular files only, from the
descriptor that was checked, at most ``MOST_BYTES`` of it and not once nobody waits any more; content that changed
while it was read decides nothing. Evidence says kind, size and time, and of content only whether it was as claimed.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from wingman_api.claims.probes.roots import Absent, Found, NotAllowed, Roots, Unreadable
from wingman_api.claims.probes.seen import Seen, confirmed, contradicted, judged, unknown
from wingman_api.claims.probes.threads import Stop
from wingman_core.assertions import FileChanged, FileContains, FileDigest, FileExists, FileGone

FileAssertion = FileExists | FileGone | FileChanged | FileContains | FileDigest

MOST_BYTES: Final = 64 << 20
CHUNK: Final = 1 << 20
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)
CLOCK_SECONDS: Final = 2
"""How far a file's times may be ahead of the clock, or of each other, and still be believed."""
TOO_LARGE: Final = f"It is larger than the {MOST_BYTES >> 20} MiB that are read."


class ChangedMeanwhile(Exception):
    """The file was written, replaced or removed while it was read. The message is a finding's words."""

    def __init__(self) -> None:
        super().__init__("It changed while it was read.")


def look_at_file(roots: Roots, assertion: FileAssertion, now: datetime, stop: Stop) -> Seen:
    """Look once; ``now`` is aware."""
    path = assertion.path
    try:
        with roots.find(path) as found:
            return _look_at(found, assertion, now, stop)
    except (NotAllowed, Unreadable, ChangedMeanwhile) as error:
        return unknown(str(error))
    except Absent as error:
        if error.dangling:
            return contradicted(f"{path!a} is a link that leads to nothing.")
        return judged(holds=isinstance(assertion, FileGone), words=f"There is nothing at {path!a}.")


def _look_at(found: Found, assertion: FileAssertion, now: datetime, stop: Stop) -> Seen:
    match assertion:
        case FileExists():
            return confirmed(f"{_described(found)} is at {assertion.path!a}.")
        case FileGone():
            return contradicted(f"{_described(found)} is at {assertion.path!a}.")
        case FileChanged():
            return _changed(found, assertion, now)
        case FileContains():
            return _of_content(found, assertion.path, lambda: _contains(found, assertion, stop))
        case FileDigest():
            return _of_content(found, assertion.path, lambda: _digest(found, assertion, stop))
        case _:
            assert_never(assertion)


def _described(found: Found) -> str:
    mode = found.stat.st_mode
    if stat.S_ISREG(mode):
        return f"A file of {found.stat.st_size} bytes, last modified {_modified(found):%Y-%m-%dT%H:%M:%SZ},"
    return "A directory" if stat.S_ISDIR(mode) else "Something that is neither file nor directory"


def _modified(found: Found) -> datetime:
    """Return the modification time in whole seconds, as near as a ``datetime`` comes to it."""
    try:
        return EPOCH + timedelta(seconds=found.stat.st_mtime_ns // 1_000_000_000)
    except OverflowError:
        return LATEST


def _changed(found: Found, assertion: FileChanged, now: datetime) -> Seen:
    """Judge by the modification time; anyone may set it, but not to what the inode's own change time contradicts."""
    modified, touched = found.stat.st_mtime_ns, found.stat.st_ctime_ns
    slack = CLOCK_SECONDS * 1_000_000_000
    if modified > min(touched, _nanoseconds(now)) + slack:
        return unknown(f"The time of {assertion.path!a} was set by hand: it lies after its last change.")
    words = f"{assertion.path!a} was last modified {_modified(found):%Y-%m-%dT%H:%M:%SZ}."
    return judged(holds=modified >= _nanoseconds(assertion.since), words=words)


def _nanoseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


def _of_content(found: Found, path: str, look: Callable[[], Seen]) -> Seen:
    if stat.S_ISDIR(found.stat.st_mode):
        return contradicted(f"{path!a} is a directory.")
    if not stat.S_ISREG(found.stat.st_mode):
        return unknown(f"{path!a} is no regular file, so it is not read.")
    return look()


def _contains(found: Found, assertion: FileContains, stop: Stop) -> Seen:
    wanted, tail = assertion.text.encode(), b""
    for chunk in _content(found, stop):
        if wanted in tail + chunk:
            return confirmed(f"{assertion.path!a} holds the text.")
        tail = (tail + chunk)[-(len(wanted) - 1) :] if len(wanted) > 1 else b""
    if found.stat.st_size > MOST_BYTES:
        return unknown(TOO_LARGE)
    return contradicted(f"{assertion.path!a} does not hold the text.")


def _digest(found: Found, assertion: FileDigest, stop: Stop) -> Seen:
    if found.stat.st_size > MOST_BYTES:
        return unknown(TOO_LARGE)
    digest = hashlib.sha256()
    for chunk in _content(found, stop):
        digest.update(chunk)
    if digest.hexdigest() == assertion.sha256:
        return confirmed(f"{assertion.path!a} has that SHA-256.")
    return contradicted(f"{assertion.path!a} has another SHA-256.")


def _content(found: Found, stop: Stop) -> Iterator[bytes]:
    """Yield the file as it was when it was found, at most ``MOST_BYTES`` of it; raise ``ChangedMeanwhile``."""
    left = min(MOST_BYTES, found.stat.st_size)
    with found.opened() as descriptor:
        while left and not stop.is_set():
            try:
                chunk = os.read(descriptor, min(left, CHUNK))
            except OSError as error:
                raise Unreadable from error
            left -= len(chunk)
            if not chunk or not _same(found.stat, os.fstat(descriptor)):
                raise ChangedMeanwhile
            yield chunk
    if left:
        raise ChangedMeanwhile  # nobody waits for the answer


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    """Tell whether it is still the file that was found: neither written, nor renamed, replaced or unlinked."""
    return (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
