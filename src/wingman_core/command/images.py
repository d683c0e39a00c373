"""Image references, normalised as distribution/reference v0.6.0 normalises them.

Guarantees: two spellings of one reference become one text (``docker.io/library/busybox`` is ``busybox``), and
that text means the same image when it is read again. An id stays an id.

Does not: tell a short id from a name; only an engine can, and the resolved target says which it was.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

from wingman_core.command.values import BadValue

_DEFAULT_DOMAIN: Final = "docker.io"
_LEGACY_DOMAIN: Final = "index.docker.io"
_OFFICIAL: Final = "library/"
_MAX_NAME: Final = 255

_COMPONENT: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_DIGEST: Final = r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}"
_REFERENCE: Final = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    rf"(?::(?P<tag>[a-zA-Z0-9_][a-zA-Z0-9_.-]{{0,127}}))?(?:@(?P<digest>{_DIGEST}))?"
)
_IDENTIFIER: Final = re.compile(r"(?:sha256:)?([a-f0-9]{64})")
_PATTERN: Final = re.compile(r"[a-zA-Z0-9_.:/@*?\[\]-]+")


@dataclass(frozen=True, slots=True)
class _Named:
    domain: str
    path: str
    tag: str
    digest: str

    def text(self, domain: str, path: str) -> str:
        name = f"{domain}/{path}" if domain else path
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def image(text: str) -> str:
    """Read a reference to an image that exists: a name with or without tag or digest, or an id."""
    if match := _IDENTIFIER.fullmatch(text):
        return f"sha256:{match[1]}"
    return _familiar(_parse(text))


def remote_image(text: str) -> str:
    """Read a reference to be pulled: a name with or without tag or digest, never an id."""
    if _IDENTIFIER.fullmatch(text):
        raise BadValue("an image id cannot be pulled; name the image")
    return _familiar(_parse(text))


def kind_of(
    name: str, declared: Literal["", "container", "image", "network", "volume"]
) -> Literal["container", "image", "network", "volume"]:
    """Return what ``docker inspect`` looks for under a name, where the command may leave it open.

    Docker tries a container first, then an image; here only a name that no container can have is an image's.
    """
    if declared:
        return declared
    return "image" if any(character in name for character in "/:@") else "container"


def is_name_only(reference: str) -> bool:
    """Tell whether a normalised reference has neither tag nor digest."""
    named = _parse(reference)
    return not named.tag and not named.digest


def repository(reference: str) -> str:
    """Return registry and path, spelled out."""
    named = _parse(reference)
    return f"{named.domain}/{named.path}"


def qualified(reference: str) -> str:
    """Return the reference with registry, path and tag spelled out; an id as it is."""
    if _IDENTIFIER.fullmatch(reference):
        return reference
    named = _parse(reference)
    text = named.text(named.domain, named.path)
    return text if named.tag or named.digest else f"{text}:latest"


def image_pattern(text: str) -> str:
    """Read what ``docker images`` filters by: a reference, or a pattern of one."""
    if text and (_PATTERN.fullmatch(text) is None or text.startswith("-")):
        raise BadValue("not an image's name or a pattern of one")
    return text


def _parse(text: str) -> _Named:
    domain, remainder = _split_domain(text)
    match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None or len(match["path"]) > _MAX_NAME:
        raise BadValue("not an image reference, such as registry.example/team/app:1.2")
    return _Named(match["domain"], match["path"], match["tag"] or "", match["digest"] or "")


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash:
        return _DEFAULT_DOMAIN, _OFFICIAL + text
    if first in {_DEFAULT_DOMAIN, _LEGACY_DOMAIN}:
        return _DEFAULT_DOMAIN, rest if "/" in rest else _OFFICIAL + rest
    if first == "localhost" or "." in first or ":" in first or first.lower() != first:
        return first, rest
    return _DEFAULT_DOMAIN, text


def _familiar(named: _Named) -> str:
    """Return the short form where it reads back as the same reference, else the long one."""
    full = named.text(named.domain, named.path)
    if named.domain != _DEFAULT_DOMAIN:
        return full
    official = named.path.removeprefix(_OFFICIAL)
    short = named.text("", named.path if "/" in official else official)
    # "docker.io/a.b/c" must not become "a.b/c", which is another registry's.
    return short if _IDENTIFIER.fullmatch(short) is None and _parse(short) == named else full
