"""``wingman backup create | verify | restore``."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from wingman_cli.options import Env, Json, Root
from wingman_cli.screen import Screen
from wingman_cli.session import Session

if TYPE_CHECKING:
    from wingman_cli.backup.archive import Manifest
    from wingman_cli.backup.places import Place

STAMP: Final = "%Y%m%dT%H%M%SZ"

File = Annotated[Path, typer.Argument(help="A backup.")]


def create(  # noqa: PLR0913 - options of a command line
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(help="Where to (default: a file in data/backups or in the data directory, named by the time)."),
    ] = None,
    *,
    prove: Annotated[
        bool, typer.Option("--prove", help="Restore it into a server of its own, too, and verify it there.")
    ] = False,
    env: Env = "",
    root: Root = Path(),
    as_json: Json = False,
) -> None:
    """Back up a deployment as it is now, while it runs: database, signed checkpoint and claims, in one file."""
    from wingman_cli.backup.procedures import check, create_backup, rehearse
    from wingman_cli.backup.progress import shown

    now, screen = datetime.now(UTC), Screen(as_json=as_json)
    place = _place(context, env, root, screen)
    path = file or place.backups / f"wingman-{place.instance.environment}-{now:{STAMP}}.tar"
    with shown(screen) as progress:
        manifest, digest = asyncio.run(create_backup(place, path, now=now, progress=progress))
        if prove:
            asyncio.run(rehearse(*check(place.instance, path, progress), progress))
    _tell(screen, path, manifest, digest, f"Backed up {manifest.records} records and all that goes with them to {path}")


def verify(  # noqa: PLR0913 - options of a command line
    context: typer.Context,
    file: File,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Do not try to restore it into a server of its own.")] = False,
    env: Env = "",
    root: Root = Path(),
    as_json: Json = False,
) -> None:
    """Prove that a backup can be used: it is whole and ours, and its log verifies once it is restored elsewhere."""
    from wingman_cli.backup.procedures import check, rehearse
    from wingman_cli.backup.progress import shown

    screen = Screen(as_json=as_json)
    with shown(screen) as progress:
        found, key, against = check(_place(context, env, root, screen).instance, file, progress)
        if not quick:
            asyncio.run(rehearse(found, key, against, progress))
    how = "whole and ours; not tried" if quick else "whole, ours, and it can be restored"
    _tell(
        screen, file, found.manifest, found.digest, f"{file} of {found.manifest.taken_at:%Y-%m-%d %H:%M} UTC is {how}"
    )


def restore(context: typer.Context, file: File, *, env: Env = "", root: Root = Path(), as_json: Json = False) -> None:
    """Restore a backup into a deployment that does not run and whose database is empty; verify it there."""
    from wingman_cli.backup.procedures import put_back
    from wingman_cli.backup.progress import shown

    screen = Screen(as_json=as_json)
    with shown(screen) as progress:
        manifest = asyncio.run(put_back(_place(context, env, root, screen), file, progress))
    if as_json:
        screen.document({"restored": str(file), **manifest.model_dump(mode="json")})
    else:
        screen.say(f"Restored {file}: {manifest.records} records, verified against their signed checkpoint.")


def _place(context: typer.Context, env: str, root: Path, screen: Screen) -> "Place":
    """Return the deployment that is meant: an environment of containers, else the data directory's."""
    from wingman_cli.backup.places import LocalPlace

    if env:
        from wingman_cli.stack.day_two import StackPlace, opened

        return StackPlace(*opened(env, root, screen))
    session: Session = context.obj
    return LocalPlace(session.instance, session.environ)


def _tell(screen: Screen, path: Path, manifest: "Manifest", digest: str, line: str) -> None:
    if screen.as_json:
        screen.document({"file": str(path), "sha256": digest, **manifest.model_dump(mode="json")})
        return
    screen.say(f"{line}.")
    screen.say(f"  of      {manifest.origin}, Postgres {manifest.server}")
    screen.say(f"  digest  {digest}   (keep it where the file is not)")
