"""What the probes' tests share: directories inside and outside of a root, and a process of other rights."""

import ctypes
import json
import os
import sys
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from wingman_api.claims.probes.roots import Root, Roots
from wingman_api.claims.probes.threads import Threads, open_threads
from wingman_core.errors import Code, TargetRefused, WingmanError
from wingman_core.observation import ContainerState, ProcessLists

NOBODY = 65534
T = TypeVar("T")


@dataclass(frozen=True)
class Places:
    """An allowed directory and one beside it, both open to everybody."""

    inside: Path
    outside: Path

    @property
    def roots(self) -> Roots:
        return Roots([Root.at(str(self.inside))], [])


@pytest.fixture
def places() -> Iterator[Places]:
    """Not beneath pytest's own directory, which only its owner may enter."""
    with tempfile.TemporaryDirectory(prefix="wm-probe-") as name:
        top = Path(name)
        top.chmod(0o755)
        made = Places(top / "inside", top / "outside")
        made.inside.mkdir()
        made.outside.mkdir()
        yield made


def in_child(act: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever JSON can say
    """Do something in a forked process, which may give up rights there, and return its result."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(act()).encode())
        except BaseException:  # noqa: BLE001 - told by what is not written
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    assert said, "the child said nothing"
    return json.loads(said)


def as_nobody(act: Callable[[], T]) -> T:
    """Do something without any right to others' files (setfsuid(2) counts for this thread alone)."""
    if os.geteuid() != 0:
        return act()
    libc = ctypes.CDLL(None)
    libc.setfsuid(NOBODY)
    try:
        return act()
    finally:
        libc.setfsuid(0)


@dataclass
class FakeGateway:
    """Facts by container, or what refuses them; as far of the port as probes use it."""

    states: dict[str, ContainerState | WingmanError] = field(default_factory=dict)
    processes: dict[str, ProcessLists | WingmanError] = field(default_factory=dict)
    """Under the empty name: of all containers."""

    async def observe_state(self, container: str) -> ContainerState:
        return _told(self.states, container)

    async def observe_processes(self, container: str = "") -> ProcessLists:
        return _told(self.processes, container)


def _told(facts: Mapping[str, Any], container: str) -> Any:  # noqa: ANN401
    found = facts.get(container, TargetRefused(Code.TARGET_NOT_FOUND, f"there is no container {container!a}"))
    if isinstance(found, WingmanError):
        raise found
    return found


@pytest.fixture
def gateway() -> FakeGateway:
    """A gateway that sees every container, of which there is none."""
    return FakeGateway(processes={"": ProcessLists((), complete=True)})


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    async with open_threads() as opened:
        yield opened
