"""How far a backup, a restore or a verification is, for people: a bar on standard error for each of its steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, DownloadColumn, Progress, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from wingman_cli.screen import Screen

RECORDS = "verifying"
"""The one step that counts records; the others count bytes."""


class Amount(DownloadColumn):
    """How much of a step is done."""

    def render(self, task: Task) -> Text:
        """Return it in records or in bytes."""
        if task.description != RECORDS:
            return super().render(task)
        return Text(f"{task.completed:.0f}/{task.total or 0:.0f} records", style="progress.download")


@contextmanager
def shown(screen: Screen) -> Iterator[Progress]:
    """Yield what shows bars where somebody is at a terminal, and nothing elsewhere."""
    quiet = screen.as_json or not screen.err.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), Amount(), TimeElapsedColumn())
    with Progress(
        *columns, console=screen.err, transient=True, disable=quiet, redirect_stdout=screen.out.is_terminal
    ) as progress:
        yield progress


def counting(progress: Progress) -> Callable[[int, int], None]:
    """Add the step that counts records; return what hears how many of the log's hold so far, and of how many."""
    task = progress.add_task(RECORDS, total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)
