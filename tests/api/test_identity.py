"""Keys: their form, who holds them, what their roles may do, and when they stop working."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from secrets import token_bytes

import asyncpg
import pytest
from argon2 import PasswordHasher
from starlette.routing import Route

from tests.api.conftest import Api
from tests.conftest import Database
from wingman_api.approvals import routes as approvals
from wingman_api.claims import routes as claims
from wingman_api.events import routes as events
from wingman_api.executions import routes as executions
from wingman_api.identity import api_key
from wingman_api.identity import authenticator as authenticators
from wingman_api.identity.authenticator import REMEMBERED_KEYS, REMEMBERED_SECONDS, ROW_SECONDS, Authenticator
from wingman_api.identity.caller import PERMISSIONS, Caller, Permission, Role
from wingman_api.identity.dependencies import authenticated
from wingman_api.identity.store import KeyStore, open_key_store
from wingman_api.identity.uses import LastUse
from wingman_api.instructions import routes as instructions
from wingman_api.limits.limiter import Limiter
from wingman_api.limits.store import RateStore
from wingman_api.limits.visit import Quotas, Visit
from wingman_api.policy import routes as policy
from wingman_api.system.store import Database as Pool
from wingman_api.system.store import open_database
from wingman_core.errors import CallerRefused, Code, LimitExceeded, WingmanError
from wingman_core.quota import Quota

PUBLIC = {"/", "/health", "/livez", "/readyz", "/metrics", "/metrics/gateway"}


def test_the_public_routes_are_these_and_no_others(api: Api):
    paths = api.app.openapi()["paths"]
    assert len(paths) >= 13
    public = {path for path, ops in paths.items() for operation in ops.values() if "security" not in operation}
    assert public == PUBLIC
    undescribed = {route.path for route in api.app.router.routes if isinstance(route, Route)}
    assert undescribed == {"/openapi.json"}
    for feature in (approvals, claims, events, executions, instructions, policy):
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


MAY: dict[str | None, set[Permission]] = {
    None: {Permission.READ, Permission.REQUEST, Permission.CLAIM},
    "worker": {Permission.READ, Permission.REQUEST, Permission.CANCEL, Permission.EXECUTE, Permission.CLAIM},
    "alice": {Permission.READ, Permission.DECIDE, Permission.CLAIM},
    "auditor": {Permission.READ},
    "operator": set(Permission),
    "bot": {Permission.READ, Permission.DECIDE, Permission.CONSUME, Permission.CLAIM},
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
    Permission.CONSUME: ("GET", "/events/consumers/telegram", None),
    Permission.CLAIM: ("POST", "/log_claim", {"worker_id": "agent-7", "claim": "Done"}),
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


def authenticator_of(store: KeyStore, hasher: PasswordHasher, *, clock: Callable[[], float]) -> Authenticator:
    return Authenticator(
        store,
        uses=LastUse(store, clock=clock),
        hasher=hasher,
        now=lambda: datetime.now(UTC),
        clock=clock,
        anonymous_role=None,
    )


def visit_of(pool: Pool) -> Visit:
    """A visit that is never one too many."""
    quotas = Quotas(*(Quota.of(name, "1000000/60") for name in ("reads", "writes", "anonymous", "failures")))
    limiter = Limiter(RateStore(pool), now=lambda: datetime.now(UTC))
    return Visit(limiter, quotas, address="192.0.2.1", reads=True, fields={})


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
        authenticator = authenticator_of(store, hasher, clock=lambda: seconds[0])
        visit = visit_of(pool)
        key = await store.create("alice", Role.APPROVER)
        for _ in range(3):
            assert (await authenticator.authenticate([f"Bearer {key.text}"], visit)).person == "alice"
        assert CountingHasher.count == 1
        seconds[0] = REMEMBERED_SECONDS
        assert (await authenticator.authenticate([f"BEARER {key.text}"], visit)).role is Role.APPROVER
        assert CountingHasher.count == 2
        unknown = api_key.generate(token_bytes)
        for _ in range(2):
            with pytest.raises(CallerRefused):
                await authenticator.authenticate([f"Bearer {unknown.text}"], visit)
        assert CountingHasher.count == 4
        with pytest.raises(CallerRefused) as missing:
            await authenticator.authenticate([], visit)
        assert missing.value.code is Code.KEY_MISSING


async def test_nobody_waits_for_ever_behind_others_new_keys(
    database: Database, hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(authenticators, "TURN_SECONDS", 0.05)
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        store = KeyStore(pool, hasher=hasher, now=lambda: datetime.now(UTC), random_bytes=token_bytes)
        authenticator = authenticator_of(store, hasher, clock=lambda: 0.0)
        known, new = [await store.create("alice", Role.APPROVER) for _ in range(2)]
        await authenticator.authenticate([f"Bearer {known.text}"], visit_of(pool))
        async with authenticator._turn():
            with pytest.raises(LimitExceeded) as refused:
                await authenticator.authenticate([f"Bearer {new.text}"], visit_of(pool))
            assert refused.value.details == {"retry_after": "1"}
            await authenticator.authenticate([f"Bearer {known.text}"], visit_of(pool))
        await authenticator.authenticate([f"Bearer {new.text}"], visit_of(pool))


async def test_a_key_whose_row_was_replaced_is_hashed_again(database: Database, hasher: PasswordHasher):
    seconds = [0.0]
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        store = KeyStore(pool, hasher=hasher, now=lambda: datetime.now(UTC), random_bytes=token_bytes)
        authenticator = authenticator_of(store, hasher, clock=lambda: seconds[0])
        key = await store.create("alice", Role.APPROVER)
        await authenticator.authenticate([f"Bearer {key.text}"], visit_of(pool))
        owner = await asyncpg.connect(database.url("postgres"))
        await owner.execute("UPDATE api_key SET secret_hash = $1", hasher.hash("another"))
        seconds[0] = ROW_SECONDS
        with pytest.raises(CallerRefused, match="unknown"):
            await authenticator.authenticate([f"Bearer {key.text}"], visit_of(pool))
        await owner.execute("DELETE FROM api_key")
        await owner.close()
        with pytest.raises(CallerRefused, match="unknown"):
            await authenticator.authenticate([f"Bearer {key.text}"], visit_of(pool))


async def test_what_is_remembered_is_bounded(database: Database):
    hasher = CountingHasher(time_cost=1, memory_cost=8, parallelism=1)
    async with open_database(database.dsn("wingman_api"), database.passwords["wingman_api"]) as pool:
        store = KeyStore(pool, hasher=hasher, now=lambda: datetime.now(UTC), random_bytes=token_bytes)
        authenticator = authenticator_of(store, hasher, clock=lambda: 0.0)
        key, other = [await store.create("alice", Role.APPROVER) for _ in range(2)]
        await authenticator.authenticate([f"Bearer {key.text}"], visit_of(pool))
        known = next(iter(authenticator._known.values()))
        authenticator._known = {bytes([n >> 8, n & 255]): known for n in range(REMEMBERED_KEYS)}
        await authenticator.authenticate([f"Bearer {other.text}"], visit_of(pool))
        assert len(authenticator._known) == 1


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
