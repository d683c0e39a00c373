"""The stages of a disaster drill, the approval of each, and the report.

Guarantees: what a live environment loses at a stage, somebody has signed off for that stage, in Wingman itself, before
the first one begins (nobody can decide once it is stopped); a backup is taken first; whatever happens, the report is
written and says how far it came.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from rich.progress import Progress

from wingman_cli.backup.procedures import create_backup, log_key, put_back
from wingman_cli.backup.programs import held_moment
from wingman_cli.client import Client, open_http
from wingman_cli.pki import write_atomically
from wingman_cli.session import WORKER
from wingman_cli.stack.day_two import StackPlace
from wingman_core.approval import Status
from wingman_core.errors import ApprovalRefused, Code, WingmanError

STAGES: Final[Mapping[str, str]] = {
    "stop": "Stop every container.",
    "remove": "Remove the containers and networks{volumes}.",
    "cold start": "Start from nothing but configuration, images and {source}.",
    "validate": "Compare what is there with what was there.",
}
POLL: Final = 1.0
MOST: Final = 100
"""Requests that are compared."""


@dataclass
class Report:
    """What a drill did, as it goes on."""

    environment: str
    began: datetime
    lines: list[str] = field(default_factory=list)

    def stage(self, name: str, said: str, seconds: float) -> None:
        """Add a stage that ended well."""
        self.lines.append(f"| {name} | {said} | {seconds:.0f} s |")

    def text(self, outcome: str) -> str:
        """Return it in Markdown."""
        head = f"# Disaster drill of {self.environment.upper()}, {self.began:%Y-%m-%d %H:%M} UTC\n\n{outcome}\n\n"
        return head + "| stage | what | took |\n| --- | --- | --- |\n" + "\n".join(self.lines) + "\n"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What must be there afterwards."""

    checkpoint: str
    records: int
    pending: frozenset[str]


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill; ``volumes`` also deletes the database, which comes back from the backup."""

    place: StackPlace
    volumes: bool
    wait: timedelta
    """For people to sign each stage off."""
    now: datetime
    tell: Callable[[str], None]
    progress: Progress

    def run(self) -> Path:
        """Walk the stages; return the report's path. Raises ``WingmanError`` after writing how far it came."""
        report = Report(self.place.environment.name, self.now)
        path = self.place.environment.root / "data" / "drills" / f"{self.now:%Y%m%dT%H%M%SZ}.md"
        outcome = "It was cut off."
        try:
            asyncio.run(self._walk(report, path.with_suffix(".tar")))
            outcome = "Everything came back."
        except WingmanError as error:
            outcome = f"It failed: {error.message}"
            raise
        finally:
            write_atomically(path, report.text(outcome).encode("utf-8"), 0o644)
            self.tell(f"The report is in {path}.")
        return path

    async def _walk(self, report: Report, backup: Path) -> None:
        stack = self.place.stack
        stack.require("postgres")  # else there is nothing to lose, and nothing to compare with
        # Before: who signed what off, what is there, and a way back.
        await asyncio.to_thread(self._signed_off, report)
        before, began = await self._inventory(), time.monotonic()
        manifest, digest = await create_backup(self.place, backup, now=self.now, progress=self.progress)
        self.tell(f"The backup is in {backup}: make restore ENV={report.environment} FILE=... puts it back.")
        report.stage("backup", f"{manifest.records} records, digest {digest}", time.monotonic() - began)
        # The stages.
        await self._stage(report, "stop", stack.stop)
        await self._stage(report, "remove", lambda: stack.down(volumes=self.volumes))
        began = time.monotonic()
        if self.volumes:
            await put_back(self.place, backup, self.progress)
        await asyncio.to_thread(stack.up, build=False)
        report.stage("cold start", f"healthy at {stack.address()}", time.monotonic() - began)
        await self._stage(report, "validate", lambda: self._validated(before))

    async def _stage(self, report: Report, name: str, do: Callable[[], str | None]) -> None:
        self.tell(f"{name} ...")
        began = time.monotonic()
        said = await asyncio.to_thread(do)
        report.stage(name, said or "done", time.monotonic() - began)

    async def _inventory(self) -> Inventory:
        async with self.place.running() as database, held_moment(database.programs) as moment:
            return Inventory(moment.checkpoint, moment.records, await asyncio.to_thread(self._pending))

    def _pending(self) -> frozenset[str]:
        with self._client() as client:
            return frozenset(each.id for each in client.pending(MOST).pending)

    def _validated(self, before: Inventory) -> str:
        """Return what was compared; raise ``LogCorrupt`` or ``ApprovalRefused`` for what did not come back."""
        database = self.place.database()
        database.goes_on_from(before.checkpoint, log_key(self.place.instance), self.progress)
        with self._client() as client:
            now = {name: client.approval(name).status for name in sorted(before.pending)}
        lost = [name for name, status in now.items() if status not in {Status.PENDING, Status.EXPIRED}]
        if lost:
            raise ApprovalRefused(Code.APPROVAL_UNKNOWN, f"these no longer wait: {', '.join(lost)}")
        return f"healthy; the log verifies from {before.records} records on; {len(before.pending)} requests still wait"

    def _signed_off(self, report: Report) -> None:
        """Ask for each stage's approval, and return once all are given; raise ``ApprovalRefused`` otherwise."""
        words = {
            "volumes": ", and delete the database" if self.volumes else "",
            "source": "the backup" if self.volumes else "the volumes",
        }
        with self._client() as client:
            wishes = {
                name: client.request(
                    {
                        "worker_id": WORKER,
                        "task_name": f"Disaster drill of {report.environment}, {self.now:%Y-%m-%d %H:%M}: {name}",
                        "instruction": text.format(**words),
                    }
                ).request.id
                for name, text in STAGES.items()
            }
            for name, request in wishes.items():
                self.tell(f"{name}: waits for approval of {request}")
            deadline = time.monotonic() + self.wait.total_seconds()
            for name, request in wishes.items():
                while (seen := client.approval(request)).status is Status.PENDING and time.monotonic() < deadline:
                    time.sleep(POLL)
                if seen.status not in {Status.APPROVED, Status.AUTO_APPROVED}:
                    raise ApprovalRefused(
                        Code.APPROVAL_PENDING if seen.status is Status.PENDING else Code.APPROVAL_DECIDED,
                        f"the stage {name} is {seen.status.value}: nothing was stopped",
                        hint="approve each stage, then start the drill again",
                    )
                who = ", ".join(each.person for each in seen.decisions)
                report.lines.append(f"| approval of {name} | {request} by {who} | |")

    def _client(self) -> Client:
        key = self.place.instance.api_key_file(WORKER).read_text("ascii").strip()
        return Client(open_http(self.place.stack.address(), key))
