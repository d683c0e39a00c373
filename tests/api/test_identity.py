"""Keys: their form, who holds them, what their roles may do, and when they stop working."""

import asyncio
from datetime import UTC, datetime
from secrets import token_bytes

import asyncpg
import pytest
from argon2 import PasswordHasher
from starlette.routing import Route

from tests.api.conftest import Api
from tests.conftest import Database
from wingman_api.approvals import routes as approvals
from wingman_api.executions import routes as executions
from wingman_api.identity import api_key
from wingman_api.identity.authenticator import REMEMBERED_KEYS, REMEMBERED_SECONDS, Authenticator
from wingman_api.identity.caller import PERMISSIONS, Caller, Permission, Role
from wingman_api.identity.dependencies import authenticated
from wingman_api.identity.store import KeyStore, open_key_store
from wingman_api.instructions import routes as instructions
from wingman_api.policy import routes as policy
from wingman_api.system.store import open_database
from wingman_core.errors import CallerRefused, Code, WingmanError

PUBLIC = {"/", "/health", "/livez", "/readyz"}


def test_the_public_routes_are_these_and_no_others(api: Api):
    paths = api.app.openapi()["paths"]
    assert len(paths) >= 13
    public = {path for path, ops in paths.items() for operation in ops.values() if "security" not in operation}
    assert public == PUBLIC
    undescribed = {route.path for route in api.app.router.routes if isinstance(route, Route)}
    assert undescribed == {"/openapi.json"}
    for feature in (approvals, executions, instructions, policy):
        assert [each.dependency for each in feature.router.dependencies] == [authenticated]


async def test_every_other_route_refuses_a_wrong_key_and_a_wrong_scheme(api: Api):
    for path, operations in api.app.openapi()["paths"].items():
        for method in operations:
            place = path.replace("{request_id}", f"apr_{'a' * 26}").replace("{execution_id}", f"exe_{'a' * 26}")
            for header in ("Bearer wm_x", f"Bearer wm_{'a' * 16}_{'a' * 52}", "Basic YTpi", "bearer", ""):
                response = await api.call(None, method.upper(), place, headers={"Authorization": header})
                if path in PUBLIC:
                    assert response.status_code == 200
                else:
                    assert (response.status_code, response.json()["code"]) == (401, "KEY_INVALID"), (method, path)
                    assert response.headers["www-authenticate"] == 'Bearer realm="wingman"'


async def test_two_authorization_headers_are_one_too_many(api: Api):
    good = f"Bearer {await api.key('worker')}"
    headers = [("Authorization", good), ("Authorization", good)]
    response = await api.call(None, "GET", "/approvals", headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "KEY_INVALID")


async def test_a_key_with_one_letter_changed_is_unknown(api: Api):
    key = await api.key("worker")
    assert (await api.call("worker", "GET", "/approvals")).status_code == 200
    for position in (3, len(key) - 1):
        changed = key[:position] + ("a" if key[position] != "a" else "b") + key[position + 1 :]
        response = await api.call(None, "GET", "/approvals", headers={"Authorization": f"Bearer {changed}"})
        assert (response.status_code, response.json()["code"]) == (401, "KEY_INVALID")
        assert changed not in response.text


async def test_a_revoked_key_is_refused_at_its_next_use(api: Api):
    assert (await api.call("alice", "GET", "/approvals")).status_code == 200
    await api.store.revoke((await api.key("alice")).split("_")[1])
    assert (await api.call("alice", "GET", "/approvals")).status_code == 401


async def test_a_use_is_remembered_with_its_time(api: Api):
    await api.call("alice", "GET", "/approvals")
    used = [key for key in await api.store.list() if key.person == "alice"]
    assert used[0].last_used_at is not None
    assert used[0].secret_hash.startswith("$argon2id$")


