"""The verbs that only read, each ending with the text the docker binary would print.

Guarantees: of what ``inspect`` returns, environment values and words behind telling flags (``["mysqld", "--password",
"x"]``) are redacted here, where their structure is known (I16); output is bounded. Other secrets are the caller's to
redact, in the stream.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from wingman_core.command import (
    ImagesOperation,
    InspectOperation,
    LogsOperation,
    PsOperation,
    StatsOperation,
    TopOperation,
)
from wingman_core.redaction import redact_environment, redact_words
from wingman_core.target import Target
from wingman_gateway.engine.connection import JSON, STDERR, Connection, EngineRefused, frames
from wingman_gateway.engine.events import Event, Exit, Output
from wingman_gateway.engine.indented import indented
from wingman_gateway.engine.listings import (
    CONTAINER_COLUMNS,
    IMAGE_COLUMNS,
    STATS_COLUMNS,
    container_row,
    image_rows,
    stats_row,
)
from wingman_gateway.engine.tables import TOP_MIN_WIDTH, listing, table

ReadOperation = PsOperation | InspectOperation | LogsOperation | TopOperation | StatsOperation | ImagesOperation
Clock = Callable[[], datetime]

MOST_LOG_BYTES: Final = 16 * 1024 * 1024
MOST_STATS: Final = 50
"""Samples taken at the same time; each keeps the engine busy for a second or two."""
STATS_SECONDS: Final = 20.0
DURATION_PART: Final = re.compile(r"([0-9.]+)(ns|us|ms|s|m|h)")
DURATION_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


async def observe(
    connection: Connection, op: ReadOperation, targets: Sequence[Target], now: Clock
) -> AsyncGenerator[Event]:
    """Read, and yield the output; ``Exit`` last."""
    match op:
        case LogsOperation():
            async for event in _logs(connection, op, targets[0], now()):
                yield event
        case PsOperation():
            yield _text(await _ps(connection, op, now()))
        case InspectOperation():
            yield _text(await _inspect(connection, op, targets))
        case TopOperation():
            yield _text(await _top(connection, op, targets[0]))
        case StatsOperation():
            yield _text(await _stats(connection, op, targets))
        case ImagesOperation():
            yield _text(await _images(connection, op, now()))
    yield Exit(0)


def timestamp(moment: str, now: datetime) -> str:
    """Turn a duration before now, RFC 3339 or Unix seconds into what the Engine API takes: Unix seconds."""
    if "T" in moment:
        stamp = datetime.fromisoformat(moment)
        fraction = re.search(r"\.([0-9]+)", moment)
        return f"{int(stamp.replace(microsecond=0).timestamp())}.{(fraction[1] if fraction else '0').ljust(9, '0')}"
    if parts := DURATION_PART.findall(moment):
        ago = sum(float(number) * DURATION_SECONDS[unit] for number, unit in parts)
        return f"{(now - timedelta(seconds=ago)).timestamp():.9f}"
    return moment


async def _ps(connection: Connection, op: PsOperation, now: datetime) -> str:
    params = {"all": _flag(op.all), "size": _flag(op.size), **_filters(op.filters)}
    if op.last >= 0:
        params["limit"] = str(op.last)
    listed: list[JSON] = await connection.ask("GET", "containers/json", params=params)
    rows = [container_row(container, now, full=op.no_trunc) for container in listed]
    columns = {**CONTAINER_COLUMNS, "Size": "SIZE"} if op.size else CONTAINER_COLUMNS
    return listing(rows, columns, quiet=op.quiet, as_json=op.format == "json")


async def _images(connection: Connection, op: ImagesOperation, now: datetime) -> str:
    filters = (*op.filters, *((("reference", op.repository),) if op.repository else ()))
    params = {"all": _flag(op.all), **_filters(filters)}
    listed: list[JSON] = await connection.ask("GET", "images/json", params=params)
    rows = [row for image in listed for row in image_rows(image, now, full=op.no_trunc, digests=op.digests)]
    columns = IMAGE_COLUMNS if op.digests else {key: IMAGE_COLUMNS[key] for key in IMAGE_COLUMNS if key != "Digest"}
    return listing(rows, columns, quiet=op.quiet, as_json=op.format == "json")


async def _inspect(connection: Connection, op: InspectOperation, targets: Sequence[Target]) -> str:
    if len(targets) == 1:  # the common case, without a task of its own
        found = [await _inspect_one(connection, op, targets[0])]
    else:
        found = await asyncio.gather(*(_inspect_one(connection, op, target) for target in targets))
    if op.format == "json":
        return "".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) + "\n" for each in found)
    return indented(found) + "\n"


async def _inspect_one(connection: Connection, op: InspectOperation, target: Target) -> JSON:
    params = {"size": "1"} if op.size and target.reference.kind == "container" else None
    found: JSON = await connection.ask("GET", _path(target), params=params)
    for key in ("Config", "ContainerConfig"):
        config = found.get(key)
        if isinstance(config, dict) and isinstance(config.get("Env"), list):
            found[key] = {**config, "Env": redact_environment(config["Env"])}
    redacted: JSON = _redacted(found)
    return redacted


def _redacted(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return it with secrets hidden in each list of words, such as ``Args``, ``Cmd`` and ``Healthcheck.Test``."""
    match value:
        case dict():
            return {key: _redacted(each) for key, each in value.items()}
        case list() if all(isinstance(each, str) for each in value):
            return redact_words(value)
        case list():
            return [_redacted(each) for each in value]
        case _:
            return value


