"""``wingman executions resolve``: a person's word on an outcome that nobody saw and Docker could not tell."""

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from wingman_cli.options import Env, Json, Root
from wingman_cli.screen import Screen
from wingman_cli.session import Session
from wingman_core.errors import Code, SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wingman_cli.instance import Instance

KINDS: Final = {"succeeded": "SUCCEEDED", "failed": "FAILED"}
PIPED: Final = Path("-")
CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class Door:
    """Where a gateway is, and what a person shows it; the last three in PEM."""

    gateway: str
    key: bytes = field(repr=False)
    chain: bytes
    authority: bytes


def resolve(  # noqa: PLR0913 - its options
    context: typer.Context,
    execution_id: Annotated[
        str, typer.Argument(help="An execution whose outcome is UNKNOWN, or whose gateway is gone, exe_...")
    ],
    *,
    outcome: Annotated[Literal["succeeded", "failed"], typer.Option(help="What became of it.")],
    note: Annotated[str, typer.Option(help="What you found, and how.")],
    certificate: Annotated[
        Path | None,
        typer.Option(
            help="Your auditor's certificate; its key is beside it (wingman pki issue). "
            "-: both on standard input, inside an API's container."
        ),
    ] = None,
    by: Annotated[str, typer.Option(help="With --env: your name; a certificate is issued for this call.")] = "",
    env: Env = "",
    root: Root = Path(),
    as_json: Json = False,
) -> None:
    """Settle an outcome that is UNKNOWN, under a certificate of your own; once, and for good."""
    session: Session = context.obj
    screen = Screen(as_json=as_json)
    if env:
        from wingman_cli.stack.day_two import opened
        from wingman_cli.stack.settling import settle

        environment, stack = opened(env, root, screen)
        position = settle(environment, stack.compose(), by, execution_id, outcome=outcome, note=note)
    else:
        instance = session.instance
        door = _piped(session.environ) if certificate == PIPED else _local(instance, certificate)
        position = asyncio.run(_settle(door, instance.environment, execution_id, KINDS[outcome], note))
    if as_json:
        screen.document({"execution_id": execution_id, "outcome": KINDS[outcome], "position": position})
        return
    screen.say(f"{execution_id} is settled as {KINDS[outcome]}: position {position} of the audit log")


def _local(instance: "Instance", certificate: Path | None) -> Door:
    """Return the door of a gateway that runs here; raise ``SettingInvalid`` without one, or without a certificate."""
    chosen = certificate or _only(instance)
    key, chain, authority = _read(chosen.with_suffix(".key"), chosen, instance.pki / "ca.crt")
    running = instance.running()
    if running is None:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            "no gateway runs here",
            hint="start it: wingman up; for an environment of containers: --env test or --env prd",
        )
    return Door(running.gateway, key, chain, authority)


def _piped(environ: "Mapping[str, str]") -> Door:
    """Return the door of the gateway that an API's settings name, for the key and certificate on standard input."""
    try:
        address, authority = environ["WINGMAN_GATEWAY_ADDRESS"], Path(environ["WINGMAN_TLS_CA"])
    except KeyError as error:
        raise SettingInvalid(
            Code.SETTING_INVALID, f"{error.args[0]} is not set", hint="--certificate - is for an API's container"
        ) from error
    key, begins, chain = sys.stdin.buffer.read().partition(CERTIFICATE)
    return Door(address, key, begins + chain, *_read(authority))


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


async def _settle(door: Door, environment: str, execution_id: str, outcome: str, note: str) -> int:
    from wingman_api.gateway_client import open_gateway

    async with open_gateway(
        door.gateway, key=door.key, chain=door.chain, authority=door.authority, environment=environment
    ) as gateway:
        return await gateway.settle(execution_id, outcome, note)
