"""What is said of files and directories. An act counts as a claim of the state it leaves: "created" is "exists"."""

from collections.abc import Sequence
from typing import Final

from wingman_core.assertions import Assertion, FileChanged, FileContains, FileDigest, FileExists, FileGone
from wingman_core.sentences.form import Captured
from wingman_core.sentences.pattern import Pattern, moment, one
from wingman_core.sentences.words import CREATED, DELETED, FILE_KINDS, FILE_NOUNS, MODIFIED

_NOUN: Final = f"[{'|'.join(sorted(FILE_NOUNS))}]"
_KIND: Final = f"[{'|'.join(sorted(FILE_KINDS))}]"
_A_FILE: Final = f"{_KIND} {_KIND} {_NOUN} [at|named|called] [:]"
_WROTE: Final = "wrote|saved|exported|dumped|written|stored"
_NOUNED: Final = f"{_KIND} {_KIND} {_NOUN.strip('[]')} [at|named|called] [:]"


def _exist(captured: Captured) -> Sequence[Assertion]:
    return [FileExists(path=path) for path in captured["paths"]]


def _documents(captured: Captured) -> Sequence[Assertion]:
    return [FileExists(path=path) for path in captured["documents"]]


def _gone(captured: Captured) -> Sequence[Assertion]:
    return [FileGone(path=path) for path in captured["paths"]]


def _changed(captured: Captured) -> Sequence[Assertion]:
    return [FileChanged(path=path, since=moment(captured)) for path in captured["paths"]]


def _created_since(captured: Captured) -> Sequence[Assertion]:
    return [*_exist(captured), *_changed(captured)]


def _in_place(captured: Captured) -> Sequence[Assertion]:
    place = one(captured, "folder").rstrip("/")
    return [FileExists(path=f"{place}/{name}") for name in captured["files"]]


def _gone_from_place(captured: Captured) -> Sequence[Assertion]:
    place = one(captured, "folder").rstrip("/")
    return [FileGone(path=f"{place}/{name}") for name in captured["files"]]


def _one_exists(captured: Captured) -> Sequence[Assertion]:
    return [FileExists(path=one(captured, "path"))]


def _moved(captured: Captured) -> Sequence[Assertion]:
    return [FileGone(path=one(captured, "path")), FileExists(path=one(captured, "target"))]


def _copied(captured: Captured) -> Sequence[Assertion]:
    return [FileExists(path=one(captured, "path")), FileExists(path=one(captured, "target"))]


def _contains(captured: Captured) -> Sequence[Assertion]:
    return [FileContains(path=one(captured, "path"), text=one(captured, "text"))]


def _digest(captured: Captured) -> Sequence[Assertion]:
    return [FileDigest(path=one(captured, "path"), sha256=one(captured, "digest").lower())]


PATTERNS: Final = (
    # There.
    Pattern(f"{CREATED} [{{count}}] {_A_FILE} {{paths}}", _exist),
    Pattern(f"{CREATED} {_A_FILE} {{files}} in|under|inside {_NOUN} {{folder}}", _in_place),
    Pattern(f"{CREATED} {_A_FILE} {{paths}} {{since}}", _created_since),
    Pattern(f"added [{{count}}] {_NOUNED} {{paths}}", _exist),
    Pattern(f"added [{{count}}] {_A_FILE} {{documents}}", _documents),
    Pattern(f"{_A_FILE} {{paths}} [was|were|is|are|got] {CREATED}", _exist),
    Pattern(f"{_A_FILE} {{paths}} [was|were|is|are|got] {CREATED} {{since}}", _created_since),
    Pattern(f"{_A_FILE} {{paths}} exists|exist", _exist),
    Pattern(f"{_A_FILE} {{paths}} is|are present|there|available", _exist),
    Pattern(f"there is|are {_A_FILE} {{paths}}", _exist),
    Pattern(f"{_WROTE} {{what}} to|into|in|under|at|as {_A_FILE} {{path}}", _one_exists, weaker=True),
    # Gone.
    Pattern(f"{DELETED} [{{count}}] {_A_FILE} {{paths}}", _gone),
    Pattern(f"{DELETED} {_A_FILE} {{files}} from|in|under {_NOUN} {{folder}}", _gone_from_place),
    Pattern(f"{_A_FILE} {{paths}} [was|were|is|are|got] {DELETED}", _gone),
    Pattern(f"{_A_FILE} {{paths}} is|are gone|missing|absent", _gone),
    Pattern(f"{_A_FILE} {{paths}} does|do not exist [anymore|any] [more]", _gone),
    Pattern(f"{_A_FILE} {{paths}} no longer exists|exist", _gone),
    Pattern(f"there is|are no {_A_FILE} {{paths}}", _gone),
    # Moved, copied.
    Pattern(f"moved|renamed {_A_FILE} {{path}} to {_A_FILE} {{target}}", _moved),
    Pattern(f"{_A_FILE} {{path}} was|is moved|renamed to {_A_FILE} {{target}}", _moved),
    Pattern(f"copied {_A_FILE} {{path}} to {_A_FILE} {{target}}", _copied),
    # Changed.
    Pattern(f"{MODIFIED} [{{count}}] {_A_FILE} {{paths}} {{since}}", _changed),
    Pattern(f"{_A_FILE} {{paths}} [was|were|is|are|got] [last] {MODIFIED} {{since}}", _changed),
    Pattern(f"{MODIFIED} [{{count}}] {_A_FILE} {{paths}}", _exist, weaker=True),
    Pattern(f"{_A_FILE} {{paths}} [was|were|is|are|got] {MODIFIED}", _exist, weaker=True),
    # What they hold.
    Pattern(f"{_A_FILE} {{path}} contains|includes [text|line|string|word] {{text}}", _contains),
    Pattern(f"[{CREATED}|added] {_A_FILE} {{path}} containing|including [text|line|string|word] {{text}}", _contains),
    Pattern(f"{CREATED} {_A_FILE} {{path}} with text|line|string|word {{text}}", _contains),
    Pattern(f"{CREATED} {_A_FILE} {{path}} with content|contents {{text}}", _contains, weaker=True),
    Pattern(f"wrote|added|appended|inserted [text|line|string|word] {{text}} to|into|in {_A_FILE} {{path}}", _contains),
    Pattern(f"[text|line|string|word] {{text}} is|was in {_A_FILE} {{path}}", _contains),
    Pattern(f"{_A_FILE} {{path}} [has] sha256|sha-256 [checksum|digest|hash|sum] [of|:] {{digest}}", _digest),
    Pattern(f"sha256|sha-256 [checksum|digest|hash|sum] of {_A_FILE} {{path}} is|: {{digest}}", _digest),
)
