"""Characters that leave no ink, also where their Unicode category does not say so.

Guarantees: ``visible`` keeps what a reader can see, ``written_out`` shows that there is something to see.
Not guaranteed: that what can be seen can be told apart.
"""

from typing import Final

# Default_Ignorable_Code_Point beyond category Cf (Unicode DerivedCoreProperties); blanks are U+2800, U+16FE4, U+1D159.
INVISIBLE: Final = frozenset(
    chr(point)
    for first, last in (
        (0x034F, 0x034F),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180D),
        (0x180F, 0x180F),
        (0x2800, 0x2800),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFFA0, 0xFFA0),
        (0x16FE4, 0x16FE4),
        (0x1D159, 0x1D159),
        (0xE0100, 0xE01EF),
    )
    for point in range(first, last + 1)
)
"""Printable to Python, and yet nothing to see."""


def visible(text: str) -> str:
    """Return a text without spaces, controls, and characters that leave no ink."""
    return "".join(character for character in text if _has_ink(character))


def written_out(text: str, *, keep: str = "") -> str:
    """Return a text in which what leaves no ink, or drives a screen, is an escape of its code point.

    A backslash is two, so that no text looks like an escape that was made here. Spaces stay, and so do the characters
    of ``keep``.
    """
    return "".join(
        character if character == " " or character in keep or _stands(character) else ascii(character)[1:-1]
        for character in text
    )


def _stands(character: str) -> bool:
    return character != "\\" and _has_ink(character)


def _has_ink(character: str) -> bool:
    return character.isprintable() and not character.isspace() and character not in INVISIBLE
