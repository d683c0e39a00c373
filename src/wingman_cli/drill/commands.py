"""``wingman dr drill``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from wingman_cli.durations import duration
from wingman_cli.options import Root
from wingman_cli.screen import Screen


def drill(
    *,
    env: Annotated[str, typer.Option("--env", "-e", help="test or prd.")],
    root: Root = Path(),
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Delete the database as well, and restore it from a backup.")
    ] = False,
    wait: Annotated[str, typer.Option(help="How long people have to sign the stages off.")] = "15m",
) -> None:
    """Stop an environment, remove it, start it cold and compare: each stage signed off by people, and a report."""
    from wingman_cli.backup.progress import shown
    from wingman_cli.drill.drill import Drill
    from wingman_cli.stack.day_two import StackPlace, opened

    screen = Screen()
    place = StackPlace(*opened(env, root, screen))
    with shown(screen) as progress:
        Drill(place, volumes, duration(wait, "--wait"), datetime.now(UTC), screen.say, progress).run()
