"""What a command prints: Rich for people, JSON for programs, errors on standard error in the same two forms.

Guarantees: with ``--json`` standard output holds one JSON document and nothing else; what workers or containers
wrote cannot drive a person's terminal.
"""

import json
import sys
from typing import TYPE_CHECKING, Final

from wingman_core.errors import WingmanError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import RenderableType

PRINTABLE: Final = frozenset("\n\t")


class Screen:
    """One command's output."""

    def __init__(self, *, as_json: bool = False) -> None:
        """Print for programs where ``as_json``."""
        from rich.console import Console

        self.as_json: Final = as_json
        self.out: Final[Console] = Console(highlight=False, soft_wrap=True)
        self.err: Final[Console] = Console(stderr=True, highlight=False, soft_wrap=True)

    def show(self, model: "BaseModel", *renderables: "RenderableType") -> None:
        """Print ``model`` for programs, or ``renderables`` for people."""
        if self.as_json:
            self.document(model.model_dump(mode="json"))
        else:
            for renderable in renderables:
                self.out.print(renderable)

    def document(self, value: object) -> None:
        """Print one JSON document."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def say(self, text: str) -> None:
        """Print a line for people; programs do not get it."""
        if not self.as_json:
            self.out.print(text, markup=False)

    def error(self, error: WingmanError) -> None:
        """Print what happened and what to do, on standard error."""
        if self.as_json:
            problem = {
                "code": error.code.value,
                "detail": error.message,
                "hint": error.hint,
                "details": dict(error.details),
            }
            sys.stderr.write(json.dumps(problem, ensure_ascii=False) + "\n")
            return
        self.err.print(f"{error.code}: {visible(error.message)}", style="bold red", markup=False)
        for name, value in error.details.items():
            self.err.print(f"  {name}: {visible(value)}", markup=False)
        if error.hint:
            self.err.print(f"  way out: {visible(error.hint)}", markup=False)


def visible(text: str) -> str:
    """Return ``text`` with every control and format character but newline and tab written out, such as ESC as x1b."""
    return "".join(
        character if character.isprintable() or character in PRINTABLE else ascii(character)[1:-1] for character in text
    )


def emit(stream: str, text: str) -> None:
    """Pass a command's output on: as it is to a file or pipe, made harmless to a terminal."""
    file = sys.stdout if stream == "stdout" else sys.stderr
    file.write(visible(text.replace("\r\n", "\n")) if file.isatty() else text)
    file.flush()