MAY: dict[str | None, set[Permission]] = {
    None: {Permission.READ, Permission.REQUEST},
    "worker": {Permission.READ, Permission.REQUEST, Permission.CANCEL, Permission.EXECUTE},
    "alice": {Permission.READ, Permission.DECIDE},
    "auditor": {Permission.READ},
    "operator": set(Permission),
    "bot": {Permission.READ, Permission.DECIDE},
}
ROUTES = {
    Permission.READ: ("GET", "/approvals", None),
    Permission.REQUEST: (
        "POST",
        "/approvals/request",
        {"worker_id": "agent-7", "task_name": "t", "instruction": "i", "commands": []},
    ),
    Permission.DECIDE: ("POST", f"/approvals/apr_{'a' * 26}/approve", {"decided_by": "alice"}),
    Permission.CANCEL: ("POST", f"/approvals/apr_{'a' * 26}/cancel", {}),
    Permission.EXECUTE: ("POST", "/executions", {"approval_id": f"apr_{'a' * 26}"}),
}


async def test_each_role_may_do_its_part_and_no_more(api: Api):
    for who, allowed in MAY.items():
        for permission, (method, path, body) in ROUTES.items():
            response = await api.call(who, method, path, json=body)
            code = response.json().get("code")
            if permission in allowed:
                assert code not in ("ROLE_MISSING", "KEY_MISSING"), (who, permission)
            elif who is None:
                assert (response.status_code, code) == (401, "KEY_MISSING"), permission
            else:
                assert (response.status_code, code) == (403, "ROLE_MISSING"), (who, permission)
                assert "use a key of role" in response.json()["hint"]


def test_every_role_has_a_row():
    assert set(PERMISSIONS) == set(Role)


def test_a_key_has_one_form():
    key = api_key.generate(token_bytes)
    assert api_key.parse(key.text) == key
    assert key.secret not in repr(key)
    for text in (
        "",
        "wm_",
        key.text + "\n",
        " " + key.text,
        key.text.upper(),
        key.text[:-1],
        key.text + "a",
        key.text.replace("_", "-"),
    ):
        with pytest.raises(CallerRefused) as refused:
            api_key.parse(text)
        assert refused.value.code is Code.KEY_INVALID
        assert key.secret not in str(refused.value)


def test_only_a_service_speaks_for_others():
    alice = Caller("alice", Role.APPROVER, "k")
    assert alice.deciding_as(None) == alice.deciding_as("alice") == ("alice", "api")
    bot = Caller("telegram", Role.SERVICE, "k", frozenset({"alice"}))
    assert bot.deciding_as("alice") == ("alice", "service")
    for caller, name in ((alice, "bob"), (bot, "bob"), (bot, None), (bot, "telegram")):
        with pytest.raises(CallerRefused) as refused:
            caller.deciding_as(name)
        assert refused.value.code is Code.PERSON_MISMATCH


