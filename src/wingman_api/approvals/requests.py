"""Asking for approval, and deciding on what was asked.

The procedure of ``ask``: 1. who asks, for whom, where. 2. Parse each command. 3. Have the gateway preview each;
its reading must be ours. 4. Refuse what the policy forbids: nobody is bothered, nothing is stored. 5. Weigh the
risk, which can only add people. 6. Store, or find the identical pending request.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, assert_never

from wingman_api.approvals.commands import Parsed, at_index, commands_of
from wingman_api.approvals.record import Asked, Command, HistoryEntry, Record, Selection
from wingman_api.approvals.store import RequestStore
from wingman_api.gateway import Gateway, Preview
from wingman_api.idempotency.once import Once
from wingman_api.idempotency.store import AnswerStore
from wingman_api.identity.caller import Caller
from wingman_api.previews import PreviewView
from wingman_api.risk.consensus import Case, Consensus
from wingman_core import approval
from wingman_core.approval import Decision, Request, Status
from wingman_core.canonical import digest
from wingman_core.command.hidden import hide
from wingman_core.errors import ApprovalRefused, CallerRefused, Code, PolicyRefused, WingmanError
from wingman_core.redaction import redact_text
from wingman_core.risk import FLOORS, Level, people_for
from wingman_core.verdict import Automatic, Forbidden, NeedsPeople

DEDUPE_DOMAIN: Final = "wingman/request/v1"
SIGN_OFF_PEOPLE: Final = 1


@dataclass(frozen=True, slots=True)
class Wish:
    """What a worker wants done, as it was sent."""

    worker: str
    task_name: str
    instruction: str
    commands: tuple[str, ...] | None
    environment: str | None


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a request waits for people."""

    high: timedelta
    other: timedelta

    def of(self, level: Level) -> timedelta:
        """Return the time for a level of risk."""
        return self.high if level is Level.HIGH else self.other


