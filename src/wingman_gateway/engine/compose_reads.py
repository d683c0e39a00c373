"""The reads of Compose projects, in the words of ``docker compose`` v2."""

import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from typing import assert_never

from wingman_core.command import (
    ComposeImagesOperation,
    ComposeLogsOperation,
    ComposeLsOperation,
    ComposePsOperation,
    ComposeRead,
    ComposeTopOperation,
    LogsOperation,
)
from wingman_core.target import Target
from wingman_gateway.engine.compose import RUNNING, containers_of, only, service_of
from wingman_gateway.engine.connection import JSON, Connection
from wingman_gateway.engine.dependents import PROJECT_LABEL
from wingman_gateway.engine.events import Event, Exit, Output
from wingman_gateway.engine.listings import SHORT_ID, container_row
from wingman_gateway.engine.observe import observe
from wingman_gateway.engine.stamps import engine_time
from wingman_gateway.engine.tables import TOP_MIN_WIDTH, human_duration, human_size, listing, table

FILES_LABEL = "com.docker.compose.project.config_files"
PS_COLUMNS = {
    "Name": "NAME",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "Service": "SERVICE",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
}
LS_COLUMNS = {"Name": "NAME", "Status": "STATUS", "ConfigFiles": "CONFIG FILES"}
IMAGE_COLUMNS = {
    "ContainerName": "CONTAINER",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Platform": "PLATFORM",
    "ID": "IMAGE ID",
    "Size": "SIZE",
    "CreatedSince": "CREATED",
}


async def read_project(
    connection: Connection,
    op: ComposeLsOperation | ComposeRead,
    targets: Sequence[Target],
    now: Callable[[], datetime],
) -> AsyncGenerator[Event]:
    """Read, and yield the output; ``Exit`` last."""
    match op:
        case ComposeLogsOperation():
            async for event in _logs(connection, op, only(targets, "container"), now):
                yield event
        case ComposeLsOperation():
            yield Output("stdout", (await _projects(connection, op)).encode())
        case ComposePsOperation():
            yield Output("stdout", (await _ps(connection, op, targets, now())).encode())
        case ComposeTopOperation():
            for target in only(targets, "container"):
                if target.state in RUNNING:
                    answer = await connection.ask("GET", f"containers/{target.id}/top")
                    text = table([answer["Titles"], *(answer["Processes"] or ())], min_width=TOP_MIN_WIDTH)
                    yield Output("stdout", f"{target.name}\n{text}\n".encode())
        case ComposeImagesOperation():
            yield Output("stdout", (await _images(connection, op, only(targets, "container"), now())).encode())
        case _:
            assert_never(op)
    yield Exit(0)


async def _projects(connection: Connection, op: ComposeLsOperation) -> str:
    projects: dict[str, list[JSON]] = {}
    for each in await containers_of(connection, ""):
        projects.setdefault(each["Labels"][PROJECT_LABEL], []).append(each)
    wanted = [value for _, value in op.filters]
    rows = []
    for name in sorted(projects):
        states = Counter(each["State"] for each in projects[name])
        if all(part in name for part in wanted) and (op.all or states["running"]):
            status = ", ".join(f"{state}({states[state]})" for state in sorted(states))
            files = projects[name][0]["Labels"].get(FILES_LABEL, "N/A")
            rows.append({"Name": name, "Status": status, "ConfigFiles": files, "ID": name})
    if op.format == "json" and not op.quiet:
        return json.dumps([{key: row[key] for key in LS_COLUMNS} for row in rows], separators=(",", ":")) + "\n"
    return listing(rows, LS_COLUMNS, quiet=op.quiet, as_json=False)


async def _ps(connection: Connection, op: ComposePsOperation, targets: Sequence[Target], now: datetime) -> str:
    meant = {target.id for target in only(targets, "container")}
    found = [
        each
        for each in sorted(await containers_of(connection, op.project), key=lambda each: str(each["Names"][0]))
        if each["Id"] in meant and (op.all or each["State"] in RUNNING)
    ]
    if op.services_only:
        return "".join(f"{service}\n" for service in sorted({service_of(each) for each in found}))
    rows = []
    for each in found:
        row = container_row(each, now, full=op.no_trunc)
        name = row["Names"].split(",")[0]
        rows.append({**row, "Name": name, "Service": service_of(each), "Project": op.project})
    if op.quiet:
        return "".join(f"{each['Id']}\n" for each in found)
    return listing(rows, PS_COLUMNS, quiet=False, as_json=op.format == "json")


async def _images(connection: Connection, op: ComposeImagesOperation, targets: Sequence[Target], now: datetime) -> str:
    rows = []
    called = {each["Id"]: str(each["Image"]) for each in await containers_of(connection, op.project)}
    for target in sorted(targets, key=lambda target: target.name):
        image = await connection.ask("GET", f"images/{target.image_digest}/json")
        # The name that the container was made from, as long as the image still has it.
        made_from = called.get(target.id, "")
        named = next(
            (each for each in image.get("RepoTags") or () if made_from in (each, each.removesuffix(":latest"))), ""
        )
        repository, _, tag = (named or "<none>:<none>").rpartition(":")
        rows.append(
            {
                "ContainerName": target.name,
                "Repository": repository,
                "Tag": tag,
                "ID": target.image_digest.removeprefix("sha256:")[: None if op.quiet else SHORT_ID],
                "Size": human_size(image["Size"]),
                "Platform": "/".join(filter(None, (image["Os"], image["Architecture"], image.get("Variant")))),
                "CreatedSince": f"{human_duration((now - engine_time(image['Created'])).total_seconds())} ago",
            }
        )
    if op.quiet:
        return "".join(f"{image_id}\n" for image_id in dict.fromkeys(row["ID"] for row in rows))
    return listing(rows, IMAGE_COLUMNS, quiet=False, as_json=op.format == "json")


async def _logs(
    connection: Connection, op: ComposeLogsOperation, targets: Sequence[Target], now: Callable[[], datetime]
) -> AsyncGenerator[Event]:
    """Yield each container's log, every line marked with the container's name."""
    names = {target.id: target.name.removeprefix(f"{op.project}-") for target in targets}
    width = max(map(len, names.values()), default=0)
    for target in targets:
        plain = LogsOperation(
            since=op.since, until=op.until, tail=op.tail, timestamps=op.timestamps, container=target.reference.name
        )
        prefix = "" if op.no_log_prefix else f"{names[target.id]:<{width}}  | "
        rest = {"stdout": b"", "stderr": b""}
        async for event in observe(connection, plain, [target], now):
            if isinstance(event, Output):
                *lines, rest[event.stream] = (rest[event.stream] + event.data).split(b"\n")
                marked = b"".join(prefix.encode() + line + b"\n" for line in lines)
                yield Output(event.stream, marked)
        for stream, line in (("stdout", rest["stdout"]), ("stderr", rest["stderr"])):
            if line:
                yield Output("stderr" if stream == "stderr" else "stdout", prefix.encode() + line + b"\n")
