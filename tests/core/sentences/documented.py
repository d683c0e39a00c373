"""What ``docs/claims.md`` says of the patterns, as the tests hold it against the code."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from wingman_core.assertions import Assertion

DOCUMENT = Path(__file__).parents[3] / "docs" / "claims.md"
VECTORS = Path(__file__).parents[2] / "vectors" / "claims.json"
NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
MORE = "(and more than is looked at)"

ROW = re.compile(r"\| `(?P<text>[^`]+)` \| (?P<becomes>`.+) \|")
REASON = re.compile(r"\| `(?P<text>[^`]+)` \| (?P<reason>[a-z_]+) \|")


def examples() -> Iterator[tuple[str, list[str], bool]]:
    """Each documented example: the sentence, its assertions in short, and whether they are all it says."""
    for line in DOCUMENT.read_text("utf-8").splitlines():
        found = ROW.fullmatch(line)
        if found:
            yield found["text"], re.findall(r"`([^`]+)`", found["becomes"]), MORE not in line


def reasons() -> Iterator[tuple[str, str]]:
    """Each documented sentence that is no claim of fact, and the reason."""
    for line in DOCUMENT.read_text("utf-8").splitlines():
        if found := REASON.fullmatch(line):
            yield found["text"].replace("⏎", "\n"), found["reason"]


def short(assertion: Assertion) -> str:
    """An assertion as the document writes it."""
    return " ".join(str(value) for value in assertion.model_dump(mode="json", exclude_none=True).values())