class Requests:
    """The use case; ``now`` returns aware times, ``new_id`` 26 characters."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        store: RequestStore,
        answers: AnswerStore,
        gateway: Gateway,
        *,
        consensus: Consensus,
        environment: str,
        lifetimes: Lifetimes,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        floors: Mapping[Level, int] = FLOORS,
    ) -> None:
        """Take the collaborators; ``floors`` says how many people a level of risk asks for at least."""
        self._store = store
        self._answers = answers
        self._gateway = gateway
        self._consensus = consensus
        self._environment = environment
        self._lifetimes = lifetimes
        self._floors = floors
        self._now = now
        self._new_id = new_id

    async def ask(self, wish: Wish, caller: Caller, once: Once[Asked] | None = None) -> Asked:
        """Return the request for ``wish``; raise the refusal of the first step that refuses, and ``Replayed``."""
        # 1. Who asks, for whom, where; and not again.
        caller.require_worker(wish.worker)
        self._require_environment(wish.environment)
        await self._answers.find(once)
        # 2. and 3. Parse, then preview.
        parsed = commands_of(wish.commands, wish.instruction)
        previews = await asyncio.gather(*(self._preview(p, n, wish.worker) for n, p in enumerate(parsed)))
        # 4. and 5. The policy, then the risk.
        people = max((_people(preview, n) for n, preview in enumerate(previews)), default=SIGN_OFF_PEOPLE)
        risk = await self._consensus.weigh(
            Case(
                worker=wish.worker,
                task_name=wish.task_name,
                instruction=wish.instruction,
                at=self._now(),
                commands=tuple(preview.canonical_command for preview in previews),
                effects=tuple(preview.facts.effect for preview in previews),
                radii=tuple(preview.blast_radius for preview in previews),
            )
        )
        # 6. Store, or find.
        now = self._now()
        request = approval.initial(
            request_id=f"apr_{self._new_id()}",
            worker=wish.worker,
            requested_by=caller.person,
            people_needed=people_for(risk, people, self._floors),
            expires_at=now + self._lifetimes.of(risk.level),
        )
        record = Record(
            request=request,
            environment=self._environment,
            task_name=redact_text(wish.task_name),
            instruction=redact_text(wish.instruction),
            commands=tuple(_command(request.id, n, preview) for n, preview in enumerate(previews)),
            risk=risk,
            key_id=caller.key_id,
            created_at=now,
            decided_at=now if request.status is Status.AUTO_APPROVED else None,
        )
        return await self._store.add(record, _dedupe_digest(record, wish), once)

    async def explain(self, command: str, worker: str) -> Preview:
        """Return what ``command`` would do and what the policy says; store nothing."""
        parsed = commands_of((command,), "")
        return await self._preview(parsed[0], 0, worker)

    async def get(self, request_id: str, caller: Caller) -> Record:
        """Return a request that this caller may see; raise ``ApprovalRefused`` (APPROVAL_UNKNOWN)."""
        record = await self._store.get(request_id, self._now())
        _require_visible(record.request, caller)
        return record

    async def history(self, request_id: str) -> tuple[HistoryEntry, ...]:
        """Return what happened to a request, in order."""
        return await self._store.history(request_id)

    async def pending(self, limit: int, caller: Caller) -> tuple[tuple[Record, ...], int]:
        """Return the oldest requests that wait for people, and how many wait in all."""
        return await self._store.pending(caller.only_worker, limit, self._now())

    async def waiting(self) -> dict[Level, int]:
        """Return how many requests wait for people, for each level of risk."""
        return dict.fromkeys(Level, 0) | await self._store.waiting()

    async def page(self, selection: Selection, limit: int, caller: Caller) -> tuple[Record, ...]:
        """Return the newest requests of a selection that this caller may see, at most ``limit``."""
        if selection.worker is not None:
            caller.require_worker(selection.worker)
        mine = replace(selection, worker=selection.worker or caller.only_worker)
        return await self._store.page(mine, limit, self._now())

    async def decide(  # noqa: PLR0913 - one decision
        self,
        request_id: str,
        caller: Caller,
        *,
        approve: bool,
        decided_by: str | None,
        note: str,
        once: Once[Record] | None = None,
    ) -> Record:
        """Record a person's word; raise ``ApprovalRefused`` where state or person do not allow it, and ``Replayed``."""
        person, channel = caller.deciding_as(decided_by)
        now = self._now()
        decision = Decision(person, approve, now, channel, note)
        transition = approval.approve if approve else approval.reject
        return await self._store.change(
            request_id,
            lambda request: transition(request, decision),
            now=now,
            event="approved" if approve else "rejected",
            actor=person,
            key_id=caller.key_id,
            note=note,
            once=once,
        )

    async def cancel(
        self,
        request_id: str,
        caller: Caller,
        *,
        decided_by: str | None,
        note: str,
        once: Once[Record] | None = None,
    ) -> Record:
        """Withdraw a request of the caller's own; raise ``ApprovalRefused``, and ``Replayed``."""
        if decided_by not in (None, caller.person):
            raise CallerRefused(
                Code.PERSON_MISMATCH, "decided_by is not the key's person", hint="leave it out, or use their key"
            )
        now = self._now()

        def cancelled(request: Request) -> Request:
            _require_visible(request, caller)
            return approval.cancel(request, caller.person, now)

        return await self._store.change(
            request_id,
            cancelled,
            now=now,
            event="cancelled",
            actor=caller.person,
            key_id=caller.key_id,
            note=note,
            once=once,
        )

    def _require_environment(self, wanted: str | None) -> None:
        if wanted is not None and wanted.casefold() != self._environment:
            raise WingmanError(
                Code.ENVIRONMENT_MISMATCH,
                f"this is the API of environment {self._environment}",
                hint="send the request to the other environment's API",
                environment=self._environment,
            )

    async def _preview(self, parsed: Parsed, index: int, worker: str) -> Preview:
        """Return the gateway's preview, once its reading of the command is known to be ours."""
        try:
            preview = await self._gateway.preview(parsed.text, worker)
        except WingmanError as error:
            raise at_index(error, index) from error
        if (preview.operation_digest, preview.canonical_command) != (parsed.operation_digest, parsed.text):
            raise WingmanError(
                Code.INTERNAL,
                "API and gateway read the command differently",
                hint="run the same version of API and gateway",
            )
        return preview


def _require_visible(request: Request, caller: Caller) -> None:
    """Raise ``ApprovalRefused`` (APPROVAL_UNKNOWN) for a request that is not the caller's to know of."""
    if caller.only_worker not in (None, request.worker):
        raise ApprovalRefused(
            Code.APPROVAL_UNKNOWN, "no request has this id", hint="GET /approvals lists them", id=request.id
        )


def _people(preview: Preview, index: int) -> int:
    """Return how many people the policy asks for; raise ``PolicyRefused`` where it forbids."""
    match preview.verdict:
        case Automatic():
            return 0
        case NeedsPeople(people):
            return people
        case Forbidden(policies, reason):
            raise PolicyRefused(
                Code.POLICY_FORBIDS,
                reason,
                hint="no approval can allow it; ask for something else",
                index=str(index),
                command=hide(preview.canonical_command),
                policies=", ".join(policies),
            )
        case _:
            assert_never(preview.verdict)


def _command(request_id: str, n: int, preview: Preview) -> Command:
    return Command(
        approval_id=f"{request_id}.{n}",
        text=preview.canonical_command,
        operation_digest=preview.operation_digest,
        target_digest=preview.target_digest,
        preview=PreviewView.of(preview).model_dump_json(),
    )


def _dedupe_digest(record: Record, wish: Wish) -> str:
    """Return what identical requests have in common; another person's request is another request.

    Otherwise one could approve what oneself asked for too, hidden behind an earlier asker's name.
    """
    commands: Sequence[Sequence[str]] = [[c.operation_digest, c.target_digest] for c in record.commands]
    return digest(
        DEDUPE_DOMAIN,
        {
            "worker": record.request.worker,
            "requested_by": record.request.requested_by,
            "environment": record.environment,
            "task_name": wish.task_name,
            "instruction": wish.instruction,
            "commands": commands,
        },
    )
