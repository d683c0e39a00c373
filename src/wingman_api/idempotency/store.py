"""All SQL on ``idempotency``: which requests were answered, and how.

Guarantees: of two requests with one key, one has the effect and the other its answer, whichever processes they reach
and whenever one of them is killed; the answer is committed with the effect or not at all.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, TypeVar

import asyncpg

from wingman_api.idempotency.once import Answer, Once, Replayed
from wingman_api.system.store import Connection, Database
from wingman_core.errors import Code, Unavailable, WingmanError

KEPT: Final = timedelta(days=1)
WAIT_SECONDS: Final = 5.0
"""How long a request waits for the end of an identical one."""
LEASE: Final = timedelta(seconds=60)
"""How long an effect outside of the database may take before it counts as lost with its process."""
BATCH: Final = 1000

T = TypeVar("T")

CLAIM: Final = """
INSERT INTO idempotency (subject, key, operation, request_digest, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (subject, key) DO NOTHING RETURNING key
"""
RESERVE: Final = """
INSERT INTO idempotency (subject, key, operation, request_digest, effect_id, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (subject, key) DO UPDATE SET effect_id = idempotency.effect_id
RETURNING operation, request_digest, effect_id, status, body
"""
"""Changes nothing of an earlier reservation, and so returns it."""
TAKE_OVER: Final = """
UPDATE idempotency SET created_at = $3 WHERE subject = $1 AND key = $2 AND status IS NULL AND created_at <= $4
RETURNING key
"""
FIND: Final = "SELECT operation, request_digest, status, body FROM idempotency WHERE subject = $1 AND key = $2"
REMEMBER: Final = """
UPDATE idempotency SET status = $3, body = $4 WHERE subject = $1 AND key = $2 AND status IS NULL
"""
RELEASE: Final = "DELETE FROM idempotency WHERE subject = $1 AND key = $2 AND status IS NULL"
SWEEP: Final = """
DELETE FROM idempotency WHERE (subject, key) IN (
    SELECT subject, key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2
)
"""


async def claim(connection: Connection, once: Once[T] | None, at: datetime) -> None:
    """Begin a transaction's effect; raise ``Replayed`` where it happened before, and ``WingmanError``.

    IDEMPOTENCY_MISMATCH: the key belongs to another request. IDEMPOTENCY_RUNNING: the same request is not done yet.
    """
    if once is None:
        return
    values = (once.subject, once.key, once.operation, once.request_digest, at)
    try:
        if await connection.fetchval(CLAIM, *values, timeout=WAIT_SECONDS):
            return
    except TimeoutError as error:
        raise _running(WAIT_SECONDS) from error
    await find(connection, once)
    raise _running(1)


async def remember(connection: Connection, once: Once[T] | None, result: T) -> None:
    """End a transaction's effect: store its answer."""
    if once is not None:
        answer = once.answer(result)
        await connection.execute(REMEMBER, once.subject, once.key, answer.status, answer.body)


async def release(connection: Connection, once: Once[T] | None) -> None:
    """End a transaction whose effect was refused, and that is committed all the same: the key is free again."""
    if once is not None:
        await connection.execute(RELEASE, once.subject, once.key)


async def find(connection: Connection, once: Once[T] | None) -> None:
    """Raise ``Replayed`` where the request was answered, and IDEMPOTENCY_MISMATCH where another one was sent."""
    if once is None:
        return
    row = await connection.fetchrow(FIND, once.subject, once.key)
    if row is not None:
        _judge(row, once)


class AnswerStore:
    """Answers in the database; times are aware."""

    def __init__(self, database: Database) -> None:
        """Use the API's pool."""
        self._database = database

    async def find(self, once: Once[T] | None) -> None:
        """Do as ``find`` does, before anything costly; without a key, without a question."""
        if once is not None:
            async with self._database.connection() as connection:
                await find(connection, once)

    async def reserve(self, once: Once[T], effect_id: str, at: datetime) -> str:
        """Return the id under which the effect is to happen: an earlier try's, else ``effect_id``; durable then.

        Raises ``Replayed`` where it is known to have happened, and IDEMPOTENCY_MISMATCH.
        """
        values = (once.subject, once.key, once.operation, once.request_digest, effect_id, at)
        async with self._database.connection() as connection:
            (row,) = await connection.fetch(RESERVE, *values)
        _judge(row, once)
        reserved: str = row["effect_id"]
        return reserved

    async def replay(self, once: Once[T], result: T) -> Replayed:
        """Return the answer for an effect that was looked up by its id, and remember it."""
        async with self._database.connection() as connection:
            await remember(connection, once, result)
        return Replayed(once.answer(result))

    async def run(self, once: Once[T] | None, effect: Callable[[], Awaitable[T]], at: datetime) -> T:
        """Return the result of ``effect``, which runs here unless the request was answered.

        Raises what ``claim`` raises, and what ``effect`` raises: nothing is remembered then. Where the process is
        killed meanwhile, the request can be repeated after ``LEASE``, and ``effect`` runs again.
        """
        if once is None:
            return await effect()
        await self._lease(once, at)
        try:
            result = await effect()
        except BaseException:
            with suppress(Unavailable):  # the lease ends by itself
                async with self._database.connection() as connection:
                    await connection.execute(RELEASE, once.subject, once.key)
            raise
        async with self._database.connection() as connection:
            await remember(connection, once, result)
        return result

    async def sweep(self, now: datetime) -> None:
        """Forget what was answered more than ``KEPT`` ago."""
        async with self._database.connection() as connection:
            while await connection.execute(SWEEP, now - KEPT, BATCH) == f"DELETE {BATCH}":
                pass

    async def _lease(self, once: Once[T], at: datetime) -> None:
        async with self._database.connection() as connection:
            try:
                await claim(connection, once, at)
            except WingmanError as error:
                lost = error.code is Code.IDEMPOTENCY_RUNNING
                if not lost or not await connection.fetchval(TAKE_OVER, once.subject, once.key, at, at - LEASE):
                    raise


def _judge(row: asyncpg.Record, once: Once[T]) -> None:
    """Return where the request is not answered yet; raise ``Replayed`` and IDEMPOTENCY_MISMATCH."""
    if (row["operation"], row["request_digest"]) != (once.operation, once.request_digest):
        raise WingmanError(
            Code.IDEMPOTENCY_MISMATCH,
            "this Idempotency-Key was sent with another request",
            hint="send a new key for a new request, and the old request unchanged with the old key",
        )
    if row["status"] is not None:
        raise Replayed(Answer(row["status"], row["body"]))


def _running(seconds: float) -> WingmanError:
    return WingmanError(
        Code.IDEMPOTENCY_RUNNING,
        "the same request is being worked on",
        hint="send it again in a moment; it will have the same answer",
        retry_after=str(round(seconds)),
    )
