"""Every secret of a running instance is replaced under load: nothing is lost, and the old ones open nothing."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import grpc
import pytest

from tests.bot.telegram_server.client import Telegram, telegram_server
from tests.bot.telegram_server.wire import Chat, Person
from tests.cli.load import replaced_key, under_load
from tests.cli.running import Up, wingman
from tests.e2e.test_telegram import variables
from tests.gateway.conftest import execute, new_approval, refusal
from wingman_cli.embedded_db import ROLES
from wingman_cli.instance import Instance
from wingman_core.capability import audience_of, issuer_of, mint
from wingman_core.claims import Claims
from wingman_core.errors import Code
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class World:
    """One instance with a bot, and a copy of its secrets as they were at first."""

    up: Up
    instance: Instance
    old: Instance
    telegram: Telegram
    alice: Person
    chat: Chat

    def rotate(self, *words: str, **shell: str) -> str:
        """Rotate under load; nothing of that may be lost."""
        key = self.instance.api_key_file("operator").read_text().strip()
        with under_load(self.up.api, lambda: key) as load:
            assert load.began.wait(60)
            done = wingman(self.up.data_dir, "rotate", *words, **shell)
            told = load.done
            load.on(60)
        assert done.returncode == 0, done.stderr + self.up.text
        assert load.lost == []
        assert load.done > told > 0, "it went on before and after"
        return done.stdout

    def host(self) -> str:
        """Where Postgres listens."""
        return (self.instance.postgres / "postmaster.pid").read_text().splitlines()[4]

    def channel(self, instance: Instance, stem: str = "api") -> grpc.aio.Channel:
        """A channel to the gateway with a certificate of the instance, or of what it was."""
        key, chain, ca = (
            (place / name).read_bytes()
            for place, name in (
                (instance.pki, f"{stem}.key"),
                (instance.pki, f"{stem}.crt"),
                (self.instance.pki, "ca.crt"),
            )
        )
        running = self.instance.running()
        assert running
        return grpc.aio.secure_channel(running.gateway, grpc.ssl_channel_credentials(ca, key, chain))


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, engine_url: str) -> AsyncIterator[World]:
    place = tmp_path_factory.mktemp("rotation")
    async with telegram_server() as telegram:
        alice = await telegram.person("Alice")
        chat = await telegram.group("Ops", alice)
        up = Up(place / "data", WINGMAN_DOCKER_HOST=engine_url, **variables(telegram, chat, (alice, "alice")))
        try:
            up.ready()
            assert wingman(place / "data", "pki", "issue", "tool/deploy").returncode == 0
            for name in ("secrets", "pki", "token-keys"):
                shutil.copytree(place / "data" / name, place / "old" / name)
            yield World(up, Instance(place / "data"), Instance(place / "old"), telegram, alice, chat)
        finally:
            assert up.stop() == 0


async def test_passwords(world: World):
    thief = await asyncpg.connect(
        host=world.host(), user="wingman_api", database="wingman", password=world.old.password("wingman_api")
    )
    said = world.rotate("passwords")
    assert "5 roles have a new password" in said
    with pytest.raises(asyncpg.PostgresError):
        await thief.fetch("SELECT 1")
    for role in ROLES:
        assert world.instance.password(role) != world.old.password(role)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(
                host=world.host(), user=role, database="wingman", password=world.old.password(role), timeout=10
            )
        connection = await asyncpg.connect(
            host=world.host(), user=role, database="wingman", password=world.instance.password(role), timeout=10
        )
        await connection.close()
    assert list((world.instance.directory / "secrets").glob("*.next")) == []


async def test_token_key(world: World):
    said = world.rotate("token-key", "--overlap", "5s")
    assert f"Refused from now on: {world.old.token_kid()}" in said
    assert [path.stem for path in world.instance.token_keys.iterdir()] == [world.instance.token_kid()]
    assert world.instance.token_kid() != world.old.token_kid()
    now = datetime.now(UTC)
    for instance, reason in ((world.old, Code.TOKEN_KEY_UNKNOWN), (world.instance, Code.TOKEN_CLIENT)):
        claims = Claims(
            iss=issuer_of("test"),
            aud=audience_of("test"),
            sub="agent",
            iat=int(now.timestamp()),
            nbf=int(now.timestamp()),
            exp=int((now + timedelta(seconds=60)).timestamp()),
            jti="1" * 32,
            apr=new_approval(),
            env="test",
            op="1" * 64,
            tgt="2" * 64,
            dec="3" * 64,
            by=(),
            thumbprint="4" * 64,
        )
        token = mint(claims, instance.token_key.read_text(), instance.token_kid())
        async with world.channel(world.instance, "tool-deploy") as channel:
            assert (await refusal(execute(channel, token, "docker ps"))).reason == reason


async def test_certificates(world: World):
    said = world.rotate("certificates")
    assert "Certificates of the old CA are refused" in said
    async with world.channel(world.instance, "tool-deploy") as channel:
        await asyncio.wait_for(channel.channel_ready(), 20)
    async with world.channel(world.old, "tool-deploy") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ExecutionGatewayStub(channel).Preview(pb.PreviewRequest(command="docker ps"), timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE, "no handshake"
    assert not (world.instance.pki / "next").exists()
    issued = wingman(world.up.data_dir, "pki", "issue", "tool/other")
    assert issued.returncode == 0, "the new CA issues"


async def test_api_keys(world: World):
    def keys(*words: str) -> str:
        done = wingman(world.up.data_dir, "keys", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert replaced_key(world.up.api, keys).lost == []


async def test_bot_token(world: World):
    old = world.telegram.token
    new = await world.telegram.revoke()
    shell = {"WINGMAN_TELEGRAM_API": world.telegram.url}
    for bad, word in ((old, "no new token"), ("5:AAother", "no new token"), (f"{new}x", "does not know this token")):
        wrong = wingman(world.up.data_dir, "rotate", "bot-token", BOT_TOKEN=bad, **shell)
        assert (wrong.returncode, word in wrong.stderr, bad in wrong.stderr) == (2, True, False), wrong.stderr
    said = world.rotate("bot-token", BOT_TOKEN=new, **shell)
    assert "uses the new token" in said
    await world.telegram.says(world.alice, world.chat, "/status")
    await world.telegram.message(world.chat, lambda m: "Wingman is" in m.text, seconds=60)
    printed = "".join(path.read_text() for path in (world.up.data_dir / "logs").iterdir()) + world.up.text
    assert old.partition(":")[2] not in printed
    assert new.partition(":")[2] not in printed
