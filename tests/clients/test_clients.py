"""Clients generated from the live document compile, and tell one command's life against a running API."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.api.conftest import Api
from tests.api.fake_gateway import VERIFIER
from tests.clients.conftest import HERE
from wingman_core.receipt import check_receipt

SECONDS: Final = 240
PYTHON: Final = Path(sys.executable)
STORY: Final = HERE / "python" / "story.py"

pytestmark = pytest.mark.timeout(900)


async def run(*command: str | Path, at: Path, **variables: str) -> str:
    """Run a program to its end; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=at,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{command[0]}: {out.decode()}\n{err.decode()}"
    return out.decode()


async def keys(api: Api) -> dict[str, str]:
    return {"WORKER_KEY": await api.key("worker"), "APPROVER_KEY": await api.key("alice")}


def holds(receipt: str) -> None:
    """The receipt that a client fetched verifies with the log's key alone."""
    checked = check_receipt(receipt.encode(), [VERIFIER])
    assert [each.person for each in checked.request.decisions] == ["alice"]
    assert checked.intent.command == "docker restart --time 10 web"
    assert checked.outcome is not None


async def test_a_generated_python_client_tells_the_story(api: Api, document: Path, generator: Path, tmp_path: Path):
    path = f"{generator}{os.pathsep}{os.environ['PATH']}"  # it formats with the ruff beside it
    program = generator / "openapi-python-client"
    await run(
        *(program, "generate", "--path", document, "--output-path", tmp_path / "wingman_client"),
        *("--meta", "none", "--fail-on-warning"),
        at=tmp_path,
        PATH=path,
    )
    await run(PYTHON, "-W", "error", "-m", "compileall", "-q", "wingman_client", at=tmp_path)
    strictly = ("--strict", "--config-file=", "--follow-imports=silent", "--cache-dir", tmp_path / "mypy")
    await run(PYTHON, "-m", "mypy", *strictly, STORY, at=tmp_path, MYPYPATH=str(tmp_path))
    holds(await run(PYTHON, STORY, api.url, at=tmp_path, PYTHONPATH=str(tmp_path), **await keys(api)))


async def test_generated_typescript_types_tell_the_story(api: Api, document: Path, node_modules: Path):
    programs = node_modules / "node_modules" / ".bin"
    generate = (programs / "openapi-typescript", document, "--output", "wingman.d.ts", "--default-non-nullable=false")
    await run(*generate, at=node_modules)
    await run(programs / "tsc", "--project", ".", at=node_modules)  # strict, and compiles
    holds(await run("node", "built/story.js", api.url, at=node_modules, **await keys(api)))
