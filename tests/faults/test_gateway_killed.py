"""The gateway is killed in the middle of an act: afterwards the log says what Docker knows, and nothing ran twice."""

import asyncio
import json
import signal

import grpc
import pytest

from tests.faults.conftest import KILLS, LONG, Container
from tests.faults.site import Site, execute_all
from tests.gateway.conftest import Outage, eventually, new_approval, refusal
from tests.gateway.process import GatewayProcess
from wingman_core.audit_record import RecordKind
from wingman_core.errors import Code

INTENT, RESULT, RECONCILED = RecordKind.INTENT, RecordKind.RESULT, RecordKind.RECONCILED
NOT_RUN = [(INTENT, "", None), (RECONCILED, "FAILED", None)]
"""Docker knows that nothing was started."""
RAN = [(INTENT, "", None), (RECONCILED, "FAILED", 7)]
"""Docker knows the exit code of what ran."""
NOTED = "7 once the act is noted"
NOTED_SECONDS = 90
"""What was noted and shows no effect counts as not started after 65 s: too long for the short form."""
STEPS = {
    "1 a caller is admitted": ("admit:begin", []),
    "2 the token": ("token:begin", []),
    "3 the command": ("parse:begin", []),
    "4 the targets": ("resolve:begin", []),
    "5 the policy": ("policy:begin", []),
    "6 before INTENT is durable": ("spend:begin", []),
    "6 once INTENT is durable": ("spend:end", NOT_RUN),
    NOTED: ("note:end", NOT_RUN),
    "7 once it was done": ("act:end", RAN),
    "8 once RESULT is durable": ("record:end", [(INTENT, "", None), (RESULT, "FAILED", 7)]),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("step", STEPS if LONG else [step for step in STEPS if step != NOTED])
async def test_killed_at_a_step_it_ran_once_or_not_at_all_and_the_log_says_which(
    site: Site, container: Container, step: str
):
    point, expected = STEPS[step]
    command, approvals = f"docker exec {container.name} /quick", [new_approval() for _ in range(KILLS)]
    for approval in approvals:
        # Each gateway finds what the one before it left.
        async with site.faulty(point, signal.SIGKILL) as gateway, gateway.channel(site.pki) as channel:
            if step != "7 once the act is noted":
                await gateway.serving(site.pki)
            with pytest.raises(grpc.aio.AioRpcError):
                await execute_all(channel, await site.token(command, approval), command)
            assert await gateway.process.wait() == -signal.SIGKILL
    assert container.runs() == (KILLS if expected[-1:] in (RAN[-1:], [(RESULT, "FAILED", 7)]) else 0)
    async with site.running() as gateway:
        await gateway.serving(site.pki)
        await site.settled(seconds=NOTED_SECONDS)
        for approval in approvals:
            assert await site.story(approval) == expected
        if expected:
            await _spent(site, gateway, command, approvals[0])
        else:  # nothing was spent: the approval still runs, once
            async with gateway.channel(site.pki) as channel:
                events = await execute_all(channel, await site.token(command, approvals[0]), command)
            assert events[-1].finished.exit_code == 7
            assert container.runs() == 1


async def _spent(site: Site, gateway: GatewayProcess, command: str, approval: str) -> None:
    """Neither the approval nor anything else makes it run again."""
    await gateway.serving(site.pki)
    async with gateway.channel(site.pki) as channel:
        refused = await refusal(execute_all(channel, await site.token(command, approval), command))
    assert refused.reason == Code.APPROVAL_SPENT


async def test_killed_while_a_container_stops(site: Site, container: Container):
    command, approval = f"docker stop {container.name}", new_approval()
    await site.killed(command, await site.token(command, approval), lambda: "stopping" in container.logs())
    async with site.running() as gateway:
        intent, reconciled = await site.settled()
        assert (reconciled.kind, reconciled.outcome) == (RecordKind.RECONCILED, "SUCCEEDED")
        assert reconciled.execution_id == intent.execution_id
        (evidence,) = json.loads(reconciled.evidence)["containers"]
        assert evidence["state"] == "exited"
        assert container.state() == "exited"
        await _spent(site, gateway, command, approval)
    assert container.logs().count("stopping") == 1


async def test_killed_while_an_exec_runs(site: Site, container: Container):
    command, approval = f"docker exec {container.name} /job", new_approval()
    await site.killed(command, await site.token(command, approval), lambda: container.runs() == 1)
    async with site.running() as gateway:
        intent, reconciled = await site.settled()
        assert (reconciled.kind, reconciled.outcome, reconciled.exit_code) == (RecordKind.RECONCILED, "FAILED", 7)
        assert reconciled.execution_id == intent.execution_id
        evidence = json.loads(reconciled.evidence)
        assert (evidence["running"], evidence["exit_code"]) == (False, 7)
        assert evidence["exec_id"]
        await _spent(site, gateway, command, approval)
    assert container.runs() == 1
    assert not list(site.settings.journal.glob("*.notes"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("milliseconds", [0, 20, 60, 150])
async def test_killed_at_any_moment_it_ran_once_or_not_at_all_and_the_log_agrees(
    site: Site, container: Container, milliseconds: int
):
    command, approval = f"docker exec {container.name} /job", new_approval()
    token = await site.token(command, approval)
    async with site.running() as gateway, gateway.channel(site.pki) as channel:
        await gateway.serving(site.pki)
        call = asyncio.create_task(execute_all(channel, token, command))
        await asyncio.sleep(milliseconds / 1000)
        await gateway.end(signal.SIGKILL)
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    async with site.running() as gateway:
        await gateway.serving(site.pki)
        log = await site.settled(seconds=NOTED_SECONDS)  # the moment may be the one behind the note
        assert [record.kind for record in log] in ([], [RecordKind.INTENT, RecordKind.RECONCILED])
        runs = container.runs()
        assert runs <= 1
        if runs:
            assert (log[1].outcome, log[1].exit_code) == ("FAILED", 7)
        elif log:
            assert log[1].outcome in {"FAILED", "UNKNOWN"}
            assert log[1].exit_code is None


async def test_killed_with_the_outcome_in_the_journal(site: Site, container: Container, outage: Outage):
    command, approval = f"docker exec {container.name} /job", new_approval()
    token = await site.token(command, approval)
    async with site.running() as gateway, gateway.channel(site.pki) as channel:
        await gateway.serving(site.pki)
        call = asyncio.create_task(execute_all(channel, token, command))

        async def has_begun() -> bool:
            return await asyncio.to_thread(container.runs) == 1

        await eventually(has_begun)
        async with outage():
            events = await call
            assert events[-1].finished.audit_position == -1
            assert events[-1].finished.exit_code == 7
            await gateway.end(signal.SIGKILL)
    async with site.running() as gateway:
        _, result = await site.settled()
        assert (result.kind, result.outcome, result.exit_code) == (RecordKind.RESULT, "FAILED", 7)
        await _spent(site, gateway, command, approval)
    assert container.runs() == 1
