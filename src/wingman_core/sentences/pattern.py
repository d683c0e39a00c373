"""A pattern: a form, and the assertions of what its blanks took."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from wingman_core.assertions import Assertion
from wingman_core.sentences.form import Captured, Form

Make = Callable[[Captured], Sequence[Assertion]]


@dataclass(frozen=True, slots=True)
class Pattern:
    """``text`` is the form; a ``weaker`` one claims more than its assertions say, so it never makes a claim TRUE."""

    text: str
    make: Make
    weaker: bool = False
    form: Form = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Compile the form."""
        object.__setattr__(self, "form", Form(self.text))

    def is_weaker(self, captured: Captured) -> bool:
        """Whether more was said than is asserted: also where "3 files" are announced and other than 3 named."""
        counted = captured.get("count")
        return self.weaker or (
            counted is not None and int(counted[0]) != len(captured.get("paths", captured.get("documents", ())))
        )


def one(captured: Captured, slot: str) -> str:
    """Return what a blank for one thing took."""
    return captured[slot][0]


def moment(captured: Captured) -> datetime:
    """Return the moment that the blank ``since`` took."""
    return datetime.fromisoformat(captured["since"][0])
