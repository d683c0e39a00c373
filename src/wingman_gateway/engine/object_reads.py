"""The reads of ports, changes, histories, volumes, networks and the engine itself, in the docker binary's words.

Compared with Docker CLI 28. What the binary says of itself (``Client:`` in ``info`` and ``version``) is left out:
there is no client here.
"""

import json
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime
from typing import Final, assert_never

from wingman_core.command import (
    DiffOperation,
    HistoryOperation,
    InfoOperation,
    NetworkLsOperation,
    PortOperation,
    SystemDfOperation,
    VersionOperation,
    VolumeLsOperation,
    WaitOperation,
)
from wingman_core.target import Target
from wingman_gateway.engine.act import refusal
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused
from wingman_gateway.engine.disk_usage import DF_COLUMNS, usage_rows
from wingman_gateway.engine.engine_info import info_text, version_text
from wingman_gateway.engine.events import Event, Exit, Output
from wingman_gateway.engine.listings import SHORT_ID, host_of
from wingman_gateway.engine.stamps import engine_time
from wingman_gateway.engine.tables import ellipsis, human_duration, human_size, listing

ObjectRead = (
    PortOperation
    | DiffOperation
    | WaitOperation
    | HistoryOperation
    | VolumeLsOperation
    | NetworkLsOperation
    | InfoOperation
    | VersionOperation
    | SystemDfOperation
)
KINDS: Final = ("C", "A", "D")
"""Of a change: modified, added, deleted."""
EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
CREATED_BY_WIDTH: Final = 45
VOLUME_COLUMNS: Final = {"Driver": "DRIVER", "Name": "VOLUME NAME"}
NETWORK_COLUMNS: Final = {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE"}


async def read_objects(
    connection: Connection, op: ObjectRead, targets: Sequence[Target], now: Callable[[], datetime]
) -> AsyncGenerator[Event]:
    """Read, and yield the output; ``Exit`` last."""
    match op:
        case WaitOperation():
            async for event in _wait(connection, targets):
                yield event
        case PortOperation():
            text, code = await _port(connection, op, targets[0])
            yield Output("stderr" if code else "stdout", text.encode())
            yield Exit(code)
        case _:
            yield Output("stdout", (await _text(connection, op, targets, now())).encode())
            yield Exit(0)


async def _text(  # noqa: PLR0911 - one return a verb
    connection: Connection,
    op: DiffOperation
    | HistoryOperation
    | VolumeLsOperation
    | NetworkLsOperation
    | InfoOperation
    | VersionOperation
    | SystemDfOperation,
    targets: Sequence[Target],
    now: datetime,
) -> str:
    match op:
        case DiffOperation():
            found = await connection.ask("GET", f"containers/{targets[0].id}/changes")
            return "".join(f"{KINDS[each['Kind']]} {each['Path']}\n" for each in found or ())
        case HistoryOperation():
            return await _history(connection, op, targets[0], now)
        case VolumeLsOperation():
            return await _volumes(connection, op)
        case NetworkLsOperation():
            return await _networks(connection, op)
        case InfoOperation():
            info = await connection.ask("GET", "info")
            return json.dumps(info, ensure_ascii=False) + "\n" if op.format else info_text(info)
        case VersionOperation():
            version = await connection.ask("GET", "version")
            return json.dumps({"Server": version}, ensure_ascii=False) + "\n" if op.format else version_text(version)
        case SystemDfOperation():
            usage = await connection.ask("GET", "system/df", limit=None)
            return listing(list(usage_rows(usage)), DF_COLUMNS, quiet=False, as_json=op.format == "json")
        case _:
            assert_never(op)


async def _wait(connection: Connection, targets: Sequence[Target]) -> AsyncGenerator[Event]:
    """Wait for one container after the other; the performer holds the time limit."""
    code = 0
    for target in targets:
        try:
            ended = await connection.ask("POST", f"containers/{target.id}/wait", limit=None)
        except EngineRefused as error:
            code = 1
            yield refusal(error)
        else:
            yield Output("stdout", f"{ended['StatusCode']}\n".encode())
    yield Exit(code)


async def _port(connection: Connection, op: PortOperation, target: Target) -> tuple[str, int]:
    container = await connection.ask("GET", f"containers/{target.id}/json")
    ports = (container.get("NetworkSettings") or {}).get("Ports") or {}
    if op.private and not ports.get(op.private):
        return f"no public port '{op.private}' published for {target.reference.name}\n", 1
    lines = [
        place if op.private else f"{key} -> {place}"
        for key, bindings in ports.items()
        if op.private in {"", key}
        for binding in bindings or ()
        for place in [f"{host_of(binding.get('HostIp', ''))}:{binding['HostPort']}"]
    ]
    return "".join(f"{line}\n" for line in sorted(lines, key=natural)), 0


def natural(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts runs of digits by their value, as the docker binary sorts names."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"[0-9]+|[^0-9]+", text)]


async def _history(connection: Connection, op: HistoryOperation, target: Target, now: datetime) -> str:
    layers: list[JSON] = await connection.ask("GET", f"images/{target.id}/history")
    rows = [_layer(layer, op, now) for layer in layers]
    when = "CreatedSince" if op.human else "CreatedAt"
    columns = {
        "ID": "IMAGE",
        when: "CREATED" if op.human else "CREATED AT",
        "CreatedBy": "CREATED BY",
        "Size": "SIZE",
        "Comment": "COMMENT",
    }
    return listing(rows, columns, quiet=op.quiet, as_json=op.format == "json")


def _layer(layer: JSON, op: HistoryOperation, now: datetime) -> dict[str, str]:
    created = datetime.fromtimestamp(layer["Created"], UTC)
    stamp = created.strftime("%Y-%m-%dT%H:%M:%SZ")
    since = f"{human_duration((now - created).total_seconds())} ago" if created > EPOCH else "N/A"
    by = layer["CreatedBy"].replace("\t", " ")
    return {
        "Comment": layer["Comment"],
        "CreatedAt": stamp,
        "CreatedBy": by if op.no_trunc else ellipsis(by, CREATED_BY_WIDTH),
        "CreatedSince": since if op.human else stamp,
        "ID": layer["Id"] if op.no_trunc else layer["Id"].removeprefix("sha256:")[:SHORT_ID],
        "Size": human_size(layer["Size"]) if op.human else str(layer["Size"]),
    }


async def _volumes(connection: Connection, op: VolumeLsOperation) -> str:
    found = (await connection.ask("GET", "volumes", params=filters_of(op.filters))).get("Volumes") or ()
    rows = [
        {
            **dict.fromkeys(("Availability", "Group", "Links", "Size", "Status"), "N/A"),
            "Driver": each["Driver"],
            "Labels": _labels(each),
            "Mountpoint": each["Mountpoint"],
            "Name": each["Name"],
            "Scope": each["Scope"],
        }
        for each in sorted(found, key=lambda each: natural(each["Name"]))
    ]
    if op.quiet and op.format == "table":
        return "".join(f"{row['Name']}\n" for row in rows)
    return listing(_ordered(rows), VOLUME_COLUMNS, quiet=False, as_json=op.format == "json")


async def _networks(connection: Connection, op: NetworkLsOperation) -> str:
    found = await connection.ask("GET", "networks", params=filters_of(op.filters))
    rows = [
        {
            "CreatedAt": _created(each["Created"]),
            "Driver": each["Driver"],
            "ID": each["Id"] if op.no_trunc else each["Id"][:SHORT_ID],
            "IPv4": _truth(each.get("EnableIPv4", False)),
            "IPv6": _truth(each.get("EnableIPv6", False)),
            "Internal": _truth(each.get("Internal", False)),
            "Labels": _labels(each),
            "Name": each["Name"],
            "Scope": each["Scope"],
        }
        for each in sorted(found, key=lambda each: natural(each["Name"]))
    ]
    return listing(rows, NETWORK_COLUMNS, quiet=op.quiet and op.format == "table", as_json=op.format == "json")


def _created(stamp: str) -> str:
    """Return an engine's time as Go prints one: nanoseconds without the zeros behind."""
    nanoseconds = re.search(r"\.([0-9]+)", stamp)
    fraction = f".{nanoseconds[1].rstrip('0')}" if nanoseconds and nanoseconds[1].strip("0") else ""
    return engine_time(stamp).astimezone(UTC).strftime(f"%Y-%m-%d %H:%M:%S{fraction} +0000 UTC")


def _ordered(rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    return [dict(sorted(row.items())) for row in rows]


def _labels(each: JSON) -> str:
    labels = each.get("Labels") or {}
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))


def _truth(value: object) -> str:
    return "true" if value else "false"


def filters_of(filters: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return filters as a query of the Engine API."""
    gathered: dict[str, list[str]] = {}
    for key, value in filters:
        gathered.setdefault(key, []).append(value)
    return {"filters": json.dumps(gathered)} if gathered else {}
