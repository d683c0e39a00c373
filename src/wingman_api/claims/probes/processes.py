"""Claims about processes, by exact name: on this machine, in a container, or in any container that may be seen.

Guarantees: that no such process runs is said only where everything was seen: this machine's processes and every
running container's. A name of which only the beginning could be compared decides nothing. Evidence holds the claim's
own name and a container's, no arguments and no other process.
Does not: tell a program from another that took its name.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Literal, assert_never

import psutil

from wingman_api.claims.probes.containers import not_told
from wingman_api.claims.probes.seen import Seen, judged, unknown
from wingman_api.claims.probes.threads import Stop, Threads
from wingman_api.gateway import Gateway
from wingman_core.assertions import ProcessGone, ProcessRunning
from wingman_core.errors import Code, WingmanError
from wingman_core.observation import KERNEL_NAME, ContainerProcesses

Presence = Literal["running", "absent", "unclear"]

FIRST: Final = 1
"""The process that every machine has: where it is not seen, others are hidden too."""


@dataclass(frozen=True, slots=True)
class _Sighting:
    presence: Presence
    words: str


class Processes:
    """Looks for processes."""

    def __init__(self, gateway: Gateway, threads: Threads, *, machine: bool) -> None:
        """``machine``: whether the processes this one sees are the machine's, not those of a container it is in."""
        self._gateway = gateway
        self._threads = threads
        self._machine = machine

    async def look(self, assertion: ProcessRunning | ProcessGone) -> Seen:
        """Look once; the caller holds the limit."""
        name, container = assertion.name, assertion.container
        sighting = await (self._anywhere(name) if container is None else self._in_container(name, container))
        if sighting.presence == "unclear":
            return unknown(sighting.words)
        running = sighting.presence == "running"
        return judged(holds=running == isinstance(assertion, ProcessRunning), words=sighting.words)

    async def _anywhere(self, name: str) -> _Sighting:
        here = await self._here(name)
        if here.presence == "running":
            return here
        there = await self._in_containers(name)
        # Seen in a container is seen; seen nowhere takes both to have been seen whole.
        return there if there.presence == "running" or here.presence == "absent" else here

    async def _here(self, name: str) -> _Sighting:
        if not self._machine:
            return _Sighting("unclear", "The processes of this machine cannot be seen from where claims are looked at.")
        presence = await self._threads.run(lambda stop: _on_machine(name, stop))
        match presence:
            case "running":
                return _Sighting(presence, f"A process {name!a} runs on this machine.")
            case "absent":
                return _Sighting(presence, f"No process {name!a} runs on this machine.")
            case "unclear":
                return _Sighting(presence, "Not every process of this machine can be told from it.")
            case _:
                assert_never(presence)

    async def _in_container(self, name: str, container: str) -> _Sighting:
        try:
            lists = await self._gateway.observe_processes(container)
        except WingmanError as error:
            if error.code is Code.TARGET_NOT_FOUND:
                return _Sighting("absent", f"There is no container {container!a}.")
            return _Sighting("unclear", not_told(error))
        where = f"in the container {container!a}"
        return _in_lists(name, lists.containers, complete=lists.complete, absent=f"No process {name!a} runs {where}.")

    async def _in_containers(self, name: str) -> _Sighting:
        try:
            lists = await self._gateway.observe_processes()
        except WingmanError as error:
            return _Sighting("unclear", f"It does not run on this machine itself. {not_told(error)}")
        absent = f"No process {name!a} runs on this machine or in its containers."
        return _in_lists(name, lists.containers, complete=lists.complete, absent=absent)


def _in_lists(name: str, lists: Sequence[ContainerProcesses], *, complete: bool, absent: str) -> _Sighting:
    """Look for a name in containers' lists; ``absent`` is what to say where it is in none."""
    unclear = False
    for each in lists:
        presence = _among(name, each.names)
        if presence == "running":
            return _Sighting(presence, f"A process {name!a} runs in the container {each.container!a}.")
        unclear = unclear or presence == "unclear"
    if unclear:
        return _Sighting("unclear", "A process runs of whose name only the beginning is known, and that fits.")
    if not complete:
        return _Sighting("unclear", "Not every container may be looked into.")
    return _Sighting("absent", absent)


def _among(name: str, kernel_names: Iterable[str]) -> Presence:
    """Compare with names that the kernel may have cut."""
    known = frozenset(kernel_names)
    if name in known:
        return "running"
    return "unclear" if len(name) > KERNEL_NAME and name[:KERNEL_NAME] in known else "absent"


def _on_machine(name: str, stop: Stop) -> Presence:
    """Look through every process this one can see, by the name of the process and of its program."""
    pids = psutil.pids()
    whole = FIRST in pids
    for pid in pids:
        if stop.is_set():
            return "unclear"
        try:
            presence = _is(name, psutil.Process(pid))
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            presence = "unclear"
        if presence == "running":
            return presence
        whole = whole and presence == "absent"
    return "absent" if whole else "unclear"


def _is(name: str, process: psutil.Process) -> Presence:
    if process.status() == psutil.STATUS_ZOMBIE:
        return "absent"
    own = process.name()
    with suppress(psutil.AccessDenied):  # another user's program has the name of its process alone
        if name in {own, PurePath(process.exe()).name}:
            return "running"
    return _among(name, (own,))
