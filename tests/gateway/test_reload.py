"""Keys and policies are read again under a running gateway, and what cannot be used changes nothing."""

import asyncio
import shutil
from pathlib import Path

import pytest
import structlog

from tests.gateway.conftest import POLICIES, FakeEngine, Minter, Serve, eventually, execute, refusal
from wingman_cli.pki import create_token_key
from wingman_core.errors import Code, SettingInvalid
from wingman_gateway.reload import Reloads, Watched, stamp_of


async def test_a_new_key_counts_and_a_removed_one_does_not_while_a_call_goes_on(
    serve: Serve, engine: FakeEngine, minter: Minter, tmp_path: Path
):
    keys = tmp_path / "keys"
    shutil.copytree(minter.keys, keys)
    kid = create_token_key(tmp_path / "next.key", tmp_path / "next")
    rotated = Minter((tmp_path / "next.key").read_bytes(), kid, keys, minter.thumbprint)
    async with serve(engine, token_keys=keys) as served, served.channel() as channel:
        go_on = engine.hold()
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


class Site:
    """One watched file, and what was heard of it.

    Texts that follow each other are of different lengths: a file system may not tell two moments apart.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.used, self.told = file, list[str](), list[tuple[str, bool]]()
        self.watched = Watched("thing", lambda: [file], self.read, self.used.append)
        self.reloads = Reloads(
            [self.watched],
            interval=60,
            told=lambda what, *, usable: self.told.append((what, usable)),
            log=structlog.wrap_logger(None),
        )

    def read(self) -> str:
        if (text := self.file.read_text()) == "bad" or not self.file.stat().st_mode & 0o200:
            raise SettingInvalid(Code.SETTING_INVALID, "no")
        return text


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A file that says one."""
    (tmp_path / "file").write_text("one")
    return Site(tmp_path / "file")


async def test_what_cannot_be_read_is_said_once_and_what_was_in_force_stays(site: Site):
    await site.reloads.look()
    assert (site.used, site.told) == (["one"], [])
    site.file.write_text("three")
    await site.reloads.look()
    await site.reloads.look()
    assert (site.used, site.told) == (["one", "three"], [("thing", True)])
    site.file.write_text("bad")
    await site.reloads.look()
    await site.reloads.look()
    site.file.unlink()
    await site.reloads.look()
    await site.reloads.look()
    assert (site.used[1:], site.told) == (["three"], [("thing", True), ("thing", False), ("thing", False)])
    site.file.write_text("four")
    await site.reloads.look()
    assert site.used == ["one", "three", "four"]


async def test_a_change_between_the_first_read_and_the_first_look_is_seen(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("one")  # and read, by whoever starts
    file.write_text("three")
    site = Site(file)
    await site.reloads.look()
    assert site.used == ["three"]


async def test_a_file_is_used_once_its_mode_is_put_right(site: Site):
    await site.reloads.look()
    site.file.write_text("three")
    site.file.chmod(0o400)
    await site.reloads.look()
    assert (site.used, site.told) == (["one"], [("thing", False)])
    site.file.chmod(0o600)
    await site.reloads.look()
    assert (site.used, site.told) == (["one", "three"], [("thing", False), ("thing", True)])


async def test_what_returns_after_it_was_over_is_told_again(tmp_path: Path):
    link = tmp_path / "link"
    for name, text in (("good", "one"), ("broken", "bad")):
        (tmp_path / name).write_text(text)
    link.symlink_to("good")
    site = Site(link)
    await site.reloads.look()
    for _ in range(2):
        for target in ("broken", "good"):
            link.unlink()
            link.symlink_to(target)
            await site.reloads.look()
            await site.reloads.look()
    assert (site.used, site.told) == (["one"], [("thing", False), ("thing", False)])


def test_mode_and_owner_show_even_where_the_times_do_not(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("one")
    ((_, before),) = stamp_of([file])
    file.chmod(0o400)
    ((_, mode),) = stamp_of([file])
    assert {*mode} - {*before} >= {file.stat().st_mode}
    assert file.stat().st_uid in mode


async def test_what_is_put_right_elsewhere_is_used_without_a_change_of_the_file(site: Site):
    await site.reloads.look()
    whole, site.watched.read = site.watched.read, _cannot
    site.file.write_text("three")
    await site.reloads.look()
    await site.reloads.look()
    assert site.told == [("thing", False)]
    site.watched.read = whole
    await site.reloads.look()
    assert site.used == ["one", "three"]


def _cannot() -> str:
    raise PermissionError("a directory above it")


async def _is(value: object) -> object:
    return value
