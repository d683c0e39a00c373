"""``wingman executions resolve``: a person's word on an outcome that nobody saw and Docker could not tell."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wingman_cli.options import Env, Json, Root
from wingman_cli.screen import Screen
from wingman_cli.session import Session
from wingman_core.errors import Code, SettingInvalid

if TYPE_CHECKING:
    from wingman_cli.instance import Instance

KINDS = {"succeeded": "SUCCEEDED", "failed": "FAILED"}


def resolve(  # noqa: PLR0913 - its options
    context: typer.Context,
    execution_id: Annotated[
        str, typer.Argument(help="An execution whose outcome is UNKNOWN, or whose gateway is gone, exe_...")
    ],
    *,
    outcome: Annotated[Literal["succeeded", "failed"], typer.Option(help="What became of it.")],
    note: Annotated[str, typer.Option(help="What you found, and how.")],
    certificate: Annotated[
        Path | None, typer.Option(help="Your auditor's certificate; its key is beside it (wingman pki issue).")
    ] = None,
    by: Annotated[str, typer.Option(help="With --env: your name; a certificate is issued for this call.")] = "",
    env: Env = "",
    root: Root = Path(),
    as_json: Json = False,
) -> None:
    """Settle an outcome that is UNKNOWN, under a certificate of your own; once, and for good."""
    screen = Screen(as_json=as_json)
    if env:
        from wingman_cli.stack.day_two import opened
        from wingman_cli.stack.settling import settle

        position = asyncio.run(settle(*opened(env, root, screen), by, execution_id, KINDS[outcome], note))
    else:
        session: Session = context.obj
        instance = session.instance
        chosen = certificate or _only(instance)
        files = _read(chosen.with_suffix(".key"), chosen, instance.pki / "ca.crt")
        position = asyncio.run(_settle(instance, files, execution_id, KINDS[outcome], note))
    if as_json:
        screen.document({"execution_id": execution_id, "outcome": KINDS[outcome], "position": position})
        return
    screen.say(f"{execution_id} is settled as {KINDS[outcome]}: position {position} of the audit log")


def _only(instance: "Instance") -> Path:
    """Return the one auditor's certificate that there is."""
    found = sorted(instance.pki.glob("auditor-*.crt"))
    if len(found) != 1:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            "which auditor speaks is not said",
            hint="wingman pki issue auditor/<name> makes a certificate; name it with --certificate",
        )
    return found[0]


def _read(*paths: Path) -> list[bytes]:
    try:
        return [path.read_bytes() for path in paths]
    except OSError as error:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"{error.filename}: {error.strerror}",
            hint="name a certificate with its key beside it",
        ) from error


async def _settle(instance: "Instance", files: list[bytes], execution_id: str, outcome: str, note: str) -> int:
    from wingman_api.gateway_client import open_gateway

    running = instance.running()
    if running is None:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            "no gateway runs here",
            hint="start it: wingman up; for an environment of containers: --env test or --env prd",
        )
    key, chain, authority = files
    async with open_gateway(
        running.gateway, key=key, chain=chain, authority=authority, environment=instance.environment
    ) as gateway:
        return await gateway.settle(execution_id, outcome, note)
