"""``wingman keys create | list | revoke``: API keys, through the API's own store and database role."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wingman_cli.options import Json
from wingman_cli.screen import Screen
from wingman_cli.session import Session
from wingman_core.errors import Code, SettingInvalid

if TYPE_CHECKING:
    from wingman_api.identity.api_key import ApiKey
    from wingman_api.identity.store import KeyStore, StoredKey
    from wingman_cli.embedded_db import Connection

ROLE = "wingman_api"
TABLE = "api_key"


def create(  # noqa: PLR0913 - options of a command line
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="Whose key it is: what decisions and requests will be signed with.")],
    *,
    role: Annotated[str, typer.Option("--role", "-r", help="worker, approver, auditor, operator or service.")],
    speaks_for: Annotated[
        list[str] | None, typer.Option(help="For a service: a person it may decide for; repeat.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the key to this file (0600) instead of showing it.")] = None,
    as_json: Json = False,
) -> None:
    """Make a key; its secret is seen this once."""
    from wingman_api.identity.caller import Role
    from wingman_cli.pki import write_private

    session: Session = context.obj
    try:
        known = Role(role)
    except ValueError:
        raise SettingInvalid(Code.SETTING_INVALID, f"{role!a} is no role", hint=f"use {', '.join(Role)}") from None
    if save is not None and save.exists():
        raise SettingInvalid(Code.SETTING_INVALID, f"{save} exists", hint="choose another file")

    async def make() -> "ApiKey":
        async with stored(session) as store:
            return await store.create(person, known, speaks_for=speaks_for or ())

    key = asyncio.run(make())
    screen = Screen(as_json=as_json)
    if save is not None:
        write_private(save, key.text.encode("ascii"))
    if as_json:
        screen.document({"id": key.id, "person": person, "role": known.value} | ({} if save else {"key": key.text}))
    elif save is not None:
        screen.say(f"Key {key.id} of {person} ({known}) is in {save}.")
    else:
        screen.say(f"Key {key.id} of {person} ({known}). Keep it, it is not shown again:")
        screen.out.print(key.text, markup=False, soft_wrap=True)


def list_keys(context: typer.Context, *, as_json: Json = False) -> None:
    """List every key, revoked ones too; secrets are not kept."""
    from rich.table import Column, Table

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
                    "last_used_at": key.last_used_at and key.last_used_at.isoformat(),
                    "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
                }
                for key in found
            ]
        )
        return
    table = Table(Column("id", no_wrap=True), "person", "role", "created (UTC)", "last used", "revoked")
    for key in found:
        times = (key.created_at, key.last_used_at, key.revoked_at)
        table.add_row(key.id, key.person, key.role.value, *(f"{at:%Y-%m-%d %H:%M}" if at else "" for at in times))
    screen.out.print(table)


def revoke(
    context: typer.Context, key_id: Annotated[str, typer.Argument(help="The key's id, without its secret.")]
) -> None:
    """Make a key worthless from its next use on."""
    session: Session = context.obj

    async def end() -> None:
        async with stored(session) as store:
            await store.revoke(key_id)

    asyncio.run(end())
    Screen().say(f"Key {key_id} is revoked.")


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
