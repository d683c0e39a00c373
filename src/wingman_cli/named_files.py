"""Text files that a command line names: read and written with an error that names the file."""

from pathlib import Path

from wingman_core.errors import Code, SettingInvalid


def read_text(path: Path, what: str, *, strip: bool = True) -> str:
    """Return a file's text; raise ``SettingInvalid`` that names it where it cannot be read."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        raise SettingInvalid(
            Code.SETTING_INVALID, f"{what} cannot be read from {path}", hint="name the file, or its directory"
        ) from error
    return text.strip() if strip else text


def write_text(output: Path, text: str) -> None:
    """Write a document for others to read, whole or not at all; raise ``SettingInvalid`` where that cannot be."""
    from wingman_cli.pki import write_atomically

    try:
        write_atomically(output, text.encode(), 0o644)
    except OSError as error:
        raise SettingInvalid(
            Code.SETTING_INVALID, f"{output} cannot be written: {error.strerror}", hint="choose another place"
        ) from error
