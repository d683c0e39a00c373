"""Claims about packages: Debian's database and Wingman's Python."""

import threading
from importlib.metadata import version
from pathlib import Path

import pytest

from wingman_api.claims.probes import packages as module
from wingman_api.claims.probes.packages import look_at_package
from wingman_api.claims.probes.threads import Threads
from wingman_core.assertions import PackageInstalled

STATUS = """\
Package: nginx
Status: install ok installed
Architecture: amd64
Version: 1:1.22.1-9+deb12u1
Description: small, powerful
 Package: fake
 Version: 9

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1.0

Package: half
Status: install ok half-installed
Version: 1.0

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.36-8

Package: last
Status: install ok installed
Version: 5"""


@pytest.fixture
def status(tmp_path: Path) -> Path:
    (tmp_path / "status").write_text(STATUS)
    return tmp_path / "status"


@pytest.mark.parametrize(
    ("name", "claimed", "outcome"),
    [
        ("nginx", None, "confirmed"),
        ("nginx", "1:1.22.1-9+deb12u1", "confirmed"),
        ("nginx", "1.22.1", "confirmed"),
        ("nginx", "1.22", "contradicted"),
        ("nginx", "9", "contradicted"),
        ("Nginx", None, "contradicted"),
        ("fake", None, "contradicted"),
        ("removed", None, "contradicted"),
        ("half", None, "contradicted"),
        ("libc6", "2.36-8", "confirmed"),
        ("libc6:i386", "2.36-8", "confirmed"),
        ("libc6:amd64", "2.36-8", "contradicted"),
        ("libc6:armhf", None, "contradicted"),
        ("last", "5", "confirmed"),
        ("pydantic", None, "confirmed"),
        ("PyDantic", version("pydantic"), "confirmed"),
        ("pydantic", "0.1", "contradicted"),
        ("no-such-package", None, "contradicted"),
        ("a/../../etc", None, "contradicted"),
    ],
)
async def test_what_is_said(threads: Threads, status: Path, name: str, claimed: str | None, outcome: str):
    seen = await look_at_package(threads, PackageInstalled(name=name, version=claimed), machine=True, status=status)
    assert seen.outcome == outcome


async def test_where_it_cannot_be_looked_at_it_is_unknown(threads: Threads, status: Path):
    nginx = PackageInstalled(name="nginx")
    assert (await look_at_package(threads, nginx, machine=False, status=status)).outcome == "unknown"
    missing = status.with_name("none")
    assert (await look_at_package(threads, nginx, machine=True, status=missing)).outcome == "unknown"
    python = PackageInstalled(name="pydantic")
    assert (await look_at_package(threads, python, machine=True, status=missing)).outcome == "confirmed"


def test_a_look_that_nobody_waits_for_ends(status: Path):
    stop = threading.Event()
    stop.set()
    assert list(module._debian("nginx", status, stop)) == []
