"""Words that may pass for other words: the letters of one alphabet that look like those of another.

Guarantees: in names (commands, objects, workers) every word is pointed at that is not plainly what it seems: letters of
ASCII beside kindred ones, styled letters, a mark on a letter of ASCII, and words made of nothing but look-alikes. In
prose the last of these are pointed at from ``SHORT`` letters on, since languages have such words.
Does not: know every look-alike; what a card shows as a digest is what tells objects apart.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import Final

MOST: Final = 5
"""Words that are pointed at."""
SHORT: Final = 3
ASCII: Final = 0x80
KINDRED: Final = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "DESERET")
"""How the names of letters begin that may be taken for letters of ASCII beside them."""
TWINS: Final = frozenset(
    "\u0430\u0441\u0501\u0435\u04bb\u0456\u0458\u04cf\u043e\u0440\u051b\u0455\u0475\u051d\u0445\u0443\u04af\u044c"
    "\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u041e\u0420\u0405\u0422\u0425\u0423\u04ae\u051c\u050c\u0417"
    "\u03b1\u03b3\u03b9\u03ba\u03bd\u03bf\u03c1\u03c3\u03c5\u03c7\u03c9\u03f2\u03f3"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03f9\u037f"
    "\u0561\u0563\u0566\u0570\u0578\u057c\u057d\u0581\u0584\u0585\u0555\u054d\u054f"
)
"""Cyrillic, Greek and Armenian letters that each look like one of ASCII (Unicode's confusables.txt has many more)."""


def lookalikes(names: Iterable[str], prose: Iterable[str]) -> list[str]:
    """Return the words that may pass for others, each once, at most ``MOST``: those of names first."""
    found = dict.fromkeys(word for text in names for word in _words(text) if _passes(word, 1))
    found |= dict.fromkeys(word for text in prose for word in _words(text) if _passes(word, SHORT))
    return list(found)[:MOST]


def _words(text: str) -> Iterator[str]:
    """Yield the words that are not of ASCII alone, with the marks on their letters."""
    if not text.isascii():
        for is_word, characters in groupby(text, _is_of_word):
            word = "".join(characters)
            if is_word and not word.isascii():
                yield word


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_" or _is_mark(character)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in {"Mn", "Me"}


def _passes(word: str, least: int) -> bool:
    """Whether a word may be taken for another; ``least`` letters if it has look-alikes alone."""
    foreign = [character for character in word if ord(character) >= ASCII and not _is_mark(character)]
    if any(unicodedata.normalize("NFKC", character).isascii() for character in foreign):
        return True  # styled
    if any(_is_mark(mark) and ord(base) < ASCII for base, mark in pairwise(word)):
        return True
    if any(character.isascii() and character.isalpha() for character in word):
        return any(unicodedata.name(character, "").startswith(KINDRED) for character in foreign)
    return len(foreign) >= least and TWINS.issuperset(foreign)
