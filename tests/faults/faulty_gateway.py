"""The gateway's own program, which sends itself a signal at a named point of the first execution that comes to it.

``FAULT_AT`` is ``<part>:begin`` or ``<part>:end`` of a stage as the gateway times it, of ``admit`` (step 1) or of
``note`` (within step 7); ``FAULT_SIGNAL`` is a number. Nothing of this is in the gateway.
"""

import os
import runpy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from wingman_gateway.journal import Journal
from wingman_gateway.limits import Limits
from wingman_gateway.metrics import Metrics

EXECUTE = "wingman_rpc.v1.ExecutionGateway"
left = [os.environ["FAULT_AT"]]


def reached(point: str) -> None:
    """Send the signal at the point, once."""
    if left == [point]:
        left.clear()
        os.kill(os.getpid(), int(os.environ["FAULT_SIGNAL"]))


@contextmanager
def around(part: str, inner: AbstractContextManager[Any]) -> Iterator[Any]:
    """Reach a part's two points."""
    reached(f"{part}:begin")
    with inner as value:
        yield value
    reached(f"{part}:end")


stage: Callable[..., AbstractContextManager[None]] = Metrics.stage
admit, note = Limits.admit, Journal.note


def admitting(self: Limits, caller: str) -> AbstractContextManager[None]:
    """Step 1, of executions alone."""
    inner = admit(self, caller)
    return around("admit", inner) if caller.endswith(EXECUTE) else inner


def noting(self: Journal, *arguments: str) -> None:
    """What is noted before it is done."""
    note(self, *arguments)
    reached("note:end")


Metrics.stage = lambda self, name: around(name, stage(self, name))  # type: ignore[method-assign]
Limits.admit = admitting  # type: ignore[method-assign, assignment]
Journal.note = noting  # type: ignore[method-assign, assignment]

if __name__ == "__main__":
    runpy.run_module("wingman_gateway", run_name="__main__")
