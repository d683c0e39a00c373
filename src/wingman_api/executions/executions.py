"""Having approved commands run, and looking at what came of it."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Final

from wingman_api.approvals.record import Command, Record
from wingman_api.approvals.requests import Requests
from wingman_api.events.streams import Place
from wingman_api.executions.minting import Mint
from wingman_api.executions.record import Execution, OutputRow, Started
from wingman_api.executions.relay import Errand, Relay
from wingman_api.executions.signals import Signals, rung
from wingman_api.executions.store import ExecutionStore, unknown
from wingman_api.gateway import Gateway
from wingman_api.idempotency.once import Once
from wingman_api.idempotency.store import AnswerStore
from wingman_api.identity.caller import Caller
from wingman_core.errors import ApprovalRefused, CallerRefused, CapabilityRefused, Code, WingmanError

APPROVAL: Final = re.compile(r"(apr_[a-z2-7]{26})(?:\.(0|[1-9][0-9]{0,2}))?")
BATCH: Final = 64
QUIET: Final = 5
"""How many times ``PATIENCE`` seconds a reader who hears nothing waits at most before it asks the database."""
GRACE: Final = timedelta(seconds=10)
"""How long after RESULT and the last output more may still come, where no relay said that it is complete."""


class Executions:
    """The use case; ``closing`` says that the process is on its way out, and readers should come again."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        store: ExecutionStore,
        answers: AnswerStore,
        requests: Requests,
        gateway: Gateway,
        *,
        mint: Mint,
        relay: Relay,
        signals: Signals,
        now: Callable[[], datetime],
        closing: asyncio.Event,
    ) -> None:
        """Take the collaborators."""
        self._store = store
        self._answers = answers
        self._requests = requests
        self._gateway = gateway
        self._mint = mint
        self._relay = relay
        self._signals = signals
        self._now = now
        self._closing = closing

    async def start(self, approval_id: str, caller: Caller, once: Once[Started] | None = None) -> Started:
        """Mint for one approved command and give it to the gateway; return once INTENT is durable.

        Raises ``ApprovalRefused`` where the request is not approved or has no such command, and the gateway's
        refusal: of two who start the same command, one gets APPROVAL_SPENT with the other's execution id.
        A request that is repeated raises ``Replayed`` with the execution it started: all its tries use one token
        id, which is durable before the first and unique among what was ever spent (I12).
        """
        if caller.key_id is None:
            raise CallerRefused(Code.KEY_MISSING, "an execution needs a key", hint="send Authorization: Bearer wm_...")
        request_id, n = parts_of(approval_id)
        record = await self._requests.get(request_id, caller)
        n, command = approved_command(record, n)
        token_id = await self._token_id(once, command.approval_id)
        token = self._mint.token(record, command, token_id=token_id)
        errand = Errand(request_id, n, record.request.worker, caller.person, caller.key_id, once)
        try:
            accepted = await self._relay.start(self._gateway.execute(token, command.text), errand)
        except WingmanError as error:
            if once is not None:
                await self._replay(once, token_id, command.approval_id)
            raise await self._told(error, command.approval_id) from error
        return Started(accepted, command.approval_id)

    async def get(self, execution_id: str, caller: Caller) -> Execution:
        """Return an execution that this caller may see; raise ``WingmanError`` (EXECUTION_UNKNOWN)."""
        execution = await self._store.get(execution_id)
        if caller.only_worker not in (None, execution.worker):
            raise unknown(execution_id)
        return execution

    async def output(self, execution_id: str, after: int, place: Place) -> AsyncIterator[OutputRow | Execution]:
        """Yield stored output after the piece numbered ``after``, as it comes; the finished execution last.

        Ends without the execution when the process closes, or the key of ``place`` is revoked: whoever reads comes
        again and continues.
        """
        quiet = 1
        with self._signals.bell(execution_id) as bell:
            while not self._over(place):
                execution = await self._store.get(execution_id)
                rows = await self._store.output(execution_id, after, BATCH)
                for row in rows:
                    yield row
                    after = row.seq
                if rows:
                    quiet = 1
                    continue
                if self._complete(execution):
                    yield execution
                    return
                quiet = 1 if await self._heard(bell, place, quiet) else min(2 * quiet, QUIET)

    async def _heard(self, bell: asyncio.Event, place: Place, times: int) -> bool:
        """Wait so many times ``PATIENCE`` seconds for the bell, and return whether it rang."""
        for _ in range(times):
            if await rung(bell):
                return True
            if self._over(place):
                break
        return False

    def _over(self, place: Place) -> bool:
        """Whether a reader has to go."""
        return self._closing.is_set() or place.revoked

    async def _token_id(self, once: Once[Started] | None, approval_id: str) -> str:
        """Return the id for the token, an earlier try's where there was one; raise ``Replayed``."""
        token_id = self._mint.token_id()
        if once is None:
            return token_id
        reserved = await self._answers.reserve(once, token_id, self._now())
        if reserved != token_id:
            await self._replay(once, reserved, approval_id)
        return reserved

    async def _replay(self, once: Once[Started], token_id: str, approval_id: str) -> None:
        """Raise ``Replayed`` where an earlier try, or one that runs beside this one, has spent the approval."""
        accepted = await self._store.spent_with(token_id)
        if accepted is not None:
            raise await self._answers.replay(once, Started(accepted, approval_id))

    def _complete(self, execution: Execution) -> bool:
        """Whether there is an outcome, and no output that could still come."""
        if execution.result is None:
            return False
        last_sign = max(execution.result.at, execution.heard or execution.result.at)
        return execution.relayed or self._now() - last_sign > GRACE

    async def _told(self, error: WingmanError, approval_id: str) -> WingmanError:
        """Return the refusal, with the execution that has spent the approval where that is the reason."""
        if error.code is not Code.APPROVAL_SPENT:
            return error
        spent_by = await self._store.spent_by(approval_id)
        details = {**error.details, **({"execution_id": spent_by} if spent_by else {})}
        return CapabilityRefused(error.code, error.message, hint=error.hint, **details)


def parts_of(approval_id: str) -> tuple[str, int | None]:
    """Return request id and number of ``apr_x`` or ``apr_x.n``; raise ``WingmanError`` (REQUEST_INVALID)."""
    match = APPROVAL.fullmatch(approval_id)
    if match is None:
        raise WingmanError(
            Code.REQUEST_INVALID, "approval_id is not of the form apr_<26> or apr_<26>.<n>", hint="copy it whole"
        )
    return match[1], None if match[2] is None else int(match[2])


def approved_command(record: Record, n: int | None) -> tuple[int, Command]:
    """Return the command that is meant; raise ``WingmanError`` where there is none, or more than one."""
    count = len(record.commands)
    if not count:
        raise ApprovalRefused(
            Code.APPROVAL_SIGN_OFF, "the request is a sign-off: it has no command", hint="ask again, with commands"
        )
    if n is None and count > 1:
        raise WingmanError(
            Code.REQUEST_INVALID, f"the request has {count} commands", hint=f"name one: {record.request.id}.<n>"
        )
    n = n or 0
    if n >= count:
        raise ApprovalRefused(
            Code.APPROVAL_UNKNOWN,
            f"the request has no command {n}",
            hint=f"it has {count}, from .0",
            id=record.request.id,
        )
    return n, record.commands[n]
