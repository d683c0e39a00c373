"""Outcomes that did not reach the log: those kept in the journal, and those nobody saw.

Guarantees: what the journal holds is appended in order and once, before anything is reconciled, and what the log
cannot hold is set aside on disk; an open INTENT of this gateway gets one RECONCILED record with what Docker testifies,
without the secrets that are recognised (I16); nothing is run again (I13). An INTENT of another gateway is left to that
one. One that still runs, or about which there is no answer, is asked about again later, and holds up no other.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from http import HTTPStatus
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from wingman_core.audit_record import AuditRecord, RecordKind, exit_code_of, from_bytes
from wingman_core.command import parse
from wingman_core.command.hidden import parseable
from wingman_core.errors import CanonicalError, CommandRefused, Unavailable, WingmanError
from wingman_core.redaction import redact_json
from wingman_core.target import Reference, Target
from wingman_gateway.audit_log import Entry
from wingman_gateway.engine import EngineRefused, Testimony
from wingman_gateway.execution import Engine
from wingman_gateway.journal import Journal
from wingman_gateway.records import Records


class Log(Protocol):
    """The audit log, as reconciliation needs it."""

    async def append(self, record: AuditRecord) -> int:
        """Commit one record; an outcome that is there already is not written twice."""
        ...

    async def open_intents(self) -> tuple[AuditRecord, ...]:
        """Return every INTENT without outcome, oldest first."""
        ...


class Entries(Protocol):
    """What the log holds, by position."""

    async def at(self, position: int) -> Sequence[Entry]:
        """Return the one record there."""
        ...


class Reconciler:
    """Closes what is open; safe to run at any time, as often as one likes."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        *,
        engine: Engine,
        audit: Log,
        entries: Entries,
        journal: Journal,
        records: Records,
        running: Callable[[], frozenset[str]],
        log: FilteringBoundLogger,
    ) -> None:
        """Take the collaborators; ``running`` names the executions that the executor still answers for."""
        self._engine = engine
        self._audit = audit
        self._entries = entries
        self._journal = journal
        self._records = records
        self._running = running
        self._log = log
        self.left_open = 0
        """How many INTENTs of other gateways had no outcome at the last run."""
        self._open_since: datetime | None = None

    def open_seconds(self) -> float:
        """Return the age of the oldest INTENT that the last run left without an outcome, in seconds; 0 without any."""
        if self._open_since is None:
            return 0.0
        return (datetime.fromisoformat(self._records.now()) - self._open_since).total_seconds()

    async def run(self) -> bool:
        """Replay, then reconcile; return whether all is settled. Raises ``Unavailable`` without database or engine."""
        await self._replay()
        before = self._running()
        found = await self._audit.open_intents()
        intents = [intent for intent in found if self._records.owns(intent)]
        self.left_open = len(found) - len(intents)
        # Whatever began while the log was read is this process's own to answer for, too.
        running = before | self._running()
        open_now = [intent for intent in intents if intent.execution_id not in running]
        self._open_since = _oldest(found, running)
        if not self._journal.empty():
            # An execution ended between the two reads: its own outcome goes first, in the next run.
            return False
        closed = {intent.execution_id for intent in open_now if await self._reconcile(intent)}
        self._open_since = _oldest(found, running | closed)
        return len(closed) == len(open_now)

    async def _replay(self) -> None:
        for number, data in list(self._journal.kept()):
            try:
                record = from_bytes(data)
                position = await self._audit.append(record)
            except CanonicalError as error:
                # It would be refused each time, and all others with it; Docker is asked about its execution.
                name = await asyncio.to_thread(self._journal.set_aside, number)
                self._log.error("an outcome is set aside: the log cannot hold it", file=name, error=str(error))
                continue
            await asyncio.to_thread(self._journal.drop, number)
            await asyncio.to_thread(self._journal.forget, record.execution_id)
            self._log.info("an outcome left the journal", execution=record.execution_id, position=position)

    async def _reconcile(self, intent: AuditRecord) -> bool:
        """Close one INTENT if Docker can say what became of it; what is wrong with it is not the others' matter."""
        try:
            record = self._concluded(intent, await self._ask(intent))
        except Unavailable as error:
            await self._engine.ping()  # an engine that answers nothing has no answer for the others either
            self._log.warning("an execution cannot be asked about", execution=intent.execution_id, error=str(error))
            return False
        except Exception:  # noqa: BLE001 - damaged notes, or an answer of a shape that nobody foresaw
            self._log.error("an execution cannot be reconciled", execution=intent.execution_id, exc_info=True)
            return False
        if record is None:
            return False
        position = await self._audit.append(record)
        await asyncio.to_thread(self._journal.forget, intent.execution_id)
        (entry,) = await self._entries.at(position)
        mine = entry.record == record.to_bytes()
        self._log.warning(
            "an execution was reconciled" if mine else "an execution had its outcome already",
            execution=intent.execution_id,
            outcome=from_bytes(entry.record).outcome,
            position=position,
        )
        return True

    def _concluded(self, intent: AuditRecord, testimony: Testimony) -> AuditRecord | None:
        """Return the outcome that Docker testifies; None while it is none yet."""
        if testimony.outcome == "RUNNING":
            return None
        return intent.concluded(
            RecordKind.RECONCILED,
            testimony.outcome,
            self._records.now(),
            exit_code=None if testimony.exit_code is None else exit_code_of(testimony.exit_code),
            evidence=json.dumps(redact_json(json.loads(testimony.evidence)), sort_keys=True),  # it quotes the engine
        )

    async def _ask(self, intent: AuditRecord) -> Testimony:
        try:
            operation = parse(parseable(intent.command))
            targets = tuple(target_of(identity) for identity in intent.targets)
            notes: Mapping[str, str] | None = self._journal.notes(intent.execution_id)
            if not notes and not self._records.noted_here(intent):
                notes = None
            intent_at = datetime.fromisoformat(intent.created_at)
            return await self._engine.testify(operation, targets, intent.execution_id, intent_at, notes)
        except CommandRefused as error:
            # Written by a version that understood more: nothing can be asked, and that is the evidence.
            return _nobody_knows(error)
        except EngineRefused as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                # An engine that is just coming up says so too: it may know when it is asked again.
                self._log.warning("an execution is asked about again", execution=intent.execution_id, error=str(error))
                return Testimony("RUNNING", None, "{}")
            return _nobody_knows(error)


def _oldest(found: Sequence[AuditRecord], besides: AbstractSet[str]) -> datetime | None:
    """Return when the first INTENT began, some executions aside; they come oldest first."""
    began = (intent.created_at for intent in found if intent.execution_id not in besides)
    return next(map(datetime.fromisoformat, began), None)


def target_of(identity: str) -> Target:
    """Return the target that an audit record's identity text stands for."""
    known = json.loads(identity)
    reference = Reference(known["kind"], known["reference"], known["role"])
    names = tuple(known.get("names", "").split())
    return Target(reference, known["id"], names=names, image_digest=known["image_digest"])


def _nobody_knows(error: WingmanError) -> Testimony:
    return Testimony("UNKNOWN", None, json.dumps({"code": str(error.code), "message": error.message}, sort_keys=True))
