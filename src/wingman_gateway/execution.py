"""The one way from a capability token to an act: the numbered procedure of an execution.

Guarantees: nothing is done before the INTENT that spends the token is durable, nothing is done twice, and
``Finished`` is told only once the outcome is durable in the log or the journal (I12 to I14). Every refusal is
recorded, but for that of a gateway which stops. Mutations of one target take turns. After ``drain`` nothing runs.
Does not: decide an outcome that nobody saw. Such an execution stays open, and reconciliation asks Docker.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, assert_never

import structlog
from structlog.typing import FilteringBoundLogger

from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.command import Operation, facts
from wingman_core.errors import CapabilityRefused, Code, Unavailable, WingmanError
from wingman_core.target import Target
from wingman_gateway.callers import Caller
from wingman_gateway.ending import Ending, ended_by, ended_with
from wingman_gateway.engine.events import Event as EngineEvent
from wingman_gateway.engine.events import Exit, Note, Output, Progress, Testimony
from wingman_gateway.judgement import Judge, Judged, Resolver
from wingman_gateway.limits import Turns
from wingman_gateway.metrics import Metrics
from wingman_gateway.output import Capture, OutputLimits
from wingman_gateway.records import Attempt, Records
from wingman_gateway.refusals import Refusals
from wingman_gateway.stream import NO_EXIT, NOT_IN_LOG, Accepted, Execution, Finished, Stage


class Engine(Resolver, Protocol):
    """The Docker engine as an execution needs it."""

    async def ping(self) -> object:
        """Raise ``Unavailable`` unless the engine answers."""
        ...

    def execute(
        self, op: Operation, targets: Sequence[Target], execution_id: str, note: Note
    ) -> AsyncIterator[EngineEvent]:
        """Act by full id; ``Exit`` comes last."""
        ...

    async def testify(
        self,
        op: Operation,
        targets: Sequence[Target],
        execution_id: str,
        intent_at: datetime,
        notes: Mapping[str, str] | None,
    ) -> Testimony:
        """Say what became of an execution, without acting; ``notes`` is None where they are in another journal."""
        ...


class Audit(Protocol):
    """The audit log."""

    async def append(self, record: AuditRecord) -> int:
        """Commit one record and return its position."""
        ...


class Journal(Protocol):
    """The fsynced directory for what the log cannot take."""

    def note(self, execution_id: str, key: str, value: str) -> None:
        """Keep one fact about a running execution."""
        ...

    def forget(self, execution_id: str) -> None:
        """Drop the facts of an execution that is in the log."""
        ...

    def keep(self, record: bytes) -> None:
        """Keep one outcome."""
        ...


class Executor:
    """Previews and executes for admitted callers."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        judge: Judge,
        *,
        output_limits: OutputLimits,
        engine: Engine,
        audit: Audit,
        journal: Journal,
        records: Records,
        refusals: Refusals,
        turns: Turns,
        permit: Callable[[], None],
        metrics: Metrics,
        unsettled: asyncio.Event,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        new_id: Callable[[], str],
        log: FilteringBoundLogger,
    ) -> None:
        """Take who judges, and the collaborators; ``new_id`` makes ``exe_`` ids, ``clock`` is monotonic seconds.

        ``permit`` raises where nothing may be executed now.
        ``unsettled`` is set whenever the log may lack an outcome, or hold an INTENT that nobody will act on.
        """
        self._judge = judge
        self._output_limits = output_limits
        self._engine = engine
        self._audit = audit
        self._journal = journal
        self._records = records
        self._refusals = refusals
        self._turns = turns
        self._permit = permit
        self._metrics = metrics
        self._unsettled = unsettled
        self._now = now
        self._clock = clock
        self._new_id = new_id
        self._log = log
        self.draining = False
        """Whether nothing more is begun."""
        self._running: dict[str, tuple[Execution, asyncio.Task[None]]] = {}

    @property
    def running(self) -> frozenset[str]:
        """The ids of the executions this process still answers for."""
        return frozenset(self._running)

    @property
    def executions(self) -> tuple[Execution, ...]:
        """Those executions, as they are now."""
        return tuple(execution for execution, _ in self._running.values())

    def begin(self, token: str, command: str, caller: Caller) -> Execution:
        """Start an execution for a caller that step 1 admitted; everything it has to say comes as its events.

        Raises ``Unavailable`` once ``drain`` was called: nothing is spent.
        """
        if self.draining:
            self._metrics.refused("", str(Code.GATEWAY_UNAVAILABLE))
            raise Unavailable(Code.GATEWAY_UNAVAILABLE, "the gateway stops", hint="try again in a moment")
        execution = Execution(self._new_id())
        attempt = Attempt(caller.identity, hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest())
        task = asyncio.create_task(self._run(execution, attempt, token, command, caller), name=execution.id)
        execution.enter(Stage.WAITING, task)
        self._running[execution.id] = (execution, task)
        task.add_done_callback(lambda _: self._end(execution))
        return execution

    def _end(self, execution: Execution) -> None:
        """Answer for the execution no longer; what it left open is reconciliation's from here."""
        del self._running[execution.id]
        if not execution.settled:
            self._unsettled.set()

    async def drain(self, seconds: float) -> None:
        """Begin nothing more, end what only reads or waits, give mutations ``seconds``; leave open what still runs."""
        self.draining = True
        running = list(self._running.values())
        for execution, _ in running:
            execution.stop()
        tasks = [task for _, task in running]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                self._log.warning("executions are left open; the next start reconciles them", number=len(late))
                await asyncio.wait(late)

    async def _run(self, execution: Execution, attempt: Attempt, token: str, command: str, caller: Caller) -> None:
        structlog.contextvars.bind_contextvars(execution=execution.id)  # every line of this task from here on
        try:
            await self._procedure(execution, attempt, token, command, caller)
        except WingmanError as error:
            self._metrics.refused(attempt.verb, str(error.code))
            # A database that is gone cannot take the refusal either; it is the refusal.
            if error.code is not Code.DATABASE_UNAVAILABLE:
                await self._refusals.record(self._records.refused(attempt, error))
            execution.tell(error)
        except asyncio.CancelledError:
            execution.tell(
                Unavailable(Code.GATEWAY_UNAVAILABLE, "the gateway stops", hint="ask the audit log what became of it")
            )
            raise
        except Exception as error:  # noqa: BLE001 - nobody awaits this task; the edge tells it as internal
            self._log.error("an execution broke off", exc_info=True)
            execution.tell(error)

    async def _procedure(
        self, execution: Execution, attempt: Attempt, token: str, command: str, caller: Caller
    ) -> None:
        # Steps 2 to 5, before anybody's turn is taken: most refusals end here.
        judged = await self._judge.judge(attempt, token, command, caller)
        execution.read = facts(judged.operation).effect == "read"
        async with self._turns.take(() if execution.read else _turn_keys(judged)) as waited:
            if waited:
                # Whoever was first may have changed everything, and time has passed.
                judged = await self._judge.judge(attempt, token, command, caller)
            self._permit()
            # 6. Spend and append INTENT in one transaction. From here on nothing may end this task but its end.
            execution.enter(Stage.SPENDING)
            intent = self._records.intent(attempt, execution.id)
            # An answer may be lost where the INTENT is not: until there is an outcome, it is unsettled.
            execution.settled = False
            try:
                with self._metrics.stage("spend"):
                    position = await self._audit.append(intent)
            except CapabilityRefused:
                execution.settled = True  # the log said no: there is no INTENT to look for
                raise
            # 7. Act.
            started = self._clock()
            capture = Capture(self._output_limits)
            with self._metrics.stage("act"):
                ending = await self._act(execution, judged, capture, Accepted(execution.id, position))
            duration_ms = round((self._clock() - started) * 1000)
            # 8. Append RESULT, and only then say so.
            execution.enter(Stage.RECORDING)
            with self._metrics.stage("record"):
                position = await self._record(intent, ending, capture, duration_ms)
            execution.settled = position != NOT_IN_LOG
        self._metrics.executed(judged.operation.verb, ending.outcome, ending.reason)
        execution.enter(Stage.OVER)
        execution.tell(
            Finished(
                outcome=ending.outcome,
                exit_code=NO_EXIT if ending.exit_code is None else ending.exit_code,
                duration_ms=duration_ms,
                output_digest=capture.digest,
                audit_position=position,
                truncated=capture.truncated,
                at=self._now(),
            )
        )
        await asyncio.sleep(0)  # the caller first
        self._log.info(
            "executed",
            verb=judged.operation.verb,
            outcome=ending.outcome,
            milliseconds=duration_ms,
        )

    async def _act(self, execution: Execution, judged: Judged, capture: Capture, accepted: Accepted) -> Ending:
        """Run the engine's side to its end; only a read may be stopped by its caller."""
        acting = asyncio.create_task(self._consume(execution, judged, capture))
        execution.enter(Stage.ACTING, acting)
        execution.tell(accepted)  # while the engine works
        if execution.stopped and execution.read:
            acting.cancel()
        try:
            await asyncio.wait({acting})
        except asyncio.CancelledError:
            # The process stops: what is under way at the engine stays open, for the next start to reconcile.
            acting.cancel()
            await asyncio.wait({acting})
            raise
        if acting.cancelled():
            ending = Ending("FAILED", reason=str(Code.CALLER_GONE if execution.gone else Code.GATEWAY_UNAVAILABLE))
        else:
            ending = acting.result()
        _tell_all(execution, capture.close())
        return ending

    async def _consume(self, execution: Execution, judged: Judged, capture: Capture) -> Ending:
        async def note(key: str, value: str) -> None:
            await asyncio.to_thread(self._journal.note, execution.id, key, value)

        code: int | None = None
        try:
            async for event in self._engine.execute(judged.operation, judged.targets, execution.id, note):
                match event:
                    case Output():
                        _tell_all(execution, capture.feed(event))
                    case Progress():
                        execution.tell(event)
                    case Exit():
                        code = event.code
                    case _:
                        assert_never(event)
        except WingmanError as error:
            _tell_all(execution, capture.feed(Output("stderr", f"wingman: {error.message}\n".encode())))
            return ended_by(error, read=execution.read)
        except Exception:  # noqa: BLE001 - told as UNKNOWN, and logged
            # A defect of ours is no outcome of Docker's.
            self._log.error("an execution broke", exc_info=True)
            return Ending("UNKNOWN", reason=str(Code.INTERNAL))
        return ended_with(code)

    async def _record(self, intent: AuditRecord, ending: Ending, capture: Capture, duration_ms: int) -> int:
        """Make the outcome durable; return its position, or ``NOT_IN_LOG``."""
        if ending.outcome == "UNKNOWN":
            return NOT_IN_LOG
        record = intent.concluded(
            RecordKind.RESULT,
            ending.outcome,
            self._records.now(),
            reason=ending.reason,
            exit_code=ending.exit_code,
            duration_ms=duration_ms,
            output_excerpt=capture.excerpt,
            output_digest=capture.digest,
            evidence=ending.evidence,
        )
        try:
            position = await self._audit.append(record)
        except WingmanError as error:
            self._log.error("an outcome goes to the journal", error=str(error))
            await asyncio.to_thread(self._journal.keep, record.to_bytes())
            return NOT_IN_LOG
        except asyncio.CancelledError:
            # The process stops while the database hangs. If the log has taken it after all, a replay changes nothing.
            self._journal.keep(record.to_bytes())
            raise
        try:
            self._journal.forget(intent.execution_id)  # one system call: a thread would cost more
        except OSError as error:  # notes that stay are in nobody's way
            self._log.warning("notes are left", error=str(error))
        return position


def _tell_all(execution: Execution, outputs: Iterable[Output]) -> None:
    for output in outputs:
        execution.tell(output)


def _turn_keys(judged: Judged) -> list[str]:
    """Return a key for each object that the operation changes or creates."""
    return [
        target.id or f"{target.reference.kind} {target.reference.name}"
        for target in judged.targets
        if target.reference.role != "peer"
    ]