def _path(target: Target) -> str:
    suffix = "/json" if target.reference.kind in {"container", "image"} else ""
    return f"{target.reference.kind}s/{target.id}{suffix}"


async def _top(connection: Connection, op: TopOperation, target: Target) -> str:
    params = {"ps_args": " ".join(op.ps_options)} if op.ps_options else None
    answer = await connection.ask("GET", f"containers/{target.id}/top", params=params)
    return table([answer["Titles"], *(answer["Processes"] or ())], min_width=TOP_MIN_WIDTH)


async def _stats(connection: Connection, op: StatsOperation, targets: Sequence[Target]) -> str:
    ids = [target.id for target in targets]
    if not ids:
        ids = [each["Id"] for each in await connection.ask("GET", "containers/json", params={"all": _flag(op.all)})]
    at_once = asyncio.Semaphore(MOST_STATS)

    async def sample(container_id: str) -> JSON | None:
        async with at_once:
            path = f"containers/{container_id}/stats"
            try:
                found: JSON = await connection.ask("GET", path, params={"stream": "0"}, limit=STATS_SECONDS)
            except EngineRefused as error:
                if targets or not error.not_found:
                    raise
                return None  # listed a moment ago, removed since
            return found

    samples = await asyncio.gather(*map(sample, ids))
    rows = [stats_row(each, full=op.no_trunc) for each in samples if each is not None]
    return listing(rows, STATS_COLUMNS, quiet=False, as_json=op.format == "json")


async def _logs(connection: Connection, op: LogsOperation, target: Target, now: datetime) -> AsyncGenerator[Event]:
    container = await connection.ask("GET", f"containers/{target.id}/json")
    params = {
        "stdout": "1",
        "stderr": "1",
        "timestamps": _flag(op.timestamps),
        "details": _flag(op.details),
        "tail": "all" if op.tail < 0 else str(op.tail),
        **({"since": timestamp(op.since, now)} if op.since else {}),
        **({"until": timestamp(op.until, now)} if op.until else {}),
    }
    seen = 0
    async with connection.stream("GET", f"containers/{target.id}/logs", params=params) as response:
        async for number, data in frames(response, tty=container["Config"]["Tty"]):
            yield Output("stderr" if number == STDERR else "stdout", data)
            seen += len(data)
            if seen > MOST_LOG_BYTES:
                yield Output("stderr", b"wingman: the rest of the log is left out; narrow it with --tail or --since\n")
                return


def _filters(filters: Iterable[tuple[str, str]]) -> dict[str, str]:
    gathered: dict[str, list[str]] = {}
    for key, value in filters:
        gathered.setdefault(key, []).append(value)
    return {"filters": json.dumps(gathered)} if gathered else {}


def _flag(value: bool) -> str:  # noqa: FBT001 - a value, not a switch
    return "1" if value else "0"


def _text(text: str) -> Output:
    return Output("stdout", text.encode())
