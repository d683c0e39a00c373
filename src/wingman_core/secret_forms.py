"""What a secret looks like in one line of output: telling names, URLs with passwords, well-known formats.

Guarantees: ``secrets_in`` takes time linear in the line, and where a value's end is in doubt, it takes more
of the line rather than less. An unquoted value ends at the first white space, unless its name begins the
line (the output of ``env``): then at the line's end. Over-long repetitions are bounded on purpose.
"""

import re
from dataclasses import dataclass
from typing import Final

from ahocorasick_rs import BytesAhoCorasick

MARK: Final = b"[redacted]"

_SPACE: Final = rb"[ \t]{0,64}+"
_QUOTE: Final = rb"\\{0,8}[\"']"
_NAME: Final = (
    rb"(?i:pass(?:word|phrase|code)|(?<!/)passwd|[_-]pass(?![a-z])|[_-]pwd|secret|token|credential|signature"
    # dbpass and userpwd, but not the words that end like them, nor OLDPWD.
    rb"|(?<=[a-z])(?<!by)(?<!com)(?<!sur)(?<!tres)(?<!over)(?<!under)pass(?![a-z])|(?<=[a-z])(?<!old)pwd"
    rb"|(?:connection|conn)[_.-]?str|(?<![a-z])dsn|(?<![a-z])auth(?![a-z])|session[_.-]?(?:id|key)"
    rb"|(?:access|account|api|encryption|license|master|private|service|shared|signing|ssh|storage)[_.-]?key)"
    rb"[A-Za-z0-9_.-]{0,64}+"
)
_PLAIN: Final = rb"(?<![\w.-])(?i:pass|pwd)(?![\w.-])"
"""Names that tell only as keys in quotes and as flags; PASS also where an assignment begins with it."""
NAME_STEMS: Final = (
    b"pass",
    b"pwd",
    b"secret",
    b"token",
    b"credential",
    b"signature",
    b"str",
    b"dsn",
    b"auth",
    b"session",
    b"key",
    b"cookie",
)
"""One of these is in every telling name: a look for them spares most lines the search for names."""
_HEADER: Final = rb"(?i:authorization|cookie)"

_ASSIGNED: Final = re.compile(
    rb"(?:(?P<header>" + _HEADER + rb")|(?P<plain>" + _PLAIN + rb")|" + _NAME + rb")"
    + rb"(?P<name_quote>" + _QUOTE + rb")?" + _SPACE
    # Behind a bare name a colon needs white space or a quote, or else every `token-service:1.2` would be one.
    + rb"(?:=>?|:=|:(?=[ \t\"'\\])|(?(name_quote):|(?(header):|(?!))))" + _SPACE + rb"(?P<quote>" + _QUOTE + rb")?"
)  # fmt: skip
_FLAG: Final = re.compile(
    rb"(?:--|(?<![\w-])-)(?P<name>[A-Za-z0-9][\w.-]{0,127}+)"
    # One word behind the other, as a list of processes has them, and as lists are written: JSON, Python, Dockerfiles.
    rb"(?:[ \t\0]{1,64}+(?P<quote>" + _QUOTE + rb")?|" + _QUOTE + rb"[ \t]{0,8},?[ \t]{0,8}(?P<next>" + _QUOTE + rb"))"
)
_FLAG_NAME: Final = re.compile(rb"(?<![A-Za-z0-9])(?i:pass|pwd)(?![\w.-])|masterauth|" + _NAME)
_LINE_START: Final = re.compile(rb"[ \t]*(?:(?:export|declare -x|set|-|-e|--env)[ \t]+)?[A-Za-z0-9_.-]*")
_SINGLE_QUOTED: Final = re.compile(rb"'[A-Za-z0-9_.-]*\Z")
_BARE_JSON: Final = re.compile(rb"(?![\[{])[^\s,}\])]*")
_WORD: Final = re.compile(rb"[^\s\0]*")
_CLOSING_QUOTES: Final = rb"\"'\\"
_NOT_SECRET: Final = frozenset({b"", b"null", b"true", b"false"})
_LOOK_BACK: Final = 128

_URL_TEXT: Final = re.compile(rb"[^\s\"'<>]+")
_USER: Final = re.compile(rb"://(?:(?P<user>[^:/@]*):|(?P<token>[^:/@]{20,})@)")

PEM_BEGIN: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----")
PEM_END: Final = re.compile(rb"-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----")

