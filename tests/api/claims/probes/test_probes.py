"""Every kind of assertion finds its probe, within its time and its turn, and settings say where looking is allowed."""

import asyncio
import threading
import typing
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.api.claims.probes.conftest import FakeGateway, Places
from wingman_api.claims.finding import Finding, Probes
from wingman_api.claims.probes import probes as module
from wingman_api.claims.probes.files import NotAllowed
from wingman_api.claims.probes.probes import kind_of, open_probes
from wingman_api.claims.probes.threads import THREADS, Stop, open_threads
from wingman_api.settings import Settings, load
from wingman_core.assertions import (
    Assertion,
    ContainerHealthy,
    ContainerImage,
    ContainerRestarted,
    ContainerRunning,
    ContainerStopped,
    FileChanged,
    FileContains,
    FileDigest,
    FileExists,
    FileGone,
    GitBranch,
    GitClean,
    GitCommit,
    HttpAnswer,
    PackageInstalled,
    PortClosed,
    PortListening,
    ProcessGone,
    ProcessRunning,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
PATH = "/nowhere/at/all"
EACH: list[tuple[Assertion, str]] = [
    (FileExists(path=PATH), "file"),
    (FileGone(path=PATH), "file"),
    (FileChanged(path=PATH, since=NOW), "file"),
    (FileContains(path=PATH, text="x"), "file"),
    (FileDigest(path=PATH, sha256="0" * 64), "file"),
    (ProcessRunning(name="x"), "process"),
    (ProcessGone(name="x"), "process"),
    (PortListening(port=1), "port"),
    (PortClosed(port=1), "port"),
    (HttpAnswer(url="http://127.0.0.1:1/"), "http"),
    (ContainerRunning(container="kept"), "container"),
    (ContainerStopped(container="kept"), "container"),
    (ContainerHealthy(container="kept"), "container"),
    (ContainerImage(container="kept", image="x"), "container"),
    (ContainerRestarted(container="kept", since=NOW), "container"),
    (GitBranch(path=PATH, branch="x"), "git"),
    (GitCommit(path=PATH, commit="0" * 7), "git"),
    (GitClean(path=PATH), "git"),
    (PackageInstalled(name="x"), "package"),
]


def _settings(tmp_path: Path, **claims: str) -> Settings:
    keys = tmp_path / "keys"
    keys.mkdir(exist_ok=True)
    environ = {
        "WINGMAN_ENVIRONMENT": "test",
        "WINGMAN_API_LISTEN": "127.0.0.1:0",
        "WINGMAN_DATABASE_URL": "postgresql://x@db/x",
        "DB_PASSWORD": "x",
        "WINGMAN_GATEWAY_ADDRESS": "127.0.0.1:1",
        **{f"WINGMAN_TLS_{name}": str(keys / f"tls.{name.lower()}") for name in ("CERT", "KEY", "CA")},
        "WINGMAN_TOKEN_KEY": str(keys / "token"),
        "WINGMAN_TOKEN_KID": "k",
        "WINGMAN_CLAIMS_LEDGER": str(tmp_path / "claims.jsonl"),
    }
    return load(environ | {f"WINGMAN_CLAIM_{name.upper()}": value for name, value in claims.items()})


Opened = Callable[..., AbstractAsyncContextManager[Probes]]


@pytest.fixture
def opened(tmp_path: Path, gateway: FakeGateway) -> Opened:
    @asynccontextmanager
    async def opening(**claims: str) -> AsyncIterator[Probes]:
        async with open_probes(_settings(tmp_path, **claims), gateway, lambda: NOW) as probes:
            yield probes

    return opening


def test_every_kind_of_assertion_is_here():
    union = typing.get_args(typing.get_args(Assertion)[0])
    assert {type(each) for each, _ in EACH} == set(union)


@pytest.mark.parametrize(("assertion", "kind"), EACH, ids=lambda each: getattr(each, "kind", ""))
async def test_by_default_nothing_is_allowed_and_nothing_is_known(
    opened: Opened, gateway: FakeGateway, assertion: Assertion, kind: str
):
    from wingman_core.errors import Code, PolicyRefused

    gateway.states["kept"] = PolicyRefused(Code.POLICY_FORBIDS, "no")
    assert kind_of(assertion) == kind
    async with opened() as probes:
        finding = await probes.look(assertion)
    assert (finding.assertion, finding.outcome, finding.probe, finding.at) == (assertion, "unknown", kind, NOW)
    assert finding.seen.endswith(".")


async def test_settings_open_what_they_name(opened: Opened, places: Places, gateway: FakeGateway):
    (places.inside / "file").write_text("x")
    (places.inside / "hidden").mkdir()
    async with opened(roots=f"{places.inside}: {places.outside} :", hidden=f"{places.inside}/hidden", machine="1") as p:
        for assertion, outcome in (
            (FileExists(path="file"), "confirmed"),
            (FileGone(path=str(places.outside / "none")), "confirmed"),
            (FileExists(path="hidden"), "unknown"),
            (PortClosed(port=1), "confirmed"),
            (ProcessGone(name="wm-nobody-is-so-called"), "confirmed"),
            (PackageInstalled(name="pydantic"), "confirmed"),
        ):
            assert (await p.look(assertion)).outcome == outcome, assertion


async def test_hosts_are_opened_by_name_and_port(opened: Opened):
    async with opened(hosts="127.0.0.1:1") as probes:
        assert (await probes.look(HttpAnswer(url="http://127.0.0.1:1/"))).outcome == "contradicted"
        assert (await probes.look(HttpAnswer(url="http://127.0.0.1:2/"))).outcome == "unknown"


async def test_the_processes_own_keys_are_hidden_wherever_the_roots_are(opened: Opened, tmp_path: Path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "token").write_text("secret")
    (tmp_path / "other").write_text("x")
    async with opened(roots=str(tmp_path)) as probes:
        assert (await probes.look(FileExists(path="other"))).outcome == "confirmed"
        for claim in (FileContains(path="keys/token", text="s"), FileExists(path="keys"), FileGone(path="keys/none")):
            found = await probes.look(claim)
            assert (found.outcome, found.seen) == ("unknown", str(NotAllowed()))


async def test_a_look_that_takes_too_long_is_unknown_and_the_next_has_its_turn(
    opened: Opened, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
):
    stuck: set[str] = set()
    most = 0

    async def never(container: str) -> None:
        nonlocal most
        stuck.add(container)
        most = max(most, len(stuck))
        try:
            await asyncio.Event().wait()
        finally:
            stuck.remove(container)

    monkeypatch.setattr(module, "SECONDS", 0.2)
    gateway.observe_state = never  # type: ignore[assignment]
    number = 2 * module.AT_ONCE["container"]
    async with opened() as probes:
        looks = [probes.look(ContainerRunning(container=f"c{each}")) for each in range(number)]
        findings = await asyncio.gather(*looks)
        assert {(each.outcome, each.seen) for each in findings} == {("unknown", module.TOO_LONG)}
        assert most == module.AT_ONCE["container"]
        assert not stuck
        del gateway.observe_state
        assert (await probes.look(ContainerStopped(container="none"))).outcome == "confirmed"


@pytest.mark.parametrize("error", [RuntimeError("hunter2"), OSError("hunter2"), ValueError("hunter2")])
async def test_a_probe_that_breaks_says_so_and_nothing_else(opened: Opened, gateway: FakeGateway, error: Exception):
    async def broken(_container: str) -> None:
        raise error

    gateway.observe_state = broken  # type: ignore[assignment]
    async with opened() as probes:
        finding: Finding = await probes.look(ContainerRunning(container="web"))
    assert (finding.outcome, finding.seen) == ("unknown", module.BROKE)


async def test_looks_that_hang_take_no_more_threads_than_there_are():
    go_on, started = threading.Event(), threading.Semaphore(0)

    def hang(_stop: Stop) -> None:
        started.release()
        go_on.wait(30)

    async with open_threads() as threads:
        looks = [asyncio.ensure_future(threads.run(hang)) for _ in range(3 * THREADS)]
        for _ in range(THREADS):
            await asyncio.to_thread(started.acquire)
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        assert not started.acquire(blocking=False)
        go_on.set()


async def test_a_look_is_told_when_nobody_waits_any_more():
    told, started = threading.Event(), threading.Event()

    def look(stop: Stop) -> None:
        started.set()
        if stop.wait(30):
            told.set()

    async with open_threads() as threads:
        running = asyncio.ensure_future(threads.run(look))
        await asyncio.to_thread(started.wait)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert await asyncio.to_thread(told.wait, 30)
