"""Two gateways append to one log at once while one of them is killed: nothing is lost, nothing is there twice.

For a minute in the long form.
"""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import grpc
import pytest

from tests.faults.conftest import LONG, Container
from tests.faults.site import OUTCOMES, Site, execute_all
from tests.gateway.conftest import new_approval
from tests.gateway.process import GatewayProcess
from wingman_core.audit_record import RecordKind

SECONDS = 60 if LONG else 6
CALLERS = 4
"""Of each gateway, one after the other."""


class Told:
    """What callers were told."""

    def __init__(self) -> None:
        self.accepted: dict[str, int] = {}
        """Positions of INTENTs by execution."""
        self.finished: dict[str, int] = {}
        """Positions of RESULTs by execution."""
        self.broken = 0

    async def call(self, site: Site, gateway: GatewayProcess, command: str, over: asyncio.Event) -> None:
        """Execute again and again until it is over, or the gateway is."""
        async with gateway.channel(site.pki) as channel:
            while not over.is_set():
                token = await site.token(command, new_approval())
                execution = ""
                try:
                    for event in await execute_all(channel, token, command):
                        match event.WhichOneof("event"):
                            case "accepted":
                                execution = event.accepted.execution_id
                                self.accepted[execution] = event.accepted.audit_position
                            case "finished":
                                self.finished[execution] = event.finished.audit_position
                except grpc.aio.AioRpcError:
                    self.broken += 1
                    return


@pytest.mark.timeout(600)
async def test_two_gateways_append_at_once_and_one_is_killed(site: Site, container: Container, tmp_path: Path):
    command, told, over = f"docker inspect {container.name}", Told(), asyncio.Event()
    site = site.changed(rate=100_000.0)  # callers as fast as they are
    second = site.changed(gateway_id="second", journal=tmp_path / "second")

    async def load(gateway: GatewayProcess) -> None:
        await gateway.serving(site.pki)
        await asyncio.gather(*(told.call(site, gateway, command, over) for _ in range(CALLERS)))

    async with site.running() as living:
        lives = asyncio.create_task(load(living))
        for _ in range(2):
            async with second.running() as dying:
                dies = asyncio.create_task(load(dying))
                await asyncio.sleep(SECONDS / 3)
                dying.process.send_signal(signal.SIGKILL)
                await dies
        async with second.running() as again:
            lives_too = asyncio.create_task(load(again))
            await asyncio.sleep(SECONDS / 3)
            over.set()
            await asyncio.gather(lives, lives_too)
            log = await site.settled()
    assert told.broken >= 2
    assert len(told.finished) > 10
    assert [record.reason for record in log if record.kind is RecordKind.REFUSED] == []
    kinds = Counter((record.execution_id, record.kind) for record in log)
    assert set(kinds.values()) == {1}
    for execution, position in told.accepted.items():
        assert (log[position].execution_id, log[position].kind) == (execution, RecordKind.INTENT)
    for execution, position in told.finished.items():
        assert (log[position].execution_id, log[position].kind) == (execution, RecordKind.RESULT)
    gateways = {record.evidence for record in log if record.kind is RecordKind.INTENT}
    assert len(gateways) == 2
    # Only a read that was cut off is nobody's to know: it leaves no trace at Docker.
    unknown = [record for record in log if record.kind in OUTCOMES and record.outcome == "UNKNOWN"]
    assert all(record.execution_id not in told.finished for record in unknown)
    assert len(unknown) <= 2 * CALLERS
