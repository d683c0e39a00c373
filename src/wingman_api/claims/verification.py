"""Logging claims, and finding out whether they are so.

The procedure of ``verify``: 1. who claims. 2. Read the claim into assertions by the documented patterns, or take
the structured ones. 3. Where asked, have the language model translate what no pattern fits. 4. Look at every
assertion, at once and within ``LOOK_SECONDS``. 5. Judge: FALSE where evidence contradicts any, ERROR where Wingman
itself failed, TRUE where all is read and confirmed, else UNVERIFIABLE. 6. Store, then answer.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from structlog.typing import FilteringBoundLogger

from wingman_api.claims.finding import Finding, Probes, Verdict, verdict_of
from wingman_api.claims.ledger import Entry, Ledger
from wingman_api.claims.record import Dropped, Enhancement, Evidence, Origin, Verification, Verifier
from wingman_api.claims.store import Statistics, VerificationStore
from wingman_api.claims.translation import Translator, translatable
from wingman_api.idempotency.once import Once
from wingman_api.idempotency.store import AnswerStore
from wingman_api.identity.caller import Caller, Role
from wingman_core.assertions import Assertion
from wingman_core.sentences import MAX_ASSERTIONS, Reading, Reason, Unread, read

LOOK_SECONDS: Final = 15.0
CANCEL_SECONDS: Final = 1.0
LOOKS_AT_ONCE: Final = 16
"""In this process; the others wait, within their time."""
MAX_SEEN: Final = 2000
LOGGED: Final = "logged"


@dataclass(frozen=True, slots=True)
class Wish:
    """What to verify: ``claim`` or ``assertions``, one of the two."""

    claim: str | None
    assertions: tuple[Assertion, ...]
    worker: str | None
    use_enhanced: bool


@dataclass(frozen=True, slots=True)
class _Read:
    """What there is to look at, and what is left."""

    assertions: tuple[tuple[Assertion, Origin], ...]
    unread: tuple[Unread, ...]
    verifier: Verifier
    enhancement: Enhancement
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True)
class _Look:
    """A finding; ``failed`` where the probe did."""

    finding: Finding
    failed: bool = False


class Claims:
    """The use case; ``now`` returns aware times, ``clock`` counts seconds, ``new_id`` returns 26 characters."""

    def __init__(  # noqa: PLR0913 - collaborators, by name
        self,
        store: VerificationStore,
        ledger: Ledger,
        probes: Probes,
        answers: AnswerStore,
        *,
        translator: Translator,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        new_id: Callable[[], str],
        counted: Callable[[str], None],
        log: FilteringBoundLogger,
    ) -> None:
        """Take the collaborators; ``counted`` hears of each verdict."""
        self._answers = answers
        self._counted = counted
        self._store = store
        self._ledger = ledger
        self._probes = probes
        self._translator = translator
        self._now = now
        self._clock = clock
        self._new_id = new_id
        self._log = log
        self._looking = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def log(self, claim: str, worker: str | None, caller: Caller, once: Once[Entry] | None = None) -> Entry:
        """Return the ledger's entry once it is on disk; raise ``Unavailable`` (LEDGER_UNAVAILABLE), and ``Replayed``.

        A process that is killed in the moment between the line and the answer leaves a line that a repeated request
        writes again, under another id.
        """
        entry = Entry(f"clm_{self._new_id()}", self._now(), _worker(worker, caller), claim, LOGGED)

        async def append() -> Entry:
            await self._ledger.append(entry)
            return entry

        return await self._answers.run(once, append, entry.timestamp)

    async def verify(self, wish: Wish, caller: Caller, once: Once[Verification] | None = None) -> Verification:
        """Return what became of the claim, stored; raise ``CallerRefused`` for another's name, and ``Replayed``."""
        verification = await self._answers.run(once, lambda: self._verified(wish, caller), self._now())
        self._counted(verification.verdict)
        return verification

    async def _verified(self, wish: Wish, caller: Caller) -> Verification:
        # 1. Who claims.
        worker, begun, now = _worker(wish.worker, caller), self._clock(), self._now()
        # 2. and 3. Read, then translate.
        found = await self._read(wish, now)
        # 4. and 5. Look, then judge.
        looks = await self._look([assertion for assertion, _ in found.assertions])
        verdict = _verdict(looks, found.unread)
        verification = Verification(
            id=f"ver_{self._new_id()}",
            at=now,
            worker=worker,
            requested_by=caller.person,
            key_id=caller.key_id,
            claim=wish.claim if wish.claim is not None else _written(wish.assertions),
            verdict=verdict,
            details=_details(verdict, looks, found),
            evidence=tuple(
                Evidence(look.finding, origin) for look, (_, origin) in zip(looks, found.assertions, strict=True)
            ),
            unread=found.unread,
            verifier=found.verifier,
            source="service" if caller.role is Role.SERVICE else "api",
            processing_time_ms=round((self._clock() - begun) * 1000),
            enhancement=found.enhancement,
            dropped=found.dropped,
        )
        # 6. Store.
        await self._store.add(verification)
        return verification

    async def statistics(self, period: timedelta, caller: Caller) -> tuple[datetime, Statistics]:
        """Return since when, and what was verified; a worker's key sees its own claims."""
        since = self._now() - period
        return since, await self._store.statistics(since, caller.only_worker)

    async def _read(self, wish: Wish, now: datetime) -> _Read:
        if wish.claim is None:
            given = dict.fromkeys(wish.assertions)
            return _Read(
                tuple((assertion, "structured") for assertion in given),
                (),
                "structured",
                "not_needed" if wish.use_enhanced else "not_asked",
            )
        reading = await asyncio.to_thread(read, wish.claim, now)  # the longest claims take a while
        if not wish.use_enhanced:
            return _by_patterns(reading, "not_asked")
        if not self._translator.is_configured:
            return _by_patterns(reading, "not_configured")
        if not translatable(reading.unread):
            return _by_patterns(reading, "not_needed")
        translation = await self._translator.translate(reading.unread, reading.assertions)
        if translation is None:
            return _by_patterns(reading, "no_answer")
        known = _by_patterns(reading, "used")
        room = MAX_ASSERTIONS - len(known.assertions)
        over = len(translation.assertions) > room
        return _Read(
            (*known.assertions, *((assertion, "model") for assertion in translation.assertions[:room])),
            tuple(part for part in reading.unread if over or part not in translation.read),
            "enhanced",
            "used",
            translation.dropped,
        )

    async def _look(self, assertions: Sequence[Assertion]) -> list[_Look]:
        """Return one look an assertion, in order; what takes too long was not looked at."""
        tasks = [asyncio.create_task(self._one(assertion)) for assertion in assertions]
        if not tasks:
            return []
        try:
            await asyncio.wait(tasks, timeout=LOOK_SECONDS)
        finally:
            late = {task for task in tasks if not task.done()}
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=CANCEL_SECONDS)
        return [
            self._unknown(assertion, f"it was not looked at within {LOOK_SECONDS:.0f} s")
            if task in late
            else task.result()
            for assertion, task in zip(assertions, tasks, strict=True)
        ]

    async def _one(self, assertion: Assertion) -> _Look:
        async with self._looking:
            try:
                found = await self._probes.look(assertion)
            except Exception as error:  # noqa: BLE001 - whatever a probe does, the other findings count
                self._log.error("probe.failed", kind=assertion.kind, error=type(error).__name__)
                return self._unknown(assertion, "the probe failed", failed=True)
        return _Look(Finding(assertion, found.outcome, showable(found.seen), showable(found.probe), found.at))

    def _unknown(self, assertion: Assertion, seen: str, *, failed: bool = False) -> _Look:
        return _Look(Finding(assertion, "unknown", seen, "none", self._now()), failed)


