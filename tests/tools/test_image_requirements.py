"""Each image installs what its processes import: a module that is missing there would end them at their start."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SHARED = ("wingman_core", "wingman_rpc")
OWN = "wingman"


def imported(package: Path) -> set[str]:
    """The distributions outside the standard library that a package's modules import, anywhere in them."""
    modules: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    known = packages_distributions()
    outside = {name for name in modules - sys.stdlib_module_names if not name.startswith(OWN) and name in known}
    return {known[name][0].lower().replace("_", "-") for name in outside - {"google"}}


@pytest.mark.parametrize(
    ("role", "package"), [("api", "wingman_api"), ("gateway", "wingman_gateway"), ("bot", "wingman_bot")]
)
def test_an_image_has_what_its_process_imports(role: str, package: str):
    pinned = set(
        re.findall(r"^([a-z0-9.-]+)==", (REPOSITORY / "requirements" / f"{role}.txt").read_text(), re.MULTILINE)
    )
    packages = (package,) if role == "bot" else (*SHARED, package)  # the bot signs and verifies nothing of the core's
    needed = set().union(*(imported(REPOSITORY / "src" / each) for each in packages))
    absent = {"alembic", "sqlalchemy"} if role == "gateway" else set()  # migrations run in the api image
    assert needed - absent - pinned == set()
    assert len(needed) > 5
