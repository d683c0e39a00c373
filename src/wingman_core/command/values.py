"""Docker's grammars for single values: each reader takes raw text and returns the value in one normal form.

Guarantees: readers are anchored at both ends, ASCII where Docker's are, and normalise the way Docker does
(Go's ParseBool, paths, addresses), so that two spellings of one value are equal. Where a spelling is rare and
its reading doubtful, it is refused instead of guessed. Numbers are in ``quantities``, signals in ``signals``.

Sources: docker/cli v28.2.2 ``opts``, moby v28 ``container`` and ``volume/mounts``.
"""

import ipaddress
import posixpath
import re
from collections.abc import Callable
from typing import Final

_MAX_NAME: Final = 255
_MAX_PATH: Final = 4096


class BadValue(ValueError):
    """The text is no such value; the message says what would be one."""


_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def boolean(text: str) -> bool:
    """Read Go's ``strconv.ParseBool``."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise BadValue("not a boolean; write true or false")


def one_of(*words: str) -> Callable[[str], str]:
    """Return a reader of a closed list."""

    def read(text: str) -> str:
        if text not in words:
            raise BadValue("must be one of " + ", ".join(word or "''" for word in words))
        return text

    return read


def matching(pattern: str, example: str) -> Callable[[str], str]:
    """Return a reader of what ``pattern`` matches in full."""
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise BadValue(f"not of the form {example}")
        return text

    return read


def free(text: str) -> str:
    """Read text that only the program in the container interprets."""
    return text


def optional(read: Callable[[str], str]) -> Callable[[str], str]:
    """Return a reader that also takes empty text, which Docker reads as the default."""
    return lambda text: read(text) if text else ""


_CONTAINER: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_NEW_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_HOST: Final = re.compile(r"[a-zA-Z0-9_](?:[a-zA-Z0-9_.-]*[a-zA-Z0-9_])?")
_USER: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*\$?(?::[a-zA-Z0-9_][a-zA-Z0-9_.-]*\$?)?")
_MAX_ID: Final = 2**31 - 1
_VARIABLE: Final = re.compile(r"[^=\s]+")
_PLATFORM: Final = re.compile(r"[a-z0-9_][a-z0-9_-]*(?:/[a-z0-9_][a-z0-9_.-]*){0,2}", re.ASCII | re.IGNORECASE)
_DOMAIN_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN: Final = re.compile(rf"{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*")


def container(text: str) -> str:
    """Read the name, id or id prefix of a container that exists (moby ``RestrictedNameChars``)."""
    if _CONTAINER.fullmatch(text) is None or len(text) > _MAX_NAME:
        raise BadValue("not a container's name or id: letters, digits, and _ . - after the first")
    return text


def new_name(text: str) -> str:
    """Read a name to be given to a container, volume or network (moby ``RestrictedNamePattern``)."""
    if _NEW_NAME.fullmatch(text) is None or len(text) > _MAX_NAME:
        raise BadValue("not a name: two or more letters, digits, and _ . - after the first")
    return text


def host(text: str) -> str:
    """Read a host name (RFC 1123, with the underscore that Docker allows)."""
    if _HOST.fullmatch(text) is None or len(text) > _MAX_NAME:
        raise BadValue("not a host name")
    return text


def domain(text: str) -> str:
    """Read a search domain: labels without an underscore, a letter among them (docker/cli ``ValidateDNSSearch``)."""
    if _DOMAIN.fullmatch(text) is None or len(text) >= _MAX_NAME or not any(map(str.isalpha, text)):
        raise BadValue("not a domain, such as example.com")
    return text


def user(text: str) -> str:
    """Read ``name|uid[:group|gid]``; ids are at most 2^31-1, as moby's ``user`` package has it."""
    if _USER.fullmatch(text) is None:
        raise BadValue("not a user; write name, uid, or user:group")
    if any(part.isdigit() and int(part) > _MAX_ID for part in text.split(":")):
        raise BadValue("too large a user or group id")
    return text


def group(text: str) -> str:
    """Read a group's name or id."""
    if ":" in user(text):
        raise BadValue("not a group; write its name or id")
    return text


def pair(text: str) -> tuple[str, str]:
    """Read ``NAME=value`` or ``NAME``, which is ``NAME=``, as Docker does for labels and options."""
    name, _, value = text.partition("=")
    if _VARIABLE.fullmatch(name) is None:
        raise BadValue("not NAME=value")
    return name, value


def variable(text: str) -> tuple[str, str]:
    """Read ``NAME=value`` for the environment; bare ``NAME`` would be filled from the client's own."""
    if "=" not in text:
        raise BadValue("has no value; Docker would take it from its client's environment, so write NAME=value")
    return pair(text)


def show_pair(value: tuple[str, str]) -> str:
    """Write ``NAME=value``."""
    return "=".join(value)


_RESERVED_LABELS: Final = "wingman."


def label(text: str) -> tuple[str, str]:
    """Read a label; those by which Wingman knows its own are not a worker's to set."""
    name, value = pair(text)
    if name.startswith(_RESERVED_LABELS):
        raise BadValue("labels under wingman. are Wingman's own; leave it out")
    return name, value


def platform(text: str) -> str:
    """Read ``os[/architecture[/variant]]``; what is left out, the engine takes from its host."""
    if _PLATFORM.fullmatch(text) is None:
        raise BadValue("not a platform, such as linux/amd64")
    return text.lower()


def full_platform(text: str) -> str:
    """Read ``os/architecture[/variant]``; what is left out, Docker's client would take from its own machine."""
    if "/" not in text:
        raise BadValue("not an operating system and an architecture, such as linux/amd64")
    return platform(text)


def path(text: str) -> str:
    """Read an absolute path, cleaned as Go's ``path.Clean`` cleans it."""
    if not text.startswith("/") or len(text) > _MAX_PATH:
        raise BadValue("not an absolute path")
    cleaned = posixpath.normpath(text)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def straight_path(text: str) -> str:
    """Read an absolute path that is followed as it stands: ``.`` and ``..`` are refused, slashes are single.

    Behind a link, ``..`` leads elsewhere than the text says, so that cleaning the text would change the place.
    """
    if {".", ".."} & set(text.split("/")):
        raise BadValue("a path with . or .. in it; write where it leads")
    return path(text)


def address(text: str) -> str:
    """Read an IPv4 or IPv6 address without a zone, in its shortest form."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise BadValue("not an IP address") from None
    if "%" in text:
        raise BadValue("an IP address with a zone")
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        raise BadValue("an IPv4 address in IPv6 clothes; write it as IPv4")
    return str(found)


def address_v4(text: str) -> str:
    """Read an IPv4 address."""
    if ":" in text:
        raise BadValue("not an IPv4 address")
    return address(text)


def address_v6(text: str) -> str:
    """Read an IPv6 address."""
    if ":" not in text:
        raise BadValue("not an IPv6 address")
    return address(text)


_MAC: Final = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}")


def mac_address(text: str) -> str:
    """Read a 48-bit MAC address."""
    if _MAC.fullmatch(text.lower()) is None:
        raise BadValue("not a MAC address, such as 92:d0:c6:0a:29:33")
    return text.lower().replace("-", ":")