_KNOWN_FORMATS: Final = (
    # What stands in each token of the format, and the format.
    ((b"eyJ",), rb"eyJ[A-Za-z0-9_-]{8,2048}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)*"),  # JWT
    ((b"AKIA", b"ASIA"), rb"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])"),  # AWS
    ((b"gh",), rb"gh[a-z]_[A-Za-z0-9]{20,255}"),  # GitHub
    ((b"github_pat_",), rb"github_pat_[A-Za-z0-9_]{20,255}"),
    ((b"glpat-",), rb"glpat-[A-Za-z0-9_.-]{16,255}"),  # GitLab
    ((b"xox",), rb"xox[a-z]-[A-Za-z0-9-]{10,255}"),  # Slack
    ((b"xapp-",), rb"xapp-[A-Za-z0-9-]{10,255}"),
    ((b"AIza",), rb"AIza[A-Za-z0-9_-]{30,64}"),  # Google
    ((b"k_live_", b"k_test_"), rb"[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}"),  # Stripe
    ((b"sk-",), rb"sk-[A-Za-z0-9_-]{20,255}"),  # language model services
    ((b"npm", b"hf_", b"hf-", b"dop_v1", b"pypi"), rb"(?:npm|hf|dop_v1|pypi)[_-][A-Za-z0-9_-]{30,255}"),
    ((b"wm_",), rb"wm_[A-Za-z0-9]{1,64}_[A-Za-z0-9_-]{8,255}"),  # Wingman
    ((b":AA",), rb"[0-9]{6,12}:AA[A-Za-z0-9_-]{30,64}"),  # Telegram
    ((b"dckr_",), rb"dckr_[a-z]{2,6}_[A-Za-z0-9_-]{20,255}"),  # Docker Hub
    ((b"hvs.", b"hvb.", b"hvr."), rb"hv[sbr]\.[A-Za-z0-9_-]{20,255}"),  # Vault
    ((b"glsa_", b"glc_"), rb"gl(?:sa|c)_[A-Za-z0-9+/=_-]{20,255}"),  # Grafana
    ((b"shp",), rb"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{24,64}"),  # Shopify
    ((b"ATATT3x",), rb"ATATT3x[A-Za-z0-9_=-]{20,255}"),  # Atlassian
    ((b"lin_api_",), rb"lin_api_[A-Za-z0-9]{20,255}"),  # Linear
    ((b"tskey-",), rb"tskey-[a-z]{2,16}-[A-Za-z0-9-]{12,255}"),  # Tailscale
    ((b"AGE-SECRET-KEY-1",), rb"AGE-SECRET-KEY-1[A-Z0-9]{20,255}"),  # age
    ((b"NRAK-",), rb"NRAK-[A-Z0-9]{20,64}"),  # New Relic
    ((b"dapi",), rb"dapi[a-f0-9]{32}(?![a-f0-9])"),  # Databricks
    ((b"dp.",), rb"dp\.[a-z]{2,8}\.[A-Za-z0-9]{30,255}"),  # Doppler
)
_FORMATS: Final = re.compile(rb"(?<![A-Za-z0-9_-])(?:" + rb"|".join(form for _, form in _KNOWN_FORMATS) + rb")")
_TELLING: Final = BytesAhoCorasick(
    [*NAME_STEMS, b"@", b"-----begin ", *(stem.lower() for stems, _ in _KNOWN_FORMATS for stem in stems)]
)
"""One of these, in lower case, is in every line with a secret."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret stands in a line: what tells of it begins at ``start``, its value is ``value`` to ``end``."""

    start: int
    value: int
    end: int
    mark: bytes = MARK


def secrets_in(line: bytes, *, quoted: bool = False) -> tuple[Secret, ...]:
    """Return the secrets of a line without its end, from left to right, their values apart from each other.

    ``quoted``: the line goes on from a part of it in which a double quote was opened.
    """
    found = [*_urls(line), *_private_keys(line)]
    lower = line.lower()
    if any(stem in lower for stem in NAME_STEMS):
        found += [*_assignments(line, quoted=quoted), *_flags(line, quoted=quoted)]
    found.extend(Secret(match.start(), match.start(), match.end()) for match in _FORMATS.finditer(line))
    apart: list[Secret] = []
    for secret in sorted(found, key=lambda one: (one.value, -one.end)):
        if not apart or secret.value >= apart[-1].end:
            apart.append(secret)
        elif secret.end > apart[-1].end:
            last = apart.pop()
            apart.append(Secret(min(last.start, secret.start), last.value, secret.end, last.mark))
    return tuple(apart)


def places_in(text: bytes) -> list[int]:
    """Return, sorted, where there is something without which ``secrets_in`` finds nothing in a line."""
    return [start for _, start, _ in _TELLING.find_matches_as_indexes(text.lower())]


def opens_quote(text: bytes) -> bool:
    """Tell whether a double quote is opened and not closed in ``text``."""
    return (text.count(b'"') - text.count(b'\\"')) % 2 == 1


