"""Claims about packages: Debian's database of this machine, and the distributions of the Python that runs Wingman.

Guarantees: the database is read, no program is run. "Installed here" means these two places, and evidence says so.
A Debian version fits as a whole or as the upstream part of it (``1.22.1`` fits ``1:1.22.1-9+deb12u1``).
"""

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Final

from wingman_api.claims.probes.seen import Seen, confirmed, contradicted, unknown
from wingman_api.claims.probes.threads import Stop, Threads
from wingman_core.assertions import PackageInstalled

STATUS: Final = Path("/var/lib/dpkg/status")
INSTALLED: Final = "installed"
REVISION: Final = re.compile(r"(?:[0-9]+:)?(?P<upstream>.+?)(?:-[^-]+)?", re.ASCII)
NOT_HERE: Final = "The packages of this machine cannot be seen from where claims are looked at."
NO_DATABASE: Final = "It is no package of Wingman's Python, and this machine has no Debian package database."


async def look_at_package(
    threads: Threads, assertion: PackageInstalled, *, machine: bool, status: Path = STATUS
) -> Seen:
    """Look once; ``machine``: whether the files this process sees are the machine's."""
    if not machine:
        return unknown(NOT_HERE)
    return await threads.run(lambda stop: _look(assertion, status, stop))


def _look(assertion: PackageInstalled, status: Path, stop: Stop) -> Seen:
    python = _python(assertion.name)
    if python is not None and assertion.version in {None, python}:
        return confirmed(f"Wingman's Python has {assertion.name!a} {python}.")
    try:
        debian = sorted(set(_debian(assertion.name, status, stop)))
    except OSError:
        return unknown(NO_DATABASE)
    if any(assertion.version is None or _fits(assertion.version, each) for each in debian):
        return confirmed(f"Debian's database has {assertion.name!a} {', '.join(debian)}.")
    if others := [*debian, *(() if python is None else (python,))]:
        return contradicted(f"{assertion.name!a} is installed in another version: {', '.join(others)}.")
    return contradicted(f"Neither Debian's database nor Wingman's Python has {assertion.name!a}.")


def _python(name: str) -> str | None:
    try:
        return version(name)
    except (PackageNotFoundError, ValueError):
        return None


def _debian(name: str, status: Path, stop: Stop) -> Iterator[str]:
    """Yield each installed version, one an architecture (deb-control(5), dpkg's status database)."""
    wanted, _, architecture = name.partition(":")
    fields: dict[str, str] = {}
    with status.open(encoding="utf-8", errors="replace") as file:
        for line in chain(file, ["\n"]):
            if stop.is_set():
                return
            if line != "\n":
                key, colon, value = line.partition(":")
                if colon and not key[:1].isspace():
                    fields[key] = value.strip()
                continue
            if (
                fields.get("Package") == wanted
                and architecture in {"", fields.get("Architecture")}
                and fields.get("Status", "").endswith(f" {INSTALLED}")
            ):
                yield fields.get("Version", "")
            fields = {}


def _fits(claimed: str, installed: str) -> bool:
    match = REVISION.fullmatch(installed)
    return claimed == installed or (match is not None and match["upstream"] == claimed)
