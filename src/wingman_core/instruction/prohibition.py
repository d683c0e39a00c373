"""Whether a text forbids what it names: "never use --force" asks for the opposite of "use --force".

Guarantees: deny by default. A prohibition counts only where nothing but known harmless words, other commands and
list punctuation stands between it and what it forbids, in one clause, and where no exception follows. So "do not
hesitate to run rm -rf", "if not, rm -rf" and "never use --force unless it hangs" forbid nothing.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from wingman_core.instruction.commands import Script
from wingman_core.instruction.findings import Suspect
from wingman_core.instruction.vocabulary import words

_REACH: Final = 240
"""Characters before and after a place in which a prohibition of it is looked for."""
_AFTER_WORDS: Final = 16

_NEGATIONS: Final = words(
    "never not no without avoid avoids avoiding don't dont cannot can't mustn't shouldn't shan't won't doesn't "
    "refrain nor neither forbid forbids forbidding prohibit prohibits reject rejects refuse refuses disallow "
    "disallows exclude excludes excluding"
)
_FORBIDDEN: Final = words("forbidden prohibited banned disallowed off-limits")
_NOT_A_PROHIBITION_AFTER: Final = words("why if whether or than")
_VERBS: Final = words(
    "add apply call delete disable do enable execute give grant invoke issue kill mount need pass push put reboot "
    "recommend remove require restart rely resort run send set skip start stop suggest touch type use write "
    "adding applying calling deleting disabling doing enabling executing invoking issuing killing mounting passing "
    "pushing rebooting removing restarting running setting skipping starting stopping using writing used run"
)
_TAME: Final = words(
    "a an and any anything are as be commands command container containers data docker either etc ever every e.g "
    "flag flags following force forced from git host i.e in include including is like mode new of on option options "
    "or other part prod production script scripts shell server such sudo that the these this those to under via "
    "with all allowed directly under circumstances ours user users volumes volume images image network networks "
    "branch branches main master history operations operation privileged privileges destructive dangerous manually "
    "tools tool anywhere steps step at time worker workers agent agents we you must may should shall will i "
    "socket host's system builder compose network node plugin bash branch chmod chown cp curl dd drop database find "
    "kill kubectl mkfs mv npm pkill podman prune pull push reset rm rmi sql systemctl table terraform truncate wget"
)
_EXCEPTIONS: Final = words("unless except excepting until but only")
_BEFORE_VERBS: Final = words("or to ever even must may do be we you force forced on")
_LISTED: Final = words("flags commands containers ever volumes never")
"""Words that may end in a comma inside a prohibition, as code may."""
_CONDITIONS: Final = words("if when whenever once case where should unless until while because since")
_DESCRIBING: Final = words("is are was were does did has have had")
_DESCRIPTIONS: Final = words("doesn't won't no without cannot can't")
_LINKS: Final = words("is are be stay remain remains strictly explicitly absolutely always both all")
_MODALS: Final = words("must may can should shall will")
_DENIED: Final = words("allowed permitted used acceptable needed required run be necessary tolerated an")

_PIECE: Final = re.compile(r"`[^`\n]{0,200}`|[^\s`]+")
_WORD_EDGE: Final = "\"'()[]{}*_~>:.!?,;"
_CODE: Final = re.compile(r"[^A-Za-z',.:;!?()\"*]|\Adocker\Z")
_CLAUSE_END: Final = re.compile(r"[.!?](?=\s)|;\s|\s-{1,2}\s(?=[A-Z])")
_ITEM: Final = re.compile(r"\s*(?:[-*+\u2022]|[0-9]{1,2}[.)]|>)\s|\s*\Z|\s*(?:```|~~~)")


class _Piece(NamedTuple):
    """A word as it stands, or code in backticks; and the word without punctuation and case."""

    text: str
    word: str


class Prohibitions:
    """Answers for one text."""

    def __init__(self, script: Script) -> None:
        """Take the text; nothing is read before the first question."""
        self._script = script
        self._lists: list[tuple[int, int]] | None = None

    def forbids(self, suspect: Suspect) -> bool:
        """Tell whether the text forbids what stands there."""
        start, end = self._script.bounds(suspect.start)
        before = self._script.text[max(start, suspect.start - _REACH) : suspect.start]
        after = self._script.text[suspect.end : min(end, suspect.end + _REACH)]
        if before.count("`") % 2:  # inside code: what is said about it stands outside
            before, after = before[: before.rfind("`")], after.partition("`")[2]
        follows = _CLAUSE_END.split(after + " ", maxsplit=1)[0]
        if _has_exception(follows):
            return False
        clause = before[_last_end(before) :]
        return _negated(clause) or _condemned(follows) or self._is_listed(suspect.start)

    def _is_listed(self, at: int) -> bool:
        """Tell whether the place stands in a list under a line such as "Never run:"."""
        if self._lists is None:
            self._lists = _forbidden_lists(self._script.text)
        return any(start <= at < end for start, end in self._lists)


def _negated(clause: str) -> bool:
    """Tell whether a negation reaches the clause's end."""
    pieces = [_Piece(piece, piece.strip(_WORD_EDGE).lower()) for piece in _PIECE.findall(clause)]
    for at in range(len(pieces) - 1, -1, -1):
        word = pieces[at].word
        if word == "scope" and [piece.word for piece in pieces[max(0, at - 2) : at]] == ["out", "of"]:
            return True
        if word in _NEGATIONS or word in _FORBIDDEN:
            return _orders(pieces, at)
        if not _goes_on(pieces[at], pieces[at - 1].word if at else ""):
            return False
    return False


