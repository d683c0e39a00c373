"""Keys over their lives: rotated, ended, revoked, spoken with, used; on every API of one database."""

import asyncio
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from typing import Any

import asyncpg
import pytest
from argon2 import PasswordHasher

from tests.api.conftest import PEOPLE, Api, eventually
from tests.conftest import Database
from wingman_api.identity.caller import PERMISSIONS, Role
from wingman_api.identity.store import KeyStore
from wingman_api.identity.uses import EVERY_SECONDS, MOST_KEYS, LastUse
from wingman_api.system.store import open_database
from wingman_core.errors import CallerRefused, Code, Unavailable, WingmanError

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def bearer(key: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {key}"}}


def id_of(key: str) -> str:
    return key.split("_")[1]


async def refused(api: Api, key: str) -> str | None:
    """The detail of a refusal, None while the key still works."""
    response = await api.call(None, "GET", "/whoami", **bearer(key))
    if response.status_code == 200:
        return None
    assert (response.status_code, response.json()["code"]) == (401, "KEY_INVALID")
    return str(response.json()["detail"])


@pytest.fixture
def stored(api: Api) -> KeyStore:
    """The store that the test's keys are in."""
    return api.store


async def test_a_rotated_key_is_the_same_caller_and_the_old_one_ends_after_the_overlap(
    api: Api, another: Api, stored: KeyStore
):
    old = await api.key("bot")
    new = (await stored.rotate(id_of(old), overlap=HOUR)).text
    for each in (api, another):
        for key in (old, new):
            view = (await each.call(None, "GET", "/whoami", **bearer(key))).json()
            assert (view["person"], view["role"], view["speaks_for"]) == ("telegram", "service", ["alice", "bob"])
            assert view["key_id"] == id_of(key)
            assert (view["expires_at"] is None) is (key is new)
    api.clock.ahead = HOUR - timedelta(minutes=1)
    assert [await refused(each, old) for each in (api, another)] == [None, None]
    api.clock.ahead = HOUR
    assert [await refused(each, old) for each in (api, another)] == ["the key is expired"] * 2
    assert [await refused(each, new) for each in (api, another)] == [None, None]


async def test_without_an_overlap_the_old_key_ends_at_once(api: Api, another: Api, stored: KeyStore):
    old = await api.key("alice")
    assert [await refused(each, old) for each in (api, another)] == [None, None]
    new = await stored.rotate(id_of(old), overlap=timedelta())
    for each in (api, another):
        assert await eventually(lambda each=each: refused(each, old)) == "the key is expired"
    assert await refused(api, new.text) is None


async def test_a_revoked_key_is_refused_within_seconds_on_every_api(api: Api, another: Api, stored: KeyStore):
    key = await api.key("alice")
    assert [await refused(each, key) for each in (api, another)] == [None, None]
    await stored.revoke(id_of(key))
    for each in (api, another):
        assert await eventually(lambda each=each: refused(each, key), seconds=3) == "the key is revoked"


async def test_who_a_service_speaks_for_changes_within_seconds(api: Api, another: Api, stored: KeyStore):
    key = id_of(await api.key("bot"))
    request_id = (await api.asked())["request"]["id"]
    assert (await another.decide("bot", request_id, "approve", decided_by="carol")).json()["code"] == "PERSON_MISMATCH"
    assert await stored.speak_for(key, add=["carol", "carol"], remove=["alice", "nobody"]) == ("bob", "carol")

    async def people() -> bool | None:
        view = (await another.call("bot", "GET", "/whoami")).json()
        return view["speaks_for"] == ["bob", "carol"] or None

    assert await eventually(people, seconds=3)
    assert (await another.decide("bot", request_id, "approve", decided_by="alice")).json()["code"] == "PERSON_MISMATCH"
    assert (await another.decide("bot", request_id, "approve", decided_by="carol")).json()["status"] == "APPROVED"


async def test_a_key_with_a_life_of_its_own_ends_by_itself(api: Api, stored: KeyStore):
    key = await stored.create("alice", Role.APPROVER, lifetime=90 * DAY)
    api.clock.ahead = 90 * DAY - timedelta(seconds=5)
    assert await refused(api, key.text) is None
    api.clock.ahead = 90 * DAY + timedelta(seconds=5)
    assert await refused(api, key.text) == "the key is expired"


async def test_why_a_key_is_refused_is_told_to_its_holder_alone(api: Api, stored: KeyStore):
    key = await stored.create("alice", Role.APPROVER)
    await stored.revoke(key.id)
    assert await refused(api, key.text) == "the key is revoked"
    guess = key.text[:-1] + ("a" if key.text[-1] != "a" else "q")
    assert await refused(api, guess) == "the key is unknown"
    assert await refused(api, f"wm_{'a' * 16}_{'a' * 52}") == "the key is unknown"


@pytest.fixture
def hasher() -> PasswordHasher:
    """As cheap as argon2 can be."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


AT = datetime(2026, 1, 2, tzinfo=UTC)


async def test_a_successor_lives_as_long_as_the_old_key_was_meant_to(database: Database, hasher: PasswordHasher):
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        store = KeyStore(pool, hasher=hasher, now=lambda: AT, random_bytes=token_bytes)
        first = await store.create("alice", Role.APPROVER, lifetime=90 * DAY)
        second = await store.rotate(first.id, overlap=HOUR)
        third = await store.rotate(first.id, overlap=DAY, lifetime=7 * DAY)
        fourth = await store.rotate(third.id, overlap=30 * DAY)
        ends = {key.id: key.expires_at for key in await store.list()}
        assert ends == {
            first.id: AT + HOUR,
            second.id: AT + 90 * DAY,
            third.id: AT + 7 * DAY,
            fourth.id: AT + 7 * DAY,
        }, "an end comes earlier, and never later"


async def test_what_ended_is_not_rotated_back_to_life(database: Database, hasher: PasswordHasher):
    now = [AT]
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        store = KeyStore(pool, hasher=hasher, now=lambda: now[0], random_bytes=token_bytes)
        revoked, expired = [await store.create("alice", Role.APPROVER, lifetime=DAY) for _ in range(2)]
        await store.revoke(revoked.id)
        now[0] = AT + DAY
        for key in (revoked, expired):
            with pytest.raises(CallerRefused) as refusal:
                await store.rotate(key.id, overlap=HOUR)
            assert refusal.value.code is Code.KEY_INVALID
        assert len(await store.list()) == 2


async def test_keys_that_are_unknown_or_of_another_role_are_left_alone(database: Database, hasher: PasswordHasher):
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        store = KeyStore(pool, hasher=hasher, now=lambda: AT, random_bytes=token_bytes)
        approver = await store.create("alice", Role.APPROVER)
        service = await store.create("bot", Role.SERVICE, speaks_for=["alice"])
        for change, code in (
            (store.rotate("a" * 16, overlap=HOUR), Code.NOT_FOUND),
            (store.speak_for("a" * 16, add=["bob"]), Code.NOT_FOUND),
            (store.speak_for(approver.id, add=["bob"]), Code.REQUEST_INVALID),
            (store.speak_for(service.id, add=["b b"]), Code.REQUEST_INVALID),
            (store.speak_for(service.id, add=["anonymous"]), Code.REQUEST_INVALID),
        ):
            with pytest.raises(WingmanError) as refusal:
                await change
            assert refusal.value.code is code
        assert await store.speak_for(service.id, remove=["alice"]) == ()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE api_key SET expires_at = expires_at + interval '1 s'",
        "UPDATE api_key SET expires_at = NULL",
        "UPDATE api_key SET revoked_at = NULL",
        "UPDATE api_key SET revoked_at = revoked_at + interval '1 s'",
    ],
)
async def test_the_database_itself_prolongs_no_key(api: Api, stored: KeyStore, change: str):
    key = await stored.create("alice", Role.APPROVER, lifetime=DAY)
    await stored.revoke(key.id)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await api.sql(change)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE api_key SET role = 'operator'",
        "UPDATE api_key SET person = 'mallory'",
        "UPDATE api_key SET secret_hash = '$argon2id$x'",
        "UPDATE api_key SET lifetime = NULL",
        "DELETE FROM api_key",
    ],
)
async def test_the_apis_role_cannot_make_another_key_of_a_key(api: Api, stored: KeyStore, change: str):
    await stored.create("alice", Role.APPROVER)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await api.sql(change)


@pytest.mark.parametrize("who", [None, *PEOPLE])
async def test_whoami_says_what_the_key_is_good_for(api: Api, who: str | None):
    view = (await api.call(who, "GET", "/whoami")).json()
    if who is None:
        assert view == {
            "person": "anonymous",
            "role": "worker",
            "permissions": ["claim", "read", "request"],
            "speaks_for": [],
            "key_id": None,
            "expires_at": None,
        }
        return
    person, role, speaks_for = PEOPLE[who]
    assert view == {
        "person": person,
        "role": role,
        "permissions": sorted(PERMISSIONS[role]),
        "speaks_for": list(speaks_for),
        "key_id": id_of(await api.key(who)),
        "expires_at": None,
    }


async def test_a_use_is_stored_soon_and_to_the_minute(api: Api, another: Api, stored: KeyStore):
    key_id = id_of(await api.key("alice"))

    async def last_use() -> datetime | None:
        key = await stored.find(key_id)
        assert key is not None
        return key.last_used_at

    assert await last_use() is None
    await api.call("alice", "GET", "/whoami")
    first = await eventually(last_use)
    await another.call("alice", "GET", "/whoami")
    await stored.used([key_id])
    assert await last_use() == first, "once a minute, over all processes"
    api.clock.ahead = timedelta(minutes=1)
    await stored.used([key_id])
    assert await last_use() > first


class Noted:
    """Stores uses in memory, or does not."""

    def __init__(self) -> None:
        self.stored: asyncio.Queue[set[str]] = asyncio.Queue()
        self.down = False

    async def used(self, key_ids: Any) -> None:  # noqa: ANN401
        self.stored.put_nowait(set(key_ids))
        if self.down:
            raise Unavailable(Code.DATABASE_UNAVAILABLE, "down")


async def test_uses_are_noted_once_a_minute_and_again_after_an_outage():
    seconds, noted = [1.0], Noted()
    uses = LastUse(noted, clock=lambda: seconds[0])
    running = asyncio.create_task(uses.run())
    for key in ("a", "b", "a"):
        uses.note(key)
    assert await noted.stored.get() == {"a", "b"}
    uses.note("a")
    noted.down = True
    seconds[0] += EVERY_SECONDS
    uses.note("a")
    assert await noted.stored.get() == {"a"}
    await asyncio.sleep(0)
    noted.down = False
    uses.note("a")
    assert await noted.stored.get() == {"a"}
    assert noted.stored.empty()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_what_is_noted_is_bounded():
    uses = LastUse(Noted(), clock=lambda: 0.0)
    for number in range(MOST_KEYS + 1):
        uses.note(str(number))
    assert len(uses._noted) == 1