def _assignments(line: bytes, *, quoted: bool) -> list[Secret]:
    """Return the values of telling names; names inside a value that was taken already are not looked at again."""
    secrets: list[Secret] = []
    start = _LINE_START.match(line)
    first = start.end() if start else 0
    taken = looked = 0
    for match in _ASSIGNED.finditer(line):
        if match.start() < taken or (match["plain"] and not _tells(line, match, first=match.start() <= first)):
            continue
        # Each byte is looked at once for its quotes; no name begins with a quote, so no escape is cut in two.
        quoted ^= opens_quote(line[looked : match.start()])
        looked = match.start()
        end, mark = _end_of_value(line, match, quoted=quoted, first=match.start() <= first)
        if end > match.end():
            secrets.append(Secret(match.start(), match.end(), end, mark))
            taken = end
    return secrets


def _tells(line: bytes, match: re.Match[bytes], *, first: bool) -> bool:
    """Whether a plain name tells of a secret here, and not of where one is, or of tests that pass."""
    if match["name_quote"]:
        return match["quote"] is not None
    begins = first or line[match.start() - 1 : match.start()] in {b'"', b"'"}
    return begins and match["plain"].lower() == b"pass" and line[match.end("plain") : match.end()].strip()[:1] == b"="


def _end_of_value(line: bytes, match: re.Match[bytes], *, quoted: bool, first: bool) -> tuple[int, bytes]:
    """Return where the value behind ``match`` ends (``match.end()`` where it is none), and what stands for it.

    ``quoted``: a double quote is open before the name; ``first``: the name begins the line.
    """
    start = match.end()
    if match["quote"]:
        return _closing(line, start, match["quote"]), MARK
    if match["name_quote"]:  # JSON: a number is a secret, a container is looked into
        value = _BARE_JSON.match(line, start)
        bare = value[0] if value else b""
        return start + len(bare) * (bare not in _NOT_SECRET), match["name_quote"] + MARK + match["name_quote"]
    if quoted:
        return _closing(line, start, b'"'), MARK
    if _SINGLE_QUOTED.search(line, max(0, match.start() - _LOOK_BACK), match.start()):
        return _closing(line, start, b"'"), MARK
    if match["header"] or first:
        return len(line), MARK
    return _end_of_word(line, start), MARK


def is_telling_flag(word: str) -> bool:
    """Tell whether the word is a flag whose value, the next word, is a secret: ``--password``, ``-token``."""
    match = _FLAG.fullmatch(word.encode("utf-8", "surrogatepass") + b" ")
    return match is not None and _FLAG_NAME.search(match["name"]) is not None


def _flags(line: bytes, *, quoted: bool) -> list[Secret]:
    """Return the values of telling flags that are words of their own, ``--password x``."""
    secrets: list[Secret] = []
    looked = 0
    for match in _FLAG.finditer(line):
        if _FLAG_NAME.search(match["name"]) is None:
            continue
        quoted ^= opens_quote(line[looked : match.start()])
        looked = match.start()
        if quote := match["quote"] or match["next"]:
            end = _closing(line, match.end(), quote)
        else:
            end = _end_of_word(line, match.end())
            if quoted:
                end = min(end, _closing(line, match.end(), b'"'))
            # The quote that closes what flag and value stand in together is not the value's.
            end -= len(line[match.end() : end]) - len(line[match.end() : end].rstrip(_CLOSING_QUOTES))
        secrets.append(Secret(match.start(), match.end(), end))
    return secrets


def _urls(line: bytes) -> list[Secret]:
    """Return the passwords in URLs, up to the last @ in one piece of text, and user names as long as tokens."""
    secrets: list[Secret] = []
    for text in _URL_TEXT.finditer(line) if b"@" in line else ():
        last = line.rfind(b"@", text.start(), text.end())
        for match in _USER.finditer(line, text.start(), max(text.start(), last + 1)):
            if match["token"] is not None:
                secrets.append(Secret(match.start(), match.start("token"), match.end("token")))
            elif match.end() < last:
                secrets.append(Secret(match.start(), match.end(), last))
                break
    return secrets


def _private_keys(line: bytes) -> list[Secret]:
    """Return the private key that stands in the line, to its end or the line's."""
    begin = PEM_BEGIN.search(line)
    if begin is None:
        return []
    last = None
    for last in PEM_END.finditer(line, begin.end()):  # noqa: B007 - the last one is wanted
        pass
    return [Secret(begin.start(), begin.start(), last.end() if last else len(line))]


def _closing(line: bytes, start: int, quote: bytes) -> int:
    """Return the position of the quote that closes a value, the line's end where none does."""
    at = line.find(quote, start)
    while at > start and line[at - 1] == ord("\\"):
        at = line.find(quote, at + 1)
    return len(line) if at < 0 else at


def _end_of_word(line: bytes, start: int) -> int:
    word = _WORD.match(line, start)
    return word.end() if word else start
