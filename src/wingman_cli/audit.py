"""``wingman audit tail | export | verify``: the log as an auditor sees it, with the auditor's database role."""

import asyncio
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wingman_cli.named_files import read_text, write_text
from wingman_cli.options import Json, KeyFile
from wingman_cli.screen import Screen, visible
from wingman_cli.session import Session
from wingman_core.errors import Code, SettingInvalid

if TYPE_CHECKING:
    from wingman_cli.embedded_db import Connection
    from wingman_core.audit_record import AuditRecord
    from wingman_core.audit_verify import Summary
    from wingman_core.checkpoint import Checkpoint
    from wingman_core.notes import VerifierKey

ROLE = "wingman_auditor"
TABLE = "execution_audit"
FAR = re.compile(r"(\d+) of (\d+) records hold")
"""What a verification that runs elsewhere says of how far it is, on a line of its standard error."""

Progress = Callable[[int, int], None]
"""Hears how many records hold so far, and of how many."""


def tail(
    context: typer.Context,
    *,
    count: Annotated[int, typer.Option("--lines", "-n", help="So many records.", min=1, max=10_000)] = 20,
    as_json: Json = False,
) -> None:
    """Show the newest records (not verified; see verify)."""
    from rich.table import Column, Table

    from wingman_cli.database import opened
    from wingman_gateway.audit_reader import AuditReader, Positioned

    async def read() -> tuple[Positioned, ...]:
        session: Session = context.obj
        async with opened(session, ROLE, TABLE) as access, AuditReader.connect(access.url, access.password) as reader:
            return await reader.last(count)

    found = asyncio.run(read())
    screen = Screen(as_json=as_json)
    if as_json:
        screen.document([{"position": row.position, **json.loads(row.record.to_bytes())} for row in found])
        return
    names = ("position", "time (UTC)", "kind", "outcome", "worker", "command")
    table = Table(*(Column(name, overflow="fold") for name in names))
    for row in found:
        cells = (row.record.created_at[:19].replace("T", " "), row.record.kind.value, outcome_of(row.record))
        table.add_row(str(row.position), *cells, visible(row.record.worker), visible(row.record.command))
    screen.out.print(table if found else "The log is empty.")


def export(
    context: typer.Context,
    *,
    since: Annotated[str, typer.Option(help="From this moment on: 2026-11-30, 2026-11-30T08:00:00Z.")] = "",
    until: Annotated[str, typer.Option(help="Before this moment.")] = "",
) -> None:
    """Write records as JSON Lines, in order (not verified; see verify): position, leaf hash, canonical record."""
    from wingman_cli.database import opened
    from wingman_gateway.audit_reader import AuditReader

    begin, end = _moment(since, "--since"), _moment(until, "--until")

    async def write() -> None:
        session: Session = context.obj
        async with (
            opened(session, ROLE, TABLE) as access,
            AuditReader.connect(access.url, access.password) as reader,
            aclosing(reader.between(begin, end)) as rows,
        ):
            async for row in rows:
                # The record stands as it was hashed: whoever reads a line can hash it again.
                head = f'{{"position":{row.position},"leaf_hash":"{row.leaf_hash.hex()}","record":'
                sys.stdout.write(f"{head}{row.record.decode()}}}\n")

    asyncio.run(write())


def verify(  # noqa: PLR0913 - options of a command line
    context: typer.Context,
    *,
    against: Annotated[
        Path | None, typer.Option(help="An older signed checkpoint: also finds truncation and rewriting.")
    ] = None,
    key_file: KeyFile = None,
    save: Annotated[Path | None, typer.Option(help="Write the newest verified checkpoint here, for --against.")] = None,
    lines: Annotated[
        bool, typer.Option("--progress", help="Say how far it is on standard error, a line for each thousand records.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify the whole log: every record, the tree, every checkpoint, and the story. Exit code 1 if it differs."""
    from wingman_core.notes import parse_verifier_key

    session: Session = context.obj
    screen = Screen(as_json=as_json)
    key = parse_verifier_key(read_text(key_file or session.instance.verifier_key, "the log's public key"))
    with _telling(screen, lines=lines) as progress:
        summary = asyncio.run(_verify(session, key, _older(against, key), progress))
    if save is not None:
        if not summary.checkpoint:
            raise SettingInvalid(
                Code.SETTING_INVALID,
                "the log is empty: it is whole, and has no checkpoint that could be saved",
                hint="leave --save out, or verify again once something was recorded",
            )
        write_text(save, summary.checkpoint)
    document = {
        "verified": True,
        "origin": key.name,
        "size": summary.size,
        "root": summary.root.hex(),
        "checkpoints": summary.checkpoints,
        "counts": {kind.value: count for kind, count in summary.counts.items()},
        "unfinished": [{"position": position, "execution_id": name} for position, name in summary.unfinished],
        "checkpoint": summary.checkpoint,
    }
    if as_json:
        screen.document(document)
        return
    screen.say(summary_line(summary))
    for position, name in summary.unfinished:
        screen.say(f"  position {position}: {name} has no outcome yet")


def summary_line(summary: "Summary") -> str:
    """Return one line for people about a log that was found whole."""
    counts = ", ".join(f"{count} {kind.value}" for kind, count in summary.counts.items() if count) or "empty"
    tree = f"{summary.checkpoints} checkpoints, root {summary.root.hex()[:16]}"
    return f"The log is whole: {summary.size} records ({counts}), {tree}"


def outcome_of(record: "AuditRecord") -> str:
    """Return what a record says happened, in a word or two."""
    code = "" if record.exit_code is None else f" {record.exit_code}"
    return f"{record.outcome}{code}" if record.outcome else record.reason


async def verify_log(
    access: "Connection",
    key: "VerifierKey",
    *,
    against: "Checkpoint | None" = None,
    progress: Progress | None = None,
) -> "Summary":
    """Verify the whole log over one connection; raise ``LogCorrupt`` with the first difference."""
    from wingman_core.audit_verify import LogVerifier
    from wingman_gateway.audit_reader import AuditReader

    async with AuditReader.connect(access.url, access.password) as reader:
        verifier = LogVerifier(origin=key.name, keys=[key], against=against)
        if progress is None:
            return await reader.verify(verifier, lambda _done: None)
        total = await reader.size()
        return await reader.verify(verifier, lambda done: progress(done, total))


async def _verify(session: Session, key: "VerifierKey", against: "Checkpoint | None", progress: Progress) -> "Summary":
    from wingman_cli.database import opened

    async with opened(session, ROLE, TABLE) as access:
        return await verify_log(access, key, against=against, progress=progress)


@contextmanager
def _telling(screen: Screen, *, lines: bool) -> Iterator[Progress]:
    """Yield what tells how far it is: lines, or a bar where somebody is at a terminal."""
    if lines:
        yield lambda done, total: screen.err.print(f"{done} of {total} records hold")
        return
    from rich.progress import Progress as Bar

    with Bar(console=screen.err, transient=True, disable=screen.as_json or not screen.err.is_terminal) as bar:
        task = bar.add_task("verifying", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _moment(text: str, option: str) -> datetime | None:
    """Return an aware moment, UTC where the text does not say; None for no text; raise ``SettingInvalid``."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingInvalid(
            Code.SETTING_INVALID, f"{option}: {text!a} is no moment", hint="write it like 2026-11-30T08:00:00Z"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _older(path: Path | None, key: "VerifierKey") -> "Checkpoint | None":
    from wingman_core.checkpoint import open_checkpoint

    return None if path is None else open_checkpoint(read_text(path, "the older checkpoint", strip=False), [key])
