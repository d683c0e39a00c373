"""``wingman rotate passwords | token-key | certificates | bot-token``; API keys have ``wingman keys rotate``."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wingman_cli.durations import duration
from wingman_cli.options import Env, Root
from wingman_cli.screen import Screen
from wingman_cli.session import Session
from wingman_core.errors import Code, SettingInvalid

if TYPE_CHECKING:
    from wingman_cli.rotation.procedures import Site


def passwords(context: typer.Context, *, env: Env = "", root: Root = Path()) -> None:
    """Change the password of every database role; processes start anew, one after another."""
    from wingman_cli.rotation.procedures import rotate_passwords

    asyncio.run(rotate_passwords(_site(context, env, root), Screen().say))


def token_key(
    context: typer.Context,
    *,
    overlap: Annotated[
        str, typer.Option(help="How long tokens of the old key are still taken; at least as long as they live.")
    ] = "65s",
    env: Env = "",
    root: Root = Path(),
) -> None:
    """Change the key that signs capabilities; both keys are taken for an overlap."""
    from wingman_cli.rotation.procedures import rotate_token_key

    asyncio.run(rotate_token_key(_site(context, env, root), Screen().say, duration(overlap, "--overlap")))


def certificates(context: typer.Context, *, env: Env = "", root: Root = Path()) -> None:
    """Change the CA and every certificate; those of the old one are refused at the end."""
    from wingman_cli.rotation.procedures import rotate_certificates

    asyncio.run(rotate_certificates(_site(context, env, root), Screen().say))


def bot_token(context: typer.Context, *, env: Env = "", root: Root = Path()) -> None:
    """Change the Telegram bot's token to the one that BOT_TOKEN holds, or that is typed or piped in."""
    from wingman_cli.rotation.procedures import rotate_bot_token
    from wingman_cli.telegram import TOKEN, known_to_telegram

    session: Session = context.obj
    site = _site(context, env, root)
    new = session.environ.get(TOKEN, "") or typer.prompt("The new token", hide_input=True)

    asyncio.run(rotate_bot_token(site, Screen().say, new.strip(), known_to_telegram))


def _site(context: typer.Context, env: str, root: Path) -> "Site":
    """Return the deployment that is meant: an environment of containers, else the data directory's.

    Raises ``Unavailable`` where the environment's Postgres does not run, ``SettingInvalid`` for an empty directory.
    """
    from wingman_cli.rotation.local_site import LocalSite

    if env:
        from wingman_cli.stack.day_two import StackSite, opened

        environment, stack = opened(env, root, Screen())
        stack.require("postgres")
        return StackSite(environment, stack)
    session: Session = context.obj
    if not session.instance.token_key.exists():
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"there are no secrets in {session.data_dir}",
            hint="wingman up makes them on its first start; name another directory with --data-dir",
        )
    return LocalSite(session.instance, session.environ)
