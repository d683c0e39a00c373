"""Rotations that were cut off, at each place, and what keeps old secrets from coming back."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from wingman_cli import renewal
from wingman_cli.database import server_of
from wingman_cli.embedded_db import ROLES, SUPERUSER, Connection, EmbeddedPostgres
from wingman_cli.instance import Instance, Running
from wingman_cli.pki import Authority
from wingman_cli.rotation import certificates, passwords, procedures, token_key
from wingman_cli.rotation.local_site import LocalSite
from wingman_cli.stack.day_two import StackSite, replaced
from wingman_cli.stack.environment import Environment
from wingman_cli.stack.secrets_file import ensure_test_secrets, read
from wingman_cli.stack.starting import Stack
from wingman_cli.telegram import keep_token, kept_token, known_to_telegram, replace_token
from wingman_core.errors import Code, SettingInvalid, Unavailable


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance(tmp_path / "data")
    made.prepare(now=datetime.now(UTC))
    return made


async def settled(instance: Instance) -> None:
    async with server_of(instance) as server:
        await passwords.settle_passwords(instance, server)


async def reaches(instance: Instance, password: str) -> bool:
    async with server_of(instance) as server:
        try:
            connection = await Connection(server.host, SUPERUSER, "postgres", password).connect()
        except SettingInvalid:
            return False
        await connection.close()
        return True


async def test_passwords_that_were_cut_off_are_finished_or_forgotten(instance: Instance):
    site, old = LocalSite(instance, {}), instance.passwords()
    with EmbeddedPostgres(instance.postgres, passwords=old) as server:
        await server.prepare()
    await settled(instance)
    assert instance.passwords() == old, "there was nothing to settle"

    await site.stage_passwords()
    await settled(instance)
    assert instance.passwords() == old, "Postgres had not heard of them"

    new = await site.stage_passwords()
    await site.execute(passwords.statements(new))
    for role in ROLES[1:3]:  # some were adopted
        place = instance.directory / "secrets" / f"db-{role}"
        place.with_name(f"{place.name}.next").replace(place)
    await settled(instance)
    assert instance.passwords() == new
    assert await reaches(instance, new[SUPERUSER])
    assert not await reaches(instance, old[SUPERUSER])

    told: list[str] = []
    await procedures.rotate_passwords(site, told.append)
    assert "refused" in told[-1]
    assert not await reaches(instance, new[SUPERUSER])
    assert await reaches(instance, instance.password(SUPERUSER))


class Cut(BaseException):
    """What stops a process between two changes of its files."""


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has the change of that number, of any file, be one that never comes; 0 lets everything pass."""
    left = [0]

    def counted(do: Callable[..., object]) -> Callable[..., object]:
        def change(path: Path, *arguments: object, **options: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise Cut
            return do(path, *arguments, **options)

        return change

    for name in ("replace", "unlink"):
        monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    return lambda number: left.__setitem__(0, number)


async def hold(instance: Instance) -> bool:
    """Whether the passwords on disk are, each of them, those that Postgres knows."""
    async with server_of(instance) as server:
        for role in ROLES:
            connection = await server.connection(role, "postgres").connect()
            await connection.close()
    return list((instance.directory / "secrets").glob("*.next")) == []


@pytest.mark.parametrize("known", [False, True], ids=["forgotten", "finished"])
async def test_passwords_settle_wherever_their_change_and_its_settling_are_cut_off(
    instance: Instance, cut: Callable[[int], None], *, known: bool
):
    site, number, done = LocalSite(instance, {}), 0, False
    with EmbeddedPostgres(instance.postgres, passwords=instance.passwords()) as server:
        await server.prepare()
        while not done:  # every cut of the settling
            number += 1
            new = await site.stage_passwords()
            if known:
                await site.execute(passwords.statements(new))
            cut(number)
            with suppress(Cut):
                await settled(instance)
                done = True
            cut(0)
            await settled(instance)
            assert await hold(instance)
        assert number > len(ROLES)


@pytest.mark.parametrize("known", [False, True], ids=["forgotten", "finished"])
async def test_passwords_settle_where_an_older_version_began_with_the_superusers(instance: Instance, *, known: bool):
    site, superusers = LocalSite(instance, {}), instance.directory / "secrets" / f"db-{SUPERUSER}"
    with EmbeddedPostgres(instance.postgres, passwords=instance.passwords()) as server:
        await server.prepare()
        new = await site.stage_passwords()
        staged = superusers.with_name(f"{superusers.name}.next")
        if known:
            await site.execute(passwords.statements(new))
            staged.replace(superusers)
        else:
            staged.unlink()
        await settled(instance)
        assert await hold(instance)
        assert (instance.passwords() == new) is known


async def test_a_rotation_of_passwords_goes_on_wherever_it_was_cut_off(instance: Instance, cut: Callable[[int], None]):
    site, number, done = LocalSite(instance, {}), 0, False
    with EmbeddedPostgres(instance.postgres, passwords=instance.passwords()) as server:
        await server.prepare()
        while not done:
            number += 1
            cut(number)
            with suppress(Cut):
                await procedures.rotate_passwords(site, lambda _: None)
                done = True
            cut(0)
            if number % 4 == 1:
                await procedures.rotate_passwords(site, lambda _: None)
            await settled(instance)
            assert await hold(instance)
        assert number > 2 * len(ROLES)


async def test_the_token_key_that_was_staged_is_the_one_that_is_adopted(instance: Instance):
    old, site = instance.token_kid(), LocalSite(instance, {})
    kid = token_key.stage(instance)
    assert token_key.stage(instance) == kid
    assert {path.stem for path in instance.token_keys.iterdir()} == {old, kid}, "the gateway takes both"
    assert instance.token_kid() == old, "the API signs with the old one"
    told: list[str] = []
    await procedures.rotate_token_key(site, told.append, timedelta(0))
    assert instance.token_kid() == kid
    assert told[-1] == f"Refused from now on: {old}."
    assert [path.stem for path in instance.token_keys.iterdir()] == [kid]
    token_key.adopt(instance)
    assert (instance.token_kid(), token_key.retire(instance)) == (kid, [])


async def test_certificates_go_on_where_they_were_cut_off(instance: Instance):
    now = datetime.now(UTC)
    Authority(instance.pki, "test", now=now).issue("tool/deploy")
    old = {path.name: path.read_bytes() for path in instance.pki.glob("*.crt")}

    certificates.stage(instance, now)
    (instance.pki / "next" / "whole").unlink()
    certificates.stage(instance, now)
    coming = (instance.pki / "next" / "ca.crt").read_bytes()
    certificates.stage(instance, now)
    assert (instance.pki / "next" / "ca.crt").read_bytes() == coming
    for _ in range(2):
        certificates.trust_both(instance)
        assert (instance.pki / "ca.crt").read_bytes() == old["ca.crt"] + coming
    Authority(instance.pki, "test", now=now).issue("tool/late")  # of the old CA, which still issues
    certificates.use_new(instance)

    await procedures.rotate_certificates(LocalSite(instance, {}), lambda _: None)
    assert (instance.pki / "ca.crt").read_bytes() == coming
    authority = x509.load_pem_x509_certificate(coming)
    for name, before in old.items():
        found = x509.load_pem_x509_certificate((instance.pki / name).read_bytes())
        assert found.issuer == authority.subject
        if name != "ca.crt":
            found.verify_directly_issued_by(authority)
            was = x509.load_pem_x509_certificate(before)
            names = x509.SubjectAlternativeName
            assert found.extensions.get_extension_for_class(names) == was.extensions.get_extension_for_class(names)
            assert found.public_key() != was.public_key()
    assert Authority(instance.pki, "test", now=now).holds("gateway")
    Authority(instance.pki, "test", now=now).issue("tool/next")


def test_a_removal_of_the_next_certificates_that_was_cut_off_is_no_dead_end(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
):
    def killed(place: Path) -> None:
        (place / "ca.crt").unlink()
        (place / "ca.key").unlink()
        raise KeyboardInterrupt

    certificates.stage(instance, datetime.now(UTC))
    certificates.trust_both(instance)
    certificates.use_new(instance)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            certificates.trust_new(instance)
    certificates.stage(instance, datetime.now(UTC))
    certificates.trust_both(instance)
    certificates.use_new(instance)
    certificates.trust_new(instance)
    Authority(instance.pki, "test", now=datetime.now(UTC)).issue("tool/next")


DOCKER = """\
#!/bin/sh
[ "$*" != "compose version" ] || exit 0
cat >/dev/null
[ "$PGPASSWORD" = "$HOLDS" ] || { echo "no way in" >&2; exit 2; }
"""


async def test_staged_passwords_are_forgotten_only_where_the_old_ones_are_seen_to_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A docker that lets in whoever has the password in HOLDS; nobody, where Postgres does not run."""
    root = tmp_path / "clone"
    (root / "deploy" / "compose").mkdir(parents=True)
    (root / "deploy" / "compose" / "docker-compose.yml").touch()
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    environment = Environment.of("test", root)
    ensure_test_secrets(environment.secrets_file)
    old = read(environment.secrets_file)["POSTGRES_PASSWORD"]
    following = environment.secrets_file.with_name(".env.test.next")

    def site(holds: str) -> StackSite:
        environ = {**os.environ, "HOLDS": holds}
        return StackSite(environment, Stack(environment, environ, engine="unix:///nowhere", tell=print))

    await site(old).stage_passwords()
    staged = following.read_text()
    with pytest.raises(Unavailable, match="no way in"):
        await site("nobody's").stage_passwords()
    assert following.read_text() == staged, "they may be the ones that hold"
    told: list[str] = []
    with pytest.raises(SettingInvalid, match="is given a socket"):
        Stack(environment, os.environ, engine="tcp://nowhere:1", tell=told.append).up()
    assert "wingman rotate passwords --env test finishes it" in told[0]
    await site(old).stage_passwords()
    assert following.read_text() != staged
    # Cut off between the adoption and the containers' renewal: Postgres' container is still given the old one.
    new = read(following)["POSTGRES_PASSWORD"]
    site(new).adopt_passwords()
    await site(new).execute("SELECT 1;\n")


def test_a_bots_token_that_was_replaced_never_comes_back(instance: Instance):
    assert kept_token(instance) == ""
    assert keep_token(instance, "1:a") == "1:a"
    replace_token(instance, "1:b")
    assert keep_token(instance, "1:a") == "1:b", "an old shell says the old one"
    assert keep_token(instance, "1:c") == "1:c", "a new one that the shell says is taken"
    assert keep_token(instance, "1:b") == "1:c"
    replace_token(instance, "1:a")
    assert keep_token(instance, "1:a") == "1:a"
    assert (instance.directory / "secrets" / "bot-token").stat().st_mode & 0o777 == 0o600


async def test_telegram_that_does_not_answer_is_no_reason_to_change_anything():
    with pytest.raises(Unavailable, match="does not answer"):
        await known_to_telegram("123456:AAsecret", "http://127.0.0.1:9")


async def test_a_renewal_that_nobody_serves_any_more_is_said(instance: Instance, monkeypatch: pytest.MonkeyPatch):
    assert not await renewal.ask(instance, ["api"]), "nothing runs"
    monkeypatch.setattr(renewal, "LIMIT", 0.1)
    with instance.held():
        instance.announce(Running(1, "http://127.0.0.1:1", "127.0.0.1:2"))
        with pytest.raises(Unavailable) as caught:
            await renewal.ask(instance, ["api"])
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    shutil.rmtree(instance.directory / "run")


def test_a_secrets_file_keeps_what_people_wrote():
    text = "# theirs\nA=1\n export B = 2 \nAB=3\n"
    assert replaced(text, {"A": r"x\1y", "B": "new"}) == "# theirs\nA=x\\1y\nB=new\nAB=3\n"
    assert replaced("A=1", {"C": "3"}) == "A=1\nC=3\n"