def _orders(pieces: Sequence[_Piece], at: int) -> bool:
    """Tell whether the negation at ``at`` forbids: no condition, no description of how something is."""
    earlier = pieces[at - 1].word if at else ""
    if pieces[at].text.endswith(",") or earlier in _NOT_A_PROHIBITION_AFTER:
        return False
    if any(piece.word in _CONDITIONS for piece in pieces[:at]):
        return False
    describes = earlier in _DESCRIBING or pieces[at].word in _DESCRIPTIONS
    return not (describes and any(piece.text.endswith(":") for piece in pieces[at:]))


def _goes_on(piece: _Piece, earlier: str) -> bool:
    """Tell whether a prohibition goes on over this word."""
    is_code = piece.text[0] == "`" or bool(_CODE.search(piece.word))
    if piece.text.endswith(",") and piece.word and not (is_code or piece.word in _LISTED):
        return False
    if is_code or not piece.word or piece.word in _TAME:
        return True
    # Anywhere else a verb begins an order of its own: "do not use stop, use rm -f".
    return piece.word in _VERBS and (earlier in _BEFORE_VERBS or earlier in _NEGATIONS)


def _condemned(follows: str) -> bool:
    """Tell whether what follows says that it is forbidden: ", and rm -rf are not allowed"."""
    pieces = [piece.strip(_WORD_EDGE).lower() for piece in _PIECE.findall(follows)[: _AFTER_WORDS + 2]]
    for at, word in enumerate(pieces[:_AFTER_WORDS]):
        rest = pieces[at + 1 : at + 3]
        if word in _FORBIDDEN:
            return True
        if word in {"not", "never"}:
            return bool(rest) and rest[0] in _DENIED and rest[1:2] != ["to"]
        if word in _MODALS:
            return bool(rest) and rest[0] in {"not", "never"}
        if word == "off" and rest[:1] == ["limits"]:
            return True
        if not (word in _LINKS or word in _TAME or not word or _CODE.search(word)):
            return False
    return False


def _has_exception(follows: str) -> bool:
    """Tell whether the clause goes on with a case in which it is not forbidden."""
    for piece in follows.split():
        word = piece.strip(_WORD_EDGE).lower()
        if word in _EXCEPTIONS:
            return True
        if piece.endswith(","):
            follows = ""
    return " without " in follows


def _last_end(before: str) -> int:
    """Return where the last clause of ``before`` begins; what stands in backticks ends none."""
    hidden = re.sub(r"`[^`\n]*`", lambda match: "x" * len(match[0]), before) if "`" in before else before
    ends = [match.end() for match in _CLAUSE_END.finditer(hidden)]
    return ends[-1] if ends else 0


def _forbidden_lists(text: str) -> list[tuple[int, int]]:
    """Return the lists under lines that forbid what follows them, as offsets."""
    lists: list[tuple[int, int]] = []
    begun, at, is_fenced = -1, 0, False
    for line in text.split("\n"):
        if begun >= 0 and not is_fenced and not _ITEM.match(line):
            lists.append((begun, at))
            begun = -1
        if begun >= 0 and line.lstrip().startswith(("```", "~~~")):
            is_fenced = not is_fenced
        if begun < 0 and _leads(line):
            begun = at + len(line)
        at += len(line) + 1
    return [*lists, (begun, at)] if begun >= 0 else lists


def _leads(line: str) -> bool:
    """Tell whether a line forbids the list under it: a heading, or a line that ends in a colon."""
    text = line.strip().rstrip("*_ ")
    if not text or not (text[0] == "#" or text[-1] == ":") or len(text) > _REACH:
        return False
    words = text.rstrip(":")
    clause = words[_last_end(words) :]
    return _negated(clause) or _ends_forbidden(_PIECE.findall(clause))


def _ends_forbidden(pieces: Iterable[str]) -> bool:
    """Tell whether the last words say it: "The following are forbidden", "Not allowed", "Out of scope"."""
    words = [piece.strip(_WORD_EDGE).lower() for piece in pieces]
    last = words[-3:]
    return bool(last) and (
        last[-1] in _FORBIDDEN or last[-2:] in (["not", "allowed"], ["off", "limits"]) or last == ["out", "of", "scope"]
    )
