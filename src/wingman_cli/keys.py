"""``wingman keys create | list | rotate | speaks-for | revoke``: API keys, through the API's own store and role."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wingman_cli.durations import duration
from wingman_cli.options import Json
from wingman_cli.screen import Screen, visible
from wingman_cli.session import Session
from wingman_core.errors import Code, SettingInvalid

if TYPE_CHECKING:
    from wingman_api.identity.api_key import ApiKey
    from wingman_api.identity.store import KeyStore, StoredKey
    from wingman_cli.embedded_db import Connection

ROLE = "wingman_api"
TABLE = "api_key"

Save = Annotated[Path | None, typer.Option(help="Write the key to this file (0600) instead of showing it.")]
Expires = Annotated[str, typer.Option(help="How long the key is valid, such as 90d (default: until it is revoked).")]
KeyId = Annotated[str, typer.Argument(help="The key's id, without its secret.")]


def create(  # noqa: PLR0913 - options of a command line
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="Whose key it is: what decisions and requests will be signed with.")],
    *,
    role: Annotated[str, typer.Option("--role", "-r", help="worker, approver, auditor, operator or service.")],
    speaks_for: Annotated[
        list[str] | None, typer.Option(help="For a service: a person it may decide for; repeat.")
    ] = None,
    expires: Expires = "",
    save: Save = None,
    as_json: Json = False,
) -> None:
    """Make a key; its secret is seen this once."""
    from wingman_api.identity.caller import Role

    session: Session = context.obj
    try:
        known = Role(role)
    except ValueError:
        raise SettingInvalid(Code.SETTING_INVALID, f"{role!a} is no role", hint=f"use {', '.join(Role)}") from None
    lifetime = _lifetime(expires)
    _require_new(save)

    async def make() -> "ApiKey":
        async with stored(session) as store:
            return await store.create(person, known, speaks_for=speaks_for or (), lifetime=lifetime)

    facts = {"person": person, "role": known.value}
    _hand_over(asyncio.run(make()), f"of {person} ({known})", facts, save=save, as_json=as_json)


def rotate(  # noqa: PLR0913 - options of a command line
    context: typer.Context,
    key_id: KeyId,
    *,
    overlap: Annotated[
        str, typer.Option(help="How long the old key still works: time to put the new one to use.")
    ] = "1h",
    expires: Annotated[
        str, typer.Option(help="How long the new key is valid (default: as long as the old one was meant to be).")
    ] = "",
    save: Save = None,
    as_json: Json = False,
) -> None:
    """Make another key for the same use, and end this one after an overlap."""
    session: Session = context.obj
    _require_new(save)
    both, lifetime = duration(overlap, "--overlap"), _lifetime(expires)

    async def make() -> "ApiKey":
        async with stored(session) as store:
            return await store.rotate(key_id, overlap=both, lifetime=lifetime)

    about = f"instead of {key_id}, which works for {overlap} more,"
    _hand_over(asyncio.run(make()), about, {"replaces": key_id}, save=save, as_json=as_json)


def speaks_for(
    context: typer.Context,
    key_id: KeyId,
    *,
    add: Annotated[list[str] | None, typer.Option(help="A person it may decide for; repeat.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A person it may not decide for any more; repeat.")] = None,
    as_json: Json = False,
) -> None:
    """Change for whom a service's key decides; without an option, say so."""
    session: Session = context.obj

    async def change() -> tuple[str, ...]:
        async with stored(session) as store:
            return await store.speak_for(key_id, add=add or (), remove=remove or ())

    people = asyncio.run(change())
    screen = Screen(as_json=as_json)
    if as_json:
        screen.document({"id": key_id, "speaks_for": list(people)})
    else:
        screen.say(f"Key {key_id} speaks for {', '.join(people) or 'nobody'}.")


def list_keys(context: typer.Context, *, as_json: Json = False) -> None:
    """List every key, revoked ones too; secrets are not kept."""
    session: Session = context.obj

    async def read() -> "tuple[StoredKey, ...]":
        async with stored(session) as store:
            return await store.list()

    found = asyncio.run(read())
    screen = Screen(as_json=as_json)
    if as_json:
        screen.document(
            [
                {
                    "id": key.id,
                    "person": key.person,
                    "role": key.role.value,
                    "speaks_for": list(key.speaks_for),
                    "created_at": key.created_at.isoformat(),
                    "expires_at": key.expires_at and key.expires_at.isoformat(),
                    "last_used_at": key.last_used_at and key.last_used_at.isoformat(),
                    "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
                }
                for key in found
            ]
        )
        return
    for key in found:
        others = f" for {', '.join(key.speaks_for)}" if key.speaks_for else ""
        times = {
            "created": key.created_at,
            "last used": key.last_used_at,
            "expires": key.expires_at,
            "revoked": key.revoked_at,
        }
        screen.say(f"{key.id}  {visible(f'{key.person}, {key.role}{others}')}")
        screen.say("  " + ", ".join(f"{what} {at:%Y-%m-%d %H:%M} UTC" for what, at in times.items() if at))


def revoke(context: typer.Context, key_id: KeyId) -> None:
    """Make a key worthless, on every API within a second or two."""
    session: Session = context.obj

    async def end() -> None:
        async with stored(session) as store:
            await store.revoke(key_id)

    asyncio.run(end())
    Screen().say(f"Key {key_id} is revoked.")


def _lifetime(expires: str) -> timedelta | None:
    """Return how long a key is to be valid; None where nobody said."""
    if not expires:
        return None
    lifetime = duration(expires, "--expires")
    if not lifetime:
        raise SettingInvalid(Code.SETTING_INVALID, "--expires: a key has to be valid for a while", hint="such as 90d")
    return lifetime


def _require_new(save: Path | None) -> None:
    if save is not None and save.exists():
        raise SettingInvalid(Code.SETTING_INVALID, f"{save} exists", hint="choose another file")


def _hand_over(key: "ApiKey", about: str, facts: dict[str, str], *, save: Path | None, as_json: bool) -> None:
    """Give the key to whoever asked for it: this once."""
    from wingman_cli.pki import write_private

    screen = Screen(as_json=as_json)
    if save is not None:
        write_private(save, key.text.encode("ascii"))
    if as_json:
        screen.document({"id": key.id} | facts | ({} if save else {"key": key.text}))
    elif save is not None:
        screen.say(f"Key {key.id} {about} is in {save}.")
    else:
        screen.say(f"Key {key.id} {about} is this. Keep it, it is not shown again:")
        screen.out.print(key.text, markup=False, soft_wrap=True)


@asynccontextmanager
async def stored(session: Session) -> "AsyncIterator[KeyStore]":
    """Yield the store of API keys."""
    from wingman_cli.database import opened

    async with opened(session, ROLE, TABLE) as access, key_store(access) as store:
        yield store


def key_store(access: "Connection") -> "AbstractAsyncContextManager[KeyStore]":
    """Return the store of API keys over a connection of the API's role."""
    from wingman_api.identity.store import open_key_store

    return open_key_store(access.url, access.password, now=lambda: datetime.now(UTC), random_bytes=os.urandom)
