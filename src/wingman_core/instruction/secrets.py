"""Secrets in an instruction by telling names, URLs, command lines and well-known formats.

Guarantees: the forms are those of ``secret_forms`` (so that what is redacted from output is also found here), less
placeholders and statements (``placeholders``); no hit holds the secret. Time is linear: long lines are read in
overlapping pieces. Other scanners are passed to ``report.check`` beside this one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from wingman_core.instruction.commands import Script
from wingman_core.instruction.placeholders import LONGEST, is_placeholder, is_setting, is_statement, looks_made
from wingman_core.secret_forms import NAME_STEMS, Secret, secrets_in

PIECE: Final = 4096
"""Characters of a line that are read at once."""
OVERLAP: Final = 512


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret: where in ``Script.text``, and how it was known; never what it is."""

    at: int
    rule: str
    message: str


Scan = Callable[[Script], Iterable[Hit]]
"""A scanner for secrets."""

NAME_NEEDLES: Final = (
    *(stem.decode("ascii") for stem in NAME_STEMS if stem != b"str"),
    *(f"{start}{mark}str" for start in ("conn", "connection") for mark in ("", "_", ".", "-")),
    *("pw:", "pw=", "pw :", "pw ="),
)
"""In lower case; a line without one has no telling name."""
NEEDLES: Final = (
    *("eyj", "akia", "asia", "gha_", "gho_", "ghp_", "ghr_", "ghs_", "ghu_", "github_pat_", "glpat-", "xox", "xapp-"),
    *("aiza", "k_live_", "k_test_", "sk-", "npm_", "npm-", "hf_", "hf-", "dop_v1", "pypi_", "pypi-", "wm_", ":aa"),
    *("dckr_", "hvs.", "hvb.", "hvr.", "glsa_", "glc_", "shpat_", "shpca_", "shppa_", "shpss_", "atatt3x", "lin_api_"),
    *(
        "tskey-",
        "age-secret-key",
        "nrak-",
        "dapi",
        "dp.",
        "private key",
        "curl ",
        "wget ",
        "sshpass",
        "login ",
        "mysql",
    ),
    *("redis-cli", "bearer ", "sig=", "://"),
)
"""In lower case; a line without one has no token of a known format, and no secret on a command line or in a URL."""

_WORD: Final = r"(?P<value>[^\s\"'`]{4,256})"
_COMMAND_LINES: Final = re.compile(
    rf"\b(?:curl|wget)\b[^\n|]{{0,200}}?\s(?:-u|--user)[ =]?[\"']?[\w.@-]{{1,64}}:{_WORD}"
    rf"|\bsshpass\s{{1,4}}-p\s?[\"']?{_WORD.replace('value', 'sshpass')}"
    rf"|\blogin\b[^\n|]{{0,120}}?\s-p[ =][\"']?{_WORD.replace('value', 'login')}"
    rf"|\bmysql(?:dump|admin)?\b[^\n|]{{0,120}}?\s-p[\"']?{_WORD.replace('value', 'mysql')}"
    rf"|\bredis-cli\b[^\n|]{{0,120}}?\s-a[ =]?[\"']?{_WORD.replace('value', 'redis')}"
    rf"|\b[Bb]earer\s{{1,4}}(?P<bearer>[A-Za-z0-9._~+/-]{{16,256}})"
    rf"|\bsig=(?P<signature>[A-Za-z0-9%+/]{{40,256}})"
)
_TOLD: Final = re.compile(
    r"(?i:pass(?:word|phrase|code)(?:\s{1,4}(?:is|was))?|(?:secret|token|key)\s{1,4}(?:is|was)|p(?:ass|w|wd)\s?(?=[:=]))"
    r"(?:\s{0,4}[:=]\s{0,4}|\s{1,4})[\"'`]?([^\s\"'`,;]{7,200})"
)
"""How a sentence tells one: "the password is ...", "with the password ...", "pw: ..."."""
_NO_LINE_START: Final = b"|"
"""Before a line, so that a value behind its first name ends at white space like every other."""
_SCHEME: Final = re.compile(r"(?i:bearer|basic|token|digest|apikey)\s{1,8}(\S*)")
_NAME: Final = re.compile(r"([A-Za-z0-9_.-]{1,200})[\\\"'\s]{0,16}(?:=>?|:=|:)?[\\\"'\s]{0,16}\Z")
_ABOUT: Final = re.compile(
    r"(?i)(?:file|path|name|length|len|ttl|type|expiry|expires|expires_in|lifetime|count|policy|format|algorithm|alg"
    r"|limit|limits|size|ref|rotation|manager|store|scanner|scan|scanning|stdin|url|uri|method|mode|provider)\Z"
)
"""Ends of names that tell of a secret and do not hold it."""
_PASSWORD: Final = re.compile(r"(?i)pass|pwd|pin")
_SHORTEST: Final = 4
_SHORT_NUMBER: Final = 6


