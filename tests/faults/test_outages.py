"""Postgres, dockerd or the journal's disk goes away at a step of an execution, and comes back.

The gateway stops itself at the step (SIGSTOP), what it needs is taken away, and it goes on (SIGCONT). Each fault lasts
30 seconds in the long form.
"""

import asyncio
import errno
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import grpc
import pytest
from pydantic import SecretStr

from tests.conftest import Cluster, _engine, started_cluster
from tests.faults.conftest import LONG, Container
from tests.faults.site import Site, execute_all
from tests.gateway.conftest import Minter, new_approval, refusal
from wingman_cli.pki import Authority
from wingman_core.audit_record import RecordKind
from wingman_core.errors import Code
from wingman_gateway.engine import Engine
from wingman_gateway.settings import Settings
from wingman_rpc.v1 import gateway_pb2 as pb

pytestmark = pytest.mark.timeout(600)
SECONDS = 30 if LONG else 1
INTENT, RESULT, RECONCILED = RecordKind.INTENT, RecordKind.RESULT, RecordKind.RECONCILED
BEFORE = ["admit:begin", "token:begin", "parse:begin", "resolve:begin", "policy:begin", "spend:begin"]
Fault = Callable[[], Awaitable[None]]


@pytest.fixture(scope="module")
async def cluster() -> AsyncIterator[Cluster]:
    """A Postgres that only this file stops."""
    with tempfile.TemporaryDirectory(prefix="wm-pg-") as place:
        async with started_cluster(Path(place) / "pg") as cluster:
            yield cluster


@pytest.fixture
async def lone(
    cluster: Cluster, settings: Settings, pki: Authority, minter: Minter, engine_url: str
) -> AsyncIterator[Site]:
    """A deployment on that Postgres."""
    database = await cluster.fresh()
    password = SecretStr(database.passwords["wingman_gateway"])
    changes = {"docker_host": engine_url, "database_url": database.dsn("wingman_gateway"), "db_password": password}
    engine = await Engine.connect(engine_url)
    yield Site(settings.model_copy(update=changes), database, pki, minter, engine)
    await engine.close()
    await cluster.drop(database)


async def meets(
    site: Site, command: str, approval: str, point: str, *, fault: Fault, over: Fault
) -> list[pb.ExecuteResponse] | grpc.aio.AioRpcError:
    """Execute; at the point there is a fault, which is over once the call is and its time has passed."""
    async with site.faulty(point, signal.SIGSTOP) as gateway, gateway.channel(site.pki) as channel:
        await gateway.serving(site.pki)
        call = asyncio.create_task(execute_all(channel, await site.token(command, approval), command))
        await gateway.stopped()
        await fault()
        gateway.process.send_signal(signal.SIGCONT)
        passed = asyncio.create_task(asyncio.sleep(SECONDS))
        await asyncio.wait({call, passed}, return_when=asyncio.ALL_COMPLETED)
        await over()
        await gateway.serving(site.pki)
        await site.settled(seconds=60)
        error = call.exception()
        assert error is None or isinstance(error, grpc.aio.AioRpcError)
        return call.result() if error is None else error


async def code_of(answer: object) -> str:
    """The stable reason of a refusal."""

    async def refused() -> None:
        assert isinstance(answer, grpc.aio.AioRpcError)
        raise answer

    return (await refusal(refused())).reason


async def runs_once_more(site: Site, command: str, approval: str) -> None:
    """Nothing was spent: the same approval runs now."""
    async with site.running() as gateway, gateway.channel(site.pki) as channel:
        await gateway.serving(site.pki)
        events = await execute_all(channel, await site.token(command, approval), command)
    assert events[-1].finished.exit_code == 7
    assert await site.story(approval) == [(INTENT, "", None), (RESULT, "FAILED", 7)]


@pytest.mark.parametrize("point", BEFORE if LONG else ["spend:begin"])
async def test_without_postgres_before_the_intent_nothing_runs_and_nothing_is_spent(
    lone: Site, cluster: Cluster, container: Container, point: str
):
    command, approval = f"docker exec {container.name} /quick", new_approval()
    answer = await meets(lone, command, approval, point, fault=_down(cluster), over=_up(cluster))
    assert await code_of(answer) == Code.DATABASE_UNAVAILABLE
    assert await lone.story(approval) == []
    assert container.runs() == 0
    await runs_once_more(lone, command, approval)
    assert container.runs() == 1


