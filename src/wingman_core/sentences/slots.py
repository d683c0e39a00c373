"""The blanks of a pattern: what stands for a path, a name, a port, a time, and nothing else.

Guarantees: a blank takes as much as belongs to it or nothing, in time linear in what it takes. A word of the
language is no name unless it is quoted; a placeholder, a glob, a variable or a home directory is no path. What a
blank took is text as it was written (ports and times in one form).
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from wingman_core.sentences import moments
from wingman_core.sentences.moods import WORDS as MOOD_WORDS
from wingman_core.sentences.moods import is_request
from wingman_core.sentences.tokens import Token
from wingman_core.sentences.words import (
    AMOUNTS,
    DAEMONS,
    FILE_KINDS,
    FILE_NOUNS,
    FILLERS,
    JOINTS,
    NO_CONTAINER,
    NO_PROCESS,
    PRONOUNS,
    TAILS,
    listed,
)

Taken = tuple[int, tuple[str, ...]] | None
"""Where the blank ends, and what it took."""
Slot = Callable[[Sequence[Token], int, datetime], Taken]

EXTENSIONS: Final = listed(
    "txt md rst py json yaml yml toml ini cfg conf log csv tsv sh bash html htm css jsx ts tsx xml sql env lock tar gz "
    "tgz zip bak pdf png jpg jpeg svg pem key crt db sqlite c h cpp hpp rs go java rb php lua pl proto tf service pid "
    "sock out err tmp dat bin deb whl patch diff ipynb parquet"
)
ROOTS: Final = listed(
    "tmp var etc home usr opt srv root mnt media data run dev proc lib bin sbin boot app work workspace users private "
    "sys build backup backups logs config code repo repos src project projects"
)
"""First segments by which an absolute path is one, and no address on a web server."""
BARE_FILES: Final = listed(
    "makefile dockerfile containerfile license readme changelog jenkinsfile vagrantfile procfile gemfile"
)
NOUNS: Final = listed(
    "process processes daemon daemons container containers port ports branch commit package packages image images repo "
    "repository named called version url status code is are runs running"
)
NO_NAMES: Final = (
    MOOD_WORDS | FILLERS | JOINTS | TAILS | PRONOUNS | NOUNS | FILE_NOUNS | listed("on at in of into inside")
)

_PATH: Final = re.compile(r"[\w./+@%=~#-]{1,4096}")
_QUOTED_PATH: Final = re.compile(r"[^\x00\r\n*?<>|$~{}]{1,4096}")
_PROCESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:+-]{0,254}")
_CONTAINER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:/+-]{0,254}")
_PORT: Final = re.compile(r"([0-9]{1,5})(?:/tcp)?")
_URL: Final = re.compile(r"https?://[!-~]{1,2000}")
_BRANCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,254}")
_COMMIT: Final = re.compile(r"[0-9a-fA-F]{7,64}")
_DIGEST: Final = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")
_STATUS: Final = re.compile(r"[1-5][0-9]{2}")
_VERSION: Final = re.compile(r"v?([0-9][A-Za-z0-9.:+~!_-]{0,127})")
_PINNED: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,99})==([0-9][A-Za-z0-9.+!_-]{0,99})")
_COUNT: Final = re.compile(r"[0-9]{1,4}")
_PLAIN: Final = re.compile(r"[\w'-]{1,64}")
MAX_LIST: Final = 32
"""Items of a list; a longer one is none."""
MAX_SUBJECT: Final = 4
MAX_WHAT: Final = 8


def _path_of(token: Token, *, named: bool) -> str | None:
    """Return the path that a token is; ``named`` where a noun such as "file" stands before it."""
    form = _QUOTED_PATH if token.kind == "quoted" else _PATH
    path = token.text
    if token.kind == "mark" or not form.fullmatch(path) or path[0] in "~-" or path.isspace() or not path.isprintable():
        return None
    last = path.rstrip("/").rpartition("/")[2]
    known = _is_file(path) or last.startswith(".") or last.lower() in BARE_FILES
    if named and (token.kind == "quoted" or "/" in path):
        return path
    if path.startswith("/"):
        return path if known or path.split("/")[1].lower() in ROOTS else None
    return path if known or path.startswith(("./", "../")) or (path.endswith("/") and path.count("/") == 1) else None


def _is_file(path: str) -> bool:
    """Whether a path ends in an extension that files have."""
    stem, dot, extension = path.rpartition("/")[2].rpartition(".")
    return bool(stem and dot) and extension.lower() in EXTENSIONS


def _after_joint(tokens: Sequence[Token], at: int) -> int | None:
    """Return where the next item of a list may begin, past its comma or "and"; None where the list ends."""
    start = at
    if at < len(tokens) and tokens[at].word == ",":
        at += 1
    if at < len(tokens) and tokens[at].word in {"and", "&", "plus"}:
        at += 1
    return at if at > start else None


def _list(tokens: Sequence[Token], at: int, item: Callable[[Token], str | None], nouns: Collection[str]) -> Taken:
    """Take items until one is none; nouns may be repeated before an item."""
    found: list[str] = []
    end, place = at, at
    while place < len(tokens):
        while found and place < len(tokens) and tokens[place].word in nouns:
            place += 1
        value = item(tokens[place]) if place < len(tokens) else None
        if value is None:
            break
        found.append(value)
        end = place + 1
        if len(found) > MAX_LIST:
            return None
        following = _after_joint(tokens, end)
        if following is None:
            break
        place = following
    return (end, tuple(found)) if found else None


def _paths(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
    named = _follows(tokens, at, FILE_NOUNS)
    return _list(tokens, at, lambda token: _path_of(token, named=named), FILE_NOUNS | FILE_KINDS)


def _path(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
    value = _path_of(tokens[at], named=_follows(tokens, at, FILE_NOUNS))
    return None if value is None else (at + 1, (value,))


def _place(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
    """Take a directory or a work tree: any path with a slash, as the words before it say what it is."""
    token = tokens[at]
    value = _path_of(token, named=True) if "/" in token.text else None
    return None if value is None else (at + 1, (value,))


def _folder(tokens: Sequence[Token], at: int, now: datetime) -> Taken:
    """Take a directory that names were listed of; a path that ends like a file's is none."""
    return None if _is_file(tokens[at].text) else _place(tokens, at, now)