def scan(script: Script, names: Iterable[int], others: Iterable[int]) -> Iterator[Hit]:
    """Yield the secrets around ``names`` (of ``NAME_NEEDLES``) and ``others`` (of ``NEEDLES``).

    Several on one line may be one hit.
    """
    places = list(names)
    for bounds in script.lines_at((*_assigning(script, places), *_sending(script, others))):
        for start, end in _pieces(*bounds):
            yield from _forms(script.text[start:end], start)
            for match in _COMMAND_LINES.finditer(script.text, start, end):
                if not is_placeholder(match[match.lastgroup or 0]):
                    yield Hit(match.start(), "secret-argument", "a secret stands on a command line")
    for at in places:
        told = _TOLD.match(script.text, at)
        if told and looks_made(told[1].rstrip(".:!?)")) and not is_placeholder(told[1]):
            yield Hit(told.start(1), "secret-told", "a sentence tells a secret")


def _forms(text: str, start: int) -> Iterator[Hit]:
    """Yield what ``secret_forms`` knows and what is no placeholder in a piece of a line, which begins at ``start``."""
    line = _NO_LINE_START + text.encode("utf-8", "surrogatepass")
    for secret in secrets_in(line):
        rest = line[secret.value : secret.end].decode("utf-8", "replace")
        if rest and (known := _known(line[secret.start : secret.value].decode("utf-8", "replace"), rest, line, secret)):
            at = start + len(line[: secret.value].decode("utf-8", "replace")) - len(_NO_LINE_START)
            yield Hit(at, *known)


def _assigning(script: Script, names: Iterable[int]) -> Iterator[int]:
    """Yield those names that something is assigned to on the same line, as far as a look can tell."""
    lower = script.lower
    for at in names:
        end = lower.find("\n", at)
        end = len(lower) if end < 0 else end
        if (
            lower.find("=", at, end) >= 0
            or lower.find(":", at, end) >= 0
            or lower.rfind("--", max(0, at - 64), at) >= 0
        ):
            yield at


def _sending(script: Script, others: Iterable[int]) -> Iterator[int]:
    """Yield ``others`` without URLs that have no @ on their line, and so no password."""
    text = script.text
    for at in others:
        end = text.find("\n", at)
        if text[at] != ":" or text[at + 1] != "/" or text.find("@", at, end if end >= 0 else len(text)) >= 0:
            yield at


def _pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    while end - start > PIECE:
        yield start, start + PIECE
        start += PIECE - OVERLAP
    yield start, end


def _known(head: str, value: str, line: bytes, secret: Secret) -> tuple[str, str] | None:
    """Return rule and message for a form, or None for a placeholder or a statement."""
    if head and not head.startswith("://"):
        told = line[secret.value : max(secret.end, secret.value + LONGEST)].decode("utf-8", "replace")
        is_secret = _is_secret(head, value, told)
        return ("secret-assignment", "a secret is written out behind its name") if is_secret else None
    if is_placeholder(value):
        return None
    if head:
        return "secret-url", "a password stands in a URL"
    if value.startswith("-----"):
        return "private-key", "a private key begins on this line"
    return "secret-format", "this has the form of a token or key"


def _is_secret(head: str, value: str, told: str) -> bool:
    """Tell whether ``value``, behind a telling name with its separator, is a secret; ``told`` goes on after it."""
    found = _NAME.search(head)
    name = found[1] if found else ""
    if _ABOUT.search(name):
        return False
    scheme = _SCHEME.match(value)
    if scheme:
        plain = scheme[1]
    elif head.endswith(('"', "'")):
        plain = value
    elif head.rstrip(" ")[-1:] == ":":
        plain = value.split(maxsplit=1)[0]
        if is_statement(told):
            return False
    else:
        plain = value
        if is_setting(plain):
            return False
    plain = plain.strip("\"'`").rstrip(",;.)\"'`")
    is_number = plain.isdigit() and len(plain) < _SHORT_NUMBER and not _PASSWORD.search(name)
    is_flag = plain.startswith(("-", "id="))
    return len(plain) >= _SHORTEST and not is_placeholder(plain) and not is_number and not is_flag
