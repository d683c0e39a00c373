"""The README's five minutes, typed as they stand there."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.cli.running import Up, environment
from tests.conftest import REPOSITORY
from wingman_cli.engine import DockerEngine
from wingman_core.errors import Unavailable

pytestmark = pytest.mark.timeout(600)
README = (REPOSITORY / "README.md").read_text()
EXPECTED = {
    "tools/engine.sh": (0, ""),
    'wingman request "docker ps"': (0, "Next: wingman run apr_"),
    'wingman request "docker run --detach': (0, "Next: wingman approve apr_"),
    'wingman request "docker restart': (0, "Next: wingman approve apr_"),
    'wingman request "docker run --privileged': (3, "POLICY_FORBIDS"),
    "wingman run": (0, "SUCCEEDED, exit code 0"),
    "wingman approve": (0, "APPROVED"),
    "wingman pending": (0, "docker restart --time 1 web"),
    "wingman audit receipt": (0, "Written to receipt.json"),
    "wingman audit check": (0, "The receipt holds."),
    "wingman policy explain": (3, "no-shell"),
    "wingman audit tail": (0, "RESULT"),
    "wingman audit verify": (0, "The log is whole"),
}
"""The exit code and a word of what each command prints, by its beginning."""


def commands() -> list[str]:
    """What the section shows to type, comments left out."""
    section = README.partition("## Five minutes\n")[2].partition("\n## ")[0]
    lines = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    return [line.partition("  #")[0].strip() for line in lines if not line.startswith("alias")]


@pytest.fixture(scope="module")
def up(engine_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """What ``make run`` starts."""
    running = Up(tmp_path_factory.mktemp("readme") / "data", WINGMAN_DOCKER_HOST=engine_url).ready()
    yield running
    assert running.stop() == 0
    with DockerEngine(engine_url) as docker, suppress(Unavailable):
        docker.call("DELETE", "/containers/web?force=true")


def test_every_command_does_what_the_readme_says(up: Up, tmp_path: Path):
    ids = {"apr_...": "", "exe_...": ""}
    variables = environment(up.data_dir, PATH=f"{REPOSITORY / '.venv/bin'}:{os.environ['PATH']}")
    for command in [line for line in commands() if not line.startswith("curl")]:
        beginning = next(each for each in EXPECTED if command.startswith(each))
        code, word = EXPECTED[beginning]
        argv = shlex.split(command)
        argv = [ids.get(argument, argument) for argument in argv]
        if argv[0].startswith("tools/"):
            argv = [str(REPOSITORY / argv[0]), *argv[1:], f"test-{os.getpid()}"]
        ran = subprocess.run(
            argv, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        said = ran.stdout + ran.stderr
        assert ran.returncode == code, (command, said)
        assert word in said, (command, said)
        for kind in ids:
            if found := re.findall(rf"{kind[:4]}[a-z2-7]{{26}}", said):
                ids[kind] = found[-1]


def test_the_curl_lines_need_no_key(up: Up):
    for command in [line for line in commands() if line.startswith("curl")]:
        argv = shlex.split(command.replace("http://127.0.0.1:8100", up.api))
        address = next(argument for argument in argv if argument.startswith("http"))
        body = argv[argv.index("-d") + 1] if "-d" in argv else None
        method, headers = ("POST", {"Content-Type": "application/json"}) if body else ("GET", {})
        answer = httpx.request(method, address, content=body, headers=headers, trust_env=False, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.json().get("verdict", "TRUE") == "TRUE"


def test_every_page_that_is_linked_exists():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (REPOSITORY / target).exists(), target
