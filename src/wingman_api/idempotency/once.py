"""A request that is to have one effect, however often it is sent.

Guarantees: a caller's key belongs to one request: the same operation, path, query and body, byte for byte; no caller
meets another's keys. What was refused is not remembered, unless something came of it.

How a feature makes an endpoint repeatable:
- Its effect is a transaction: the route depends on ``once``, its use case hands the ``Once`` to the store, and the
  transaction begins with ``claim`` and ends with ``remember``. A second request waits for the first one's end.
- Its effect lies elsewhere, under an id that can be looked up afterwards (an execution): ``AnswerStore.reserve`` that
  id before the effect, ``remember`` the answer where the effect is stored, and look the id up after a crash.
- Its effect lies elsewhere, and to repeat it after a crash does no harm (a line in a ledger, a look at a machine):
  ``AnswerStore.run`` it. A request that comes meanwhile is told to wait.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A success as it was, or will be, sent."""

    status: int
    body: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class Once(Generic[T]):
    """Who sent what under which key, and how its result ``T`` is answered."""

    subject: str
    key: str
    operation: str
    request_digest: str
    """64 hex digits."""
    status: int
    view: Callable[[T], BaseModel] = field(repr=False)

    def answer(self, result: T) -> Answer:
        """Return what is sent for a result, now and whenever the request is repeated."""
        return Answer(self.status, self.view(result).model_dump_json())


class Replayed(Exception):
    """Leaves whatever was about to happen again; the edge sends ``answer``."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the request was answered before")
        self.answer = answer
