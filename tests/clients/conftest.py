"""The API's own fixtures, and who generates clients for it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import httpx
import pytest

from tests.api.conftest import NO_TLS, Api, api, clock, environ, gateway, token_keys
from tests.conftest import REPOSITORY

__all__ = ["api", "clock", "environ", "gateway", "token_keys"]
UV = Path(sys.executable).with_name("uv")
HERE = Path(__file__).parent


def unable(reason: str) -> NoReturn:
    """Skip, or fail where everything has to run."""
    if os.environ.get("REQUIRE_ENGINE") == "1":
        pytest.fail(f"REQUIRE_ENGINE=1, and {reason}")
    pytest.skip(reason)


@pytest.fixture
async def document(api: Api, tmp_path: Path) -> Path:
    """The live document, in a file."""
    async with httpx.AsyncClient(verify=NO_TLS, timeout=30) as client:
        text = (await client.get(f"{api.url}/openapi.json")).text
    place = tmp_path / "openapi.json"
    place.write_text(json.dumps(json.loads(text)))
    return place


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of openapi-python-client's programs; its dependencies do not go with ours, so they are apart."""
    place = tmp_path_factory.mktemp("generator") / "venv"
    python = place / "bin" / "python"
    for arguments in (
        ("venv", "--quiet", "--python", sys.executable, str(place)),
        ("pip", "sync", "--quiet", "--python", str(python), "--require-hashes", "requirements/clients.txt"),
    ):
        made = subprocess.run(
            [UV, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
        )
        if made.returncode != 0:
            unable(f"openapi-python-client cannot be installed: {made.stderr.strip()}")
    return place / "bin"


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript story's directory, with what it needs installed as it is locked."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        unable("node and npm are missing (apt-get install nodejs npm)")
    place = tmp_path_factory.mktemp("typescript") / "story"
    shutil.copytree(HERE / "typescript", place, ignore=shutil.ignore_patterns("node_modules", "built", "wingman.d.ts"))
    made = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund"], cwd=place, capture_output=True, text=True, timeout=300, check=False
    )
    if made.returncode != 0:
        unable(f"npm ci failed: {made.stderr.strip()[-2000:]}")
    return place