def showable(text: str) -> str:
    """Return at most ``MAX_SEEN`` characters of what a probe saw, with what no database text can hold escaped."""
    return text[:MAX_SEEN].encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _worker(named: str | None, caller: Caller) -> str:
    """Return the worker whose claim it is; raise ``CallerRefused`` where the caller may not speak for it."""
    worker = named or caller.person
    caller.require_worker(worker)
    return worker


def _by_patterns(reading: Reading, enhancement: Enhancement) -> _Read:
    return _Read(
        tuple((assertion, "patterns") for assertion in reading.assertions), reading.unread, "patterns", enhancement
    )


def _written(assertions: Sequence[Assertion]) -> str:
    """Return structured assertions as the text that is kept."""
    return json.dumps([assertion.model_dump(mode="json", exclude_none=True) for assertion in assertions])


def _verdict(looks: Sequence[_Look], unread: Sequence[Unread]) -> Verdict:
    """Judge: nothing is TRUE of which a part was not read or not seen."""
    verdict = verdict_of([look.finding for look in looks])
    if verdict != "FALSE" and any(look.failed for look in looks):
        return "ERROR"
    return "UNVERIFIABLE" if verdict == "TRUE" and unread else verdict


def _details(verdict: Verdict, looks: Sequence[_Look], found: _Read) -> str:
    """Return the verdict's reason in a few sentences."""
    findings = [look.finding for look in looks]
    match verdict:
        case "FALSE":
            reason = f"Contradicted: {_together(each for each in findings if each.outcome == 'contradicted')}"
        case "TRUE":
            reason = f"Confirmed: {_together(findings)}"
        case "ERROR":
            reason = "Wingman could not look: a probe failed."
        case "UNVERIFIABLE":
            reason = _open_reason(findings, found.unread)
        case _:
            assert_never(verdict)
    return f"{reason} {_ENHANCED[found.enhancement]}".strip()[:MAX_SEEN]


def _together(findings: Iterable[Finding]) -> str:
    """Return what was seen, as one sentence."""
    return "; ".join(finding.seen.rstrip(".") for finding in findings) + "."


def _open_reason(findings: Sequence[Finding], unread: Sequence[Unread]) -> str:
    if not findings:
        return "Nothing in it is a claim of fact that a probe can look at."
    unknown = [finding for finding in findings if finding.outcome == "unknown"]
    if unknown:
        return f"Not known: {_together(unknown)}"
    first = unread[0] if unread else Unread("", Reason.NO_PATTERN)
    return f"What was looked at is confirmed, but not all of the claim could be: {first.explanation}."


_ENHANCED: Final = {
    "not_asked": "",
    "not_configured": "No language model is configured, so the documented patterns alone were used.",
    "not_needed": "The language model was not asked: nothing was left that it could translate.",
    "no_answer": "The language model gave no usable answer, so the documented patterns alone were used.",
    "used": "A language model translated a part of it; it decided nothing.",
}