@pytest.fixture
def hasher() -> PasswordHasher:
    """As cheap as argon2 can be."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


async def test_keys_are_made_listed_and_revoked(database: Database, hasher: PasswordHasher):
    at = datetime(2026, 1, 2, tzinfo=UTC)
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        store = KeyStore(pool, hasher=hasher, now=lambda: at, random_bytes=token_bytes)
        first = await store.create("alice", Role.APPROVER)
        second = await store.create("telegram", Role.SERVICE, speaks_for=["alice", "bob"])
        assert [(key.id, key.person, key.role, key.speaks_for) for key in await store.list()] == [
            (key.id, person, role, names)
            for key, person, role, names in sorted(
                [(first, "alice", Role.APPROVER, ()), (second, "telegram", Role.SERVICE, ("alice", "bob"))],
                key=lambda row: row[0].id,
            )
        ]
        await store.revoke(first.id)
        await store.revoke(first.id)
        found = await store.find(first.id)
        assert found is not None
        assert (found.revoked_at, found.created_at) == (at, at)
        assert await store.find("a" * 16) is None
        with pytest.raises(WingmanError) as unknown:
            await store.revoke("a" * 16)
        assert unknown.value.code is Code.NOT_FOUND


async def test_a_key_as_wingman_keys_makes_it_opens_the_api(api: Api, environ: dict[str, str]):
    async with open_key_store(
        environ["WINGMAN_DATABASE_URL"], environ["DB_PASSWORD"], now=api.clock.now, random_bytes=token_bytes
    ) as store:
        api.keys["eve"] = (await store.create("eve", Role.AUDITOR)).text
        assert [key.secret_hash.split("$")[3] for key in await store.list()] == ["m=19456,t=2,p=1"]
    assert (await api.call("eve", "GET", "/approvals")).status_code == 200


@pytest.mark.parametrize(
    ("person", "role", "speaks_for"),
    [
        ("", Role.WORKER, []),
        ("a b", Role.WORKER, []),
        ("-a", Role.WORKER, []),
        ("a" * 65, Role.WORKER, []),
        ("anonymous", Role.OPERATOR, []),
        ("Anonymous", Role.OPERATOR, []),
        ("alice\n", Role.APPROVER, []),
        ("telegram", Role.SERVICE, ["b b"]),
        ("alice", Role.APPROVER, ["bob"]),
    ],
)
async def test_bad_keys_are_not_made(
    database: Database, hasher: PasswordHasher, person: str, role: Role, speaks_for: list[str]
):
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        store = KeyStore(pool, hasher=hasher, now=lambda: datetime.now(UTC), random_bytes=token_bytes)
        with pytest.raises(WingmanError) as refused:
            await store.create(person, role, speaks_for=speaks_for)
        assert refused.value.code is Code.REQUEST_INVALID
        assert await store.list() == ()


class CountingHasher(PasswordHasher):
    """Counts verifications."""

    count = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002 - the library's name
        type(self).count += 1
        return super().verify(hash, password)


async def test_hashing_is_remembered_for_a_while_and_unknown_ids_cost_as_much(database: Database):
    seconds = [0.0]
    hasher = CountingHasher(time_cost=1, memory_cost=8, parallelism=1)
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        store = KeyStore(pool, hasher=hasher, now=lambda: datetime.now(UTC), random_bytes=token_bytes)
        authenticator = Authenticator(store, hasher=hasher, clock=lambda: seconds[0], anonymous_role=None)
        key = await store.create("alice", Role.APPROVER)
        for _ in range(3):
            assert (await authenticator.authenticate([f"Bearer {key.text}"])).person == "alice"
        assert CountingHasher.count == 1
        seconds[0] = REMEMBERED_SECONDS
        assert (await authenticator.authenticate([f"BEARER {key.text}"])).role is Role.APPROVER
        assert CountingHasher.count == 2
        unknown = api_key.generate(token_bytes)
        for _ in range(2):
            with pytest.raises(CallerRefused):
                await authenticator.authenticate([f"Bearer {unknown.text}"])
        assert CountingHasher.count == 4
        with pytest.raises(CallerRefused) as missing:
            await authenticator.authenticate([])
        assert missing.value.code is Code.KEY_MISSING


async def test_what_is_remembered_is_bounded(database: Database):
    hasher = CountingHasher(time_cost=1, memory_cost=8, parallelism=1)
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        store = KeyStore(pool, hasher=hasher, now=lambda: datetime.now(UTC), random_bytes=token_bytes)
        authenticator = Authenticator(store, hasher=hasher, clock=lambda: 0.0, anonymous_role=None)
        key = await store.create("alice", Role.APPROVER)
        authenticator._remembered = {bytes([n >> 8, n & 255]): 1.0 for n in range(REMEMBERED_KEYS)}
        await authenticator.authenticate([f"Bearer {key.text}"])
        assert len(authenticator._remembered) == 1


async def test_many_first_uses_at_once_all_pass(api: Api):
    await api.key("alice")
    responses = await asyncio.gather(*(api.call("alice", "GET", "/approvals") for _ in range(20)))
    assert {response.status_code for response in responses} == {200}


async def test_the_database_keeps_only_hashed_keys(api: Api):
    with pytest.raises(asyncpg.CheckViolationError):
        await api.sql(
            "INSERT INTO api_key (id, person, role, secret_hash, created_at) VALUES ($1, 'x', 'worker', $2, now())",
            "a" * 16,
            "plain",
        )
