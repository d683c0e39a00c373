"""The labelled instructions of ``tests/vectors``, and how many of their labels the gate finds.

``python -m tests.api.labelled`` prints the table of ``docs/instruction-gate.md`` and every miss.
"""

import hashlib
import random
import re
import string
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wingman_api.instructions.checking import checked
from wingman_core.instruction.findings import Check
from wingman_core.instruction.headings import Section

VECTORS = Path(__file__).parents[1] / "vectors"
INITIALS = dict(zip("DSBPMTFRKQ", Section, strict=True))
JOINT = "\N{BROKEN BAR}"
ALPHABETS = {
    "A": string.ascii_letters + string.digits,
    "U": string.ascii_uppercase + string.digits,
    "L": string.ascii_lowercase,
    "X": "0123456789abcdef",
    "D": string.digits,
    "B": string.ascii_letters + string.digits + "+/",
}
RANDOM = re.compile(r"<([AULXDB])([0-9]{1,2})>")


@dataclass(frozen=True)
class Labelled:
    """A text, what a reader sees in it, and what the gate does."""

    name: str
    text: str
    held_out: bool
    expected: frozenset[object]
    found: frozenset[object]

    @property
    def missed(self) -> frozenset[object]:
        return self.expected - self.found

    @property
    def invented(self) -> frozenset[object]:
        return self.found - self.expected


@dataclass(frozen=True)
class Score:
    """Labels counted over texts."""

    texts: int
    right: int
    missed: int
    invented: int

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.invented)

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed)


def score(cases: Iterable[Labelled]) -> Score:
    every = list(cases)
    return Score(
        len(every),
        sum(len(case.expected & case.found) for case in every),
        sum(len(case.missed) for case in every),
        sum(len(case.invented) for case in every),
    )


def sections() -> Iterator[Labelled]:
    """Expected and found: names of sections."""
    for case in _cases("sections"):
        expected = frozenset(INITIALS[initial] for initial in case["sections"])
        parts = checked(case["text"].removeprefix("\n")).sections
        found = frozenset(section for section, part in parts.items() if part.is_present)
        yield _labelled(case, expected, found)


def secrets() -> Iterator[Labelled]:
    """Expected and found: lines with a secret."""
    for case in _cases("secrets"):
        case["text"] = filled(case["text"], case["name"])
        yield _labelled(case, frozenset(case.get("secrets", [])), _lines(case["text"], Check.NO_HARDCODED_SECRETS))


def force() -> Iterator[Labelled]:
    """Expected and found: lines with a force flag."""
    for case in _cases("commands"):
        yield _labelled(case, frozenset(case.get("force", [])), _lines(case["text"], Check.NO_FORCE_FLAGS))


def dangerous() -> Iterator[Labelled]:
    """Expected and found: lines with a dangerous command."""
    for case in _cases("commands"):
        yield _labelled(case, frozenset(case.get("dangerous", [])), _lines(case["text"], Check.NO_DANGEROUS_COMMANDS))


SETS: dict[str, Callable[[], Iterator[Labelled]]] = {
    "sections": sections,
    "secrets": secrets,
    "force flags": force,
    "dangerous commands": dangerous,
}


def table() -> str:
    """The rows that the document must have."""
    rows = []
    for name, cases in SETS.items():
        every = list(cases())
        for part, is_held_out in (("", False), (", held out", True)):
            figures = score(case for case in every if case.held_out is is_held_out)
            labels = figures.right + figures.missed
            rows.append(
                f"| {name}{part} | {figures.texts} | {labels} | {figures.precision:.3f} | {figures.recall:.3f} |"
            )
    return "\n".join(rows)


def misses() -> str:
    """A line for each text whose labels are not what the gate finds."""
    wrong = ((name, case) for name, cases in SETS.items() for case in cases() if case.missed or case.invented)
    return "\n".join(
        f"{name}: {case.name}: missed {sorted(map(str, case.missed))}, invented {sorted(map(str, case.invented))}"
        for name, case in wrong
    )


def filled(text: str, seed: str) -> str:
    """The text with random letters where it asks for them, the same for the same seed."""
    source = random.Random(hashlib.sha256(seed.encode()).digest())
    made = RANDOM.sub(lambda match: "".join(source.choices(ALPHABETS[match[1]], k=int(match[2]))), text)
    return made.replace(JOINT, "")


def _cases(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads((VECTORS / f"instruction_{name}.toml").read_text("utf-8"))["case"]
    return found


def _lines(text: str, check: Check) -> frozenset[object]:
    return frozenset(finding.line for finding in checked(text).findings if finding.check is check)


def _labelled(case: dict[str, Any], expected: frozenset[object], found: frozenset[object]) -> Labelled:
    return Labelled(case["name"], case["text"], case.get("held_out", False), expected, found)


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n{misses()}\n")
