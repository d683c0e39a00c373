"""``wingman migrate``: the database's tables, brought to this version by the role that owns them."""

import asyncio

import typer

from wingman_cli.screen import Screen
from wingman_cli.session import Session


def migrate(context: typer.Context) -> None:
    """Bring the database to this version, as the role that owns its tables."""
    from wingman_cli.database import opened
    from wingman_cli.embedded_db import OWNER
    from wingman_cli.embedded_db import migrate as run

    async def bring() -> None:
        session: Session = context.obj
        async with opened(session, OWNER) as owner:
            await run(owner)

    asyncio.run(bring())
    Screen().say("The database is at this version.")