def _files(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
    """Take plain file names to be found in a directory that is named after them."""
    named = _follows(tokens, at, FILE_NOUNS)
    return _list(tokens, at, lambda token: None if "/" in token.text else _path_of(token, named=named), FILE_NOUNS)


def _documents(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
    """Take paths that end like a file's, whatever stands before them."""
    return _list(tokens, at, lambda token: _path_of(token, named=True) if _is_file(token.text) else None, FILE_NOUNS)


def _follows(tokens: Sequence[Token], at: int, nouns: Collection[str]) -> bool:
    before = at - 1
    while before >= 0 and (tokens[before].word == ":" or tokens[before].word in {"at", "named", "called"}):
        before -= 1
    return before >= 0 and tokens[before].word in nouns


def _name(form: re.Pattern[str], forbidden: Collection[str], *, numbers: bool) -> Callable[[Token], str | None]:
    """Return what reads one name: of ``form``, no word of the language unless quoted."""

    def read(token: Token) -> str | None:
        if token.kind == "mark" or not form.fullmatch(token.text) or (token.text.isdigit() and not numbers):
            return None
        is_word = token.kind == "word" and (
            token.word in NO_NAMES or token.word in forbidden or token.word != token.text.lower()
        )
        return None if is_word else token.text

    return read


_process_name: Final = _name(_PROCESS, NO_PROCESS, numbers=False)
_container_name: Final = _name(_CONTAINER, NO_CONTAINER, numbers=True)
_image_name: Final = _name(_NAME, frozenset(), numbers=False)
_package_name: Final = _name(_PROCESS, frozenset({"manager", "managers", "repository", "index"}), numbers=False)
_branch_name: Final = _name(_BRANCH, frozenset(), numbers=True)


def _daemon(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
    """Take a name that is a process's own wherever it stands: a known one, a quoted one, one that is no plain word."""
    token, name = tokens[at], _process_name(tokens[at])
    is_distinct = token.kind == "quoted" or token.word in DAEMONS or not token.text.isalpha()
    return (at + 1, (name,)) if name is not None and is_distinct else None


def _handle(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
    """Take a container's name where it could also be a plain word that describes one: quoted, or no such word."""
    token, name = tokens[at], _container_name(tokens[at])
    is_distinct = token.kind == "quoted" or not token.text.isalpha()
    return (at + 1, (name,)) if name is not None and is_distinct else None


def _names(item: Callable[[Token], str | None], nouns: str) -> Slot:
    repeated = frozenset(nouns.split())
    return lambda tokens, at, _now: _list(tokens, at, item, repeated)


def _single(item: Callable[[Token], str | None]) -> Slot:
    def take(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
        value = item(tokens[at])
        return None if value is None else (at + 1, (value,))

    return take


def _of_form(form: re.Pattern[str]) -> Callable[[Token], str | None]:
    """Return what reads a token of ``form``: its first group, else all of it."""

    def read(token: Token) -> str | None:
        found = form.fullmatch(token.text) if token.kind != "mark" else None
        return None if found is None else found[found.re.groups and 1]

    return read


def _port(token: Token) -> str | None:
    found = _PORT.fullmatch(token.word)
    return str(int(found[1])) if found and 1 <= int(found[1]) <= 65535 else None  # noqa: PLR2004 - TCP's own


def _pinned(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
    found = _PINNED.fullmatch(tokens[at].text)
    return None if found is None else (at + 1, (found[1], found[2]))


def _text(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
    return (at + 1, (tokens[at].text,)) if tokens[at].kind == "quoted" else None


def _since(tokens: Sequence[Token], at: int, now: datetime) -> Taken:
    found = moments.since([token.word for token in tokens[at : at + moments.LONGEST]], now)
    return None if found is None else (at + found[0], (found[1].isoformat(),))


def _count(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
    word = tokens[at].word
    number = AMOUNTS.get(word) or (int(word) if _COUNT.fullmatch(word) else None)
    return None if number is None else (at + 1, (str(number),))


def _words_until(stops: Collection[str], limit: int) -> Slot:
    """Return a blank for plain words that are not looked at, up to one of ``stops``."""

    def take(tokens: Sequence[Token], at: int, _now: datetime) -> Taken:
        end = at
        while end < len(tokens) and end - at <= limit and tokens[end].word not in stops:
            word = tokens[end].word
            if not _PLAIN.fullmatch(word) or word in MOOD_WORDS or word in JOINTS:
                return None
            end += 1
        is_some = at < end <= at + limit and not is_request(tokens[at])
        return (end, tuple(token.text for token in tokens[at:end])) if is_some else None

    return take


SLOTS: Final[Mapping[str, Slot]] = {
    "path": _path,
    "target": _path,
    "paths": _paths,
    "files": _files,
    "documents": _documents,
    "folder": _folder,
    "place": _place,
    "process": _single(_process_name),
    "processes": _names(_process_name, "process daemon"),
    "daemon": _daemon,
    "container": _single(_container_name),
    "handle": _handle,
    "containers": _names(_container_name, "container docker"),
    "image": _single(_image_name),
    "package": _single(_package_name),
    "packages": _names(_package_name, "package"),
    "pinned": _pinned,
    "version": _single(_of_form(_VERSION)),
    "branch": _single(_branch_name),
    "commit": _single(_of_form(_COMMIT)),
    "digest": _single(_of_form(_DIGEST)),
    "port": _single(_port),
    "ports": lambda tokens, at, _now: _list(tokens, at, _port, frozenset({"port"})),
    "url": _single(_of_form(_URL)),
    "status": _single(_of_form(_STATUS)),
    "text": _text,
    "since": _since,
    "count": _count,
    "subject": _words_until(listed("is are listens listen"), MAX_SUBJECT),
    "what": _words_until(listed("to into in under at as"), MAX_WHAT),
}
