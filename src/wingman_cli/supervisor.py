"""Keeps processes running on one machine: starts them, starts them again with back-off, stops them in order.

Guarantees: at most one process per name and directory, also after a supervisor that was killed (a process it
left behind holds a lock and is stopped first); ``stop`` ends the last started first, politely, then firmly;
what a process prints is in ``logs/<name>.log``, and of that never more than twice ``LOG_LIMIT`` is kept.
Does not: take a process for healthy because it runs (ask its own endpoint), or restart the supervisor.
"""

import asyncio
import fcntl
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wingman_core.errors import Code, SettingInvalid

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 10.0
STEADY: Final = 30.0
"""Seconds after which a process counts as having started well, so that its next restart is quick again."""
LOG_LIMIT: Final = 10 << 20
LOG_LOOK: Final = 5.0
"""Seconds between two looks at how long a log has become."""
POLL: Final = 0.05
KILL_PATIENCE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Service:
    """One program to keep running; ``environment`` is all it gets."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]


class Supervisor:
    """The running services of one data directory (``run/<name>.pid``, ``logs/<name>.log``)."""

    def __init__(self, directory: Path, *, tell: Callable[[str], None], grace: float = 40.0) -> None:
        """``tell`` gets one line per unexpected end; ``grace`` is seconds between SIGTERM and SIGKILL."""
        self._directory = directory
        self._tell = tell
        self._grace = grace
        self._kept: list[_Kept] = []
        self._turn = asyncio.Lock()

    async def start(self, service: Service) -> None:
        """Run ``service`` until ``stop``; raise ``SettingInvalid`` where a leftover process cannot be ended."""
        async with self._turn:
            self._kept.append(await self._begun(service))

    async def replace(self, service: Service) -> None:
        """End the service of that name as ``stop`` does, and run it as it is described now; start one that is new."""
        async with self._turn:
            for place, kept in enumerate(self._kept):
                if kept.service.name == service.name:
                    await kept.end(self._grace)
                    self._kept[place] = await self._begun(service)
                    return
            self._kept.append(await self._begun(service))

    async def _begun(self, service: Service) -> "_Kept":
        for name in ("run", "logs"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        pid_file = self._directory / "run" / f"{service.name}.pid"
        await end_leftover(pid_file, grace=self._grace)
        kept = _Kept(service, pid_file, self._directory / "logs" / f"{service.name}.log", self._tell)
        kept.begin()
        return kept

    def pid(self, name: str) -> int | None:
        """Return the process id of a service, ``None`` between two lives."""
        return next((kept.pid for kept in self._kept if kept.service.name == name), None)

    def last_exit(self, name: str) -> int | None:
        """Return the code a service's last life ended with, negative for a signal; ``None`` if none ended yet."""
        return next((kept.last_exit for kept in self._kept if kept.service.name == name), None)

    async def stop(self) -> None:
        """End every service, the last started first; return when none is left."""
        async with self._turn:
            while self._kept:
                await self._kept.pop().end(self._grace)


class _Kept:
    """One service and the task that keeps it alive."""

    def __init__(self, service: Service, pid_file: Path, log: Path, tell: Callable[[str], None]) -> None:
        self.service = service
        self._pid_file = pid_file
        self._log = log
        self._tell = tell
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.last_exit: int | None = None

    @property
    def pid(self) -> int | None:
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and alive else None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"keep {self.service.name}")

    async def _keep(self) -> None:
        delay = FIRST_DELAY
        clock = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            began = clock()
            ending = await self._live()
            if self._stopping.is_set():
                return
            delay = FIRST_DELAY if clock() - began > STEADY else delay
            self._tell(f"{self.service.name} ended ({ending}); starting it again, see {self._log}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _live(self) -> str:
        """Run the process once, to its end; return how it ended."""
        try:
            self._process = await self._spawn()
        except OSError as error:
            return f"could not start: {error}"
        if self._stopping.is_set():
            self._signal(signal.SIGTERM)
        ended = asyncio.create_task(self._process.wait())
        while not (await asyncio.wait({ended}, timeout=LOG_LOOK))[0]:
            _shorten(self._log)
        self.last_exit = ended.result()
        return _ending(self.last_exit)

    async def _spawn(self) -> asyncio.subprocess.Process:
        _rotate(self._log)
        lock = os.open(self._pid_file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            process = await asyncio.create_subprocess_exec(
                *self.service.argv,
                env=dict(self.service.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),  # the lock lives as long as the process, whatever becomes of us
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop in order
            )
            os.pwrite(lock, str(process.pid).encode(), 0)
        finally:
            os.close(lock)
            os.close(log)
        return process

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def end(self, grace: float) -> None:
        self._stopping.set()
        self._signal(signal.SIGTERM)
        if self._task is None:
            return
        done, _ = await asyncio.wait({self._task}, timeout=grace)
        if not done:
            self._tell(f"{self.service.name} did not end within {grace:.0f} s and was killed")
            self._signal(signal.SIGKILL)
        await self._task
        self._pid_file.unlink(missing_ok=True)


async def end_leftover(pid_file: Path, *, grace: float) -> None:
    """End the process that an earlier, killed supervisor left behind, if there is one.

    The process holds a lock on ``pid_file`` for as long as it lives, so that a number in a stale file is
    never signalled. Raises ``SettingInvalid`` where the process outlives SIGKILL or cannot be named.
    """
    if not pid_file.exists():  # noqa: ASYNC240 - a look at a local file
        return
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, KILL_PATIENCE)):
        with pid_file.open("rb") as file:
            if _lockable(file.fileno()):
                return
            text = file.read(20)
            if text.isdigit():
                with suppress(ProcessLookupError):
                    os.kill(int(text), number)
            deadline = asyncio.get_running_loop().time() + patience
            while asyncio.get_running_loop().time() < deadline:
                if _lockable(file.fileno()):
                    return
                await asyncio.sleep(POLL)
    raise SettingInvalid(
        Code.SETTING_INVALID,
        f"a process of an earlier start still holds {pid_file} and does not end",
        hint="end it by hand, then try again",
    )


def _lockable(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


def _rotate(log: Path) -> None:
    """Keep one older log of a process that has printed a lot."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))


def _shorten(log: Path) -> None:
    """Put aside what a process that runs has printed; it goes on at the beginning, since it appends.

    What it prints between the copy and the cut is lost: some microseconds' worth, once in ``LOG_LIMIT`` bytes.
    """
    older = log.with_suffix(".log.1")
    with suppress(OSError):  # somebody removed it
        if log.stat().st_size <= LOG_LIMIT:
            return
        with suppress(OSError):  # the disk is full: then it is cut all the more
            older.touch(mode=0o600)
            shutil.copyfile(log, older)
        os.truncate(log, 0)


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
