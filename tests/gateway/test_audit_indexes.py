"""What is asked of one execution, and of what is open, costs the same in a log of any length."""

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.bench.big_log import write_log
from tests.conftest import Database
from wingman_api.audit import store as api_audit
from wingman_api.executions import store as api_executions
from wingman_gateway import audit_log, open_intents

ROWS = 20_000
NOWHERE = f"exe_{'f' * 26}"


@pytest.fixture
async def log(database: Database) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """A connection to a log that is long enough for a plan to matter."""
    gateway = await database.connection("wingman_gateway").connect()
    key = Ed25519PrivateKey.generate()
    await write_log(gateway, origin="wingman/test/log", key=key, rows=ROWS, told=lambda _: None)
    await gateway.close()
    owner = await database.connection("wingman_owner").connect()
    await owner.execute("ANALYZE")
    yield owner
    await owner.close()


QUERIES: tuple[tuple[str, list[object]], ...] = (
    (api_executions.ONE, [NOWHERE]),
    (api_executions.SPENT_BY, ["apr_none.0"]),
    (api_executions.SPENT_WITH, ["none"]),
    (api_audit.OF_EXECUTION, [NOWHERE]),
    (api_audit.PAGE, [0, None, None, NOWHERE, 50]),
    (api_audit.PAGE, [0, None, "BOUNDARY", None, 50]),
    (api_audit.PAGE, [0, None, "RECONCILED", None, 50]),
    (api_audit.PAGE, [0, "nobody", None, None, 50]),
    (audit_log.READ_EXECUTION, [NOWHERE]),
    (open_intents.READ_OPEN, [ROWS - 200, ROWS]),
    (open_intents.READ_ENDED, [[NOWHERE]]),
)


async def test_no_more_is_read_than_is_asked_for(log: "asyncpg.Connection[asyncpg.Record]"):
    pages = await log.fetchval("SELECT relpages FROM pg_class WHERE relname = 'execution_audit'")
    for query, arguments in QUERIES:
        explained = await log.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {query}", *arguments)
        plan = "\n".join(row[0] for row in explained)
        assert "Seq Scan on execution_audit" not in plan, plan
        looked_at = re.search(r"shared hit=(\d+)", plan)
        assert looked_at is not None, plan
        assert int(looked_at[1]) < pages / 10, plan