@pytest.mark.parametrize("point", ["spend:end", "note:end", "act:end"] if LONG else ["act:end"])
async def test_without_postgres_after_the_intent_the_outcome_is_kept_and_replayed(
    lone: Site, cluster: Cluster, container: Container, point: str
):
    command, approval = f"docker exec {container.name} /quick", new_approval()
    answer = await meets(lone, command, approval, point, fault=_down(cluster), over=_up(cluster))
    assert isinstance(answer, list)
    assert (answer[-1].finished.exit_code, answer[-1].finished.audit_position) == (7, -1)
    assert await lone.story(approval) == [(INTENT, "", None), (RESULT, "FAILED", 7)]
    assert container.runs() == 1
    assert not list(lone.settings.journal.glob("*.outcome"))


def _down(cluster: Cluster) -> Fault:
    return lambda: asyncio.to_thread(cluster.server.stop)


def _up(cluster: Cluster) -> Fault:
    async def up() -> None:
        await asyncio.to_thread(cluster.server.start)

    return up


@pytest.mark.parametrize("point", BEFORE[1:4] if LONG else ["resolve:begin"])
async def test_without_an_engine_before_the_targets_are_known_nothing_is_spent(
    site: Site, container: Container, engine_url: str, point: str
):
    command, approval = f"docker exec {container.name} /quick", new_approval()
    answer = await meets(site, command, approval, point, fault=_engine_down(engine_url), over=_engine_up(engine_url))
    assert await code_of(answer) == Code.ENGINE_UNAVAILABLE
    assert await site.story(approval) == []
    container.docker("start", container.name)
    assert container.runs() == 0
    await runs_once_more(site, command, approval)


AFTER = {
    "policy:begin": ((RECONCILED, "FAILED", None), 0),
    "spend:begin": ((RECONCILED, "FAILED", None), 0),
    "spend:end": ((RECONCILED, "FAILED", None), 0),
    # An engine that was started anew has forgotten its execs: nobody knows, whatever became of this one.
    "note:end": ((RECONCILED, "UNKNOWN", None), 0),
    "act:end": ((RESULT, "FAILED", 7), 1),
}


@pytest.mark.parametrize("point", AFTER if LONG else ["spend:end"])
async def test_without_an_engine_after_that_the_log_says_what_docker_can_know(
    site: Site, container: Container, engine_url: str, point: str
):
    expected, runs = AFTER[point]
    command, approval = f"docker exec {container.name} /quick", new_approval()
    answer = await meets(site, command, approval, point, fault=_engine_down(engine_url), over=_engine_up(engine_url))
    assert isinstance(answer, list)
    assert await site.story(approval) == [(INTENT, "", None), expected]
    container.docker("start", container.name)
    assert container.runs() == runs


def _engine_down(url: str) -> Fault:
    return lambda: _tool("stop", url)


def _engine_up(url: str) -> Fault:
    return lambda: _tool("start", url)


async def _tool(command: str, url: str) -> None:
    done = await asyncio.to_thread(_engine, command, Path(url.removeprefix("unix://")).parent.name)
    assert done.returncode == 0, done.stderr


def _takes(file: Path) -> bool:
    """Whether there is room for another page."""
    try:
        with file.open("ab", buffering=0) as end:
            end.write(bytes(4096))
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017 - nothing else is expected
        return False
    return True


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run([shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run([shutil.which("umount") or "umount", str(place)], check=True)


@pytest.mark.parametrize(
    ("point", "stays", "expected", "runs"),
    [
        # What cannot be noted is not started; what cannot be kept is asked of Docker.
        ("spend:end", True, (RECONCILED, "FAILED", None), 0),
        ("act:end", False, (RECONCILED, "FAILED", 7), 1),
    ],
)
async def test_a_full_disk_under_the_journal_loses_no_outcome(
    lone: Site,
    cluster: Cluster,
    container: Container,
    small_disk: Path,
    point: str,
    *,
    stays: bool,
    expected: tuple[object, ...],
    runs: int,
):
    site = Site(
        lone.settings.model_copy(update={"journal": small_disk / "journal"}),
        lone.database,
        lone.pki,
        lone.minter,
        lone.engine,
    )
    filler = small_disk / "filler"

    async def full() -> None:
        filler.touch()
        while _takes(filler):
            pass
        if not stays:
            await _down(cluster)()

    async def room() -> None:
        filler.unlink()
        if not stays:
            await _up(cluster)()

    command, approval = f"docker exec {container.name} /quick", new_approval()
    await meets(site, command, approval, point, fault=full, over=room)
    assert await site.story(approval) == [(INTENT, "", None), expected]
    assert container.runs() == runs
