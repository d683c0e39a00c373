"""``wingman openapi``: the API's OpenAPI document, from the code alone."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from wingman_cli.named_files import write_text
from wingman_cli.screen import Screen


def openapi(
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write it here instead of showing it.")] = None,
) -> None:
    """Print the OpenAPI document of this version's API; needs no running Wingman."""
    from wingman_api.openapi import text
    from wingman_api.surface import surface

    document = text(surface())
    if output is None:
        sys.stdout.write(document)
        return
    write_text(output, document)
    Screen().say(f"Written to {output}.")
