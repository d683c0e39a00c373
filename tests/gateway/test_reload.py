"""Keys and policies are read again under a running gateway, and what cannot be used changes nothing."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from tests.gateway.conftest import POLICIES, FakeEngine, Minter, Serve, eventually, execute, refusal
from wingman_cli.pki import create_token_key
from wingman_core.errors import Code, SettingInvalid
from wingman_gateway.engine.events import Event, Exit, Note
from wingman_gateway.reload import Reloads, Watched


async def test_a_new_key_counts_and_a_removed_one_does_not_while_a_call_goes_on(
    serve: Serve, engine: FakeEngine, minter: Minter, tmp_path: Path
):
    keys = tmp_path / "keys"
    shutil.copytree(minter.keys, keys)
    kid = create_token_key(tmp_path / "next.key", tmp_path / "next")
    rotated = Minter((tmp_path / "next.key").read_bytes(), kid, keys, minter.thumbprint)
    go_on = asyncio.Event()

    async def hold(_execution_id: str, _note: Note) -> AsyncIterator[Event]:
        await go_on.wait()
        yield Exit(0)

    async with serve(engine, token_keys=keys) as served, served.channel() as channel:
        engine.script = hold
        call = asyncio.create_task(execute(channel, minter.mint("docker stop web", engine), "docker stop web"))
        await eventually(lambda: _is(engine.acts))
        refused = await refusal(execute(channel, rotated.mint("docker stop db", engine), "docker stop db"))
        assert refused.reason == Code.TOKEN_KEY_UNKNOWN
        shutil.copy(tmp_path / "next" / f"{kid}.pem", keys)
        go_on.set()
        await eventually(lambda: _accepts(execute(channel, rotated.mint("docker stop db", engine), "docker stop db")))
        assert (await execute(channel, minter.mint("docker stop db", engine), "docker stop db")).finished.exit_code == 0
        (keys / f"{minter.kid}.pem").unlink()
        await eventually(lambda: _refuses(execute(channel, minter.mint("docker stop db", engine), "docker stop db")))
        (keys / f"{kid}.pem").unlink()  # no key at all cannot be meant: the last one stays in force
        (keys / "other.pem").write_text("no key")
        assert (
            await execute(channel, rotated.mint("docker stop db", engine), "docker stop db")
        ).finished.exit_code == 0
        assert (await call).finished.exit_code == 0


async def _accepts(call: object) -> bool:
    try:
        await call  # type: ignore[misc]
    except Exception:  # noqa: BLE001 - not yet
        return False
    return True


async def _refuses(call: object) -> bool:
    return not await _accepts(call)


async def test_a_changed_policy_is_judged_by_and_a_broken_one_is_not(
    serve: Serve, engine: FakeEngine, minter: Minter, tmp_path: Path
):
    policies = tmp_path / "policies"
    shutil.copytree(POLICIES, policies)
    file = policies / "test.cedar"
    agents = 'principal == Worker::"agent", action == Action::"stop", resource'
    forbids = f'\n@id("freeze") @reason("A freeze.") forbid ({agents});\n'
    async with serve(engine, policy_dir=policies) as served, served.channel() as channel:
        await execute(channel, minter.mint("docker stop web", engine), "docker stop web")
        whole = file.read_text()
        file.write_text(whole + forbids)
        await eventually(lambda: _refuses(execute(channel, minter.mint("docker stop web", engine), "docker stop web")))
        file.write_text(whole + "permit (")
        refused = await refusal(execute(channel, minter.mint("docker stop web", engine), "docker stop web"))
        assert refused.reason == Code.POLICY_FORBIDS
        file.write_text(whole)
        await eventually(lambda: _accepts(execute(channel, minter.mint("docker stop web", engine), "docker stop web")))


async def test_what_cannot_be_read_is_said_once_and_what_was_in_force_stays(tmp_path: Path):
    file, used, told = tmp_path / "file", [], []
    file.write_text("one")

    def read() -> str:
        if (text := file.read_text()) == "bad":
            raise SettingInvalid(Code.SETTING_INVALID, "no")
        return text

    watched = Watched("thing", lambda: [file], read, used.append)
    reloads = Reloads(
        [watched],
        interval=60,
        told=lambda what, *, usable: told.append((what, usable)),
        log=structlog.wrap_logger(None),
    )
    await reloads.look()
    assert (used, told) == ([], [])
    file.write_text("three")
    await reloads.look()
    await reloads.look()
    assert (used, told) == (["three"], [("thing", True)])
    file.write_text("bad")
    await reloads.look()
    await reloads.look()
    file.unlink()
    await reloads.look()
    assert (used, told) == (["three"], [("thing", True), ("thing", False), ("thing", False)])
    file.write_text("four")
    await reloads.look()
    assert used == ["three", "four"]


async def _is(value: object) -> object:
    return value
