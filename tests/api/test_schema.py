"""Schemathesis over the whole document, on a running API: no 5xx, nothing undeclared, nothing taken that should not be.

``make test`` runs a short form; ``make schema`` the long one (all phases, at least 10,000 cases with a key and 2,000
without), which prints its figures. What a check lets pass, and why, stands in ``schemathesis.toml``.
"""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.api.conftest import Api
from tests.api.documented import OPERATIONS
from tests.api.example_state import prepare
from tests.conftest import REPOSITORY
from wingman_api.problems import UNEXPECTED

SCHEMATHESIS: Final = Path(sys.executable).with_name("st")
CONFIGURATION: Final = Path(__file__).with_name("schemathesis.toml")
LONG: Final = os.environ.get("SCHEMA") == "long"
PHASES: Final = "examples,coverage,fuzzing,stateful" if LONG else "examples,fuzzing,stateful"
WAITING: Final = 40
"""Requests that wait for people, so that somebody can decide."""
KEY: Final = '[auth.openapi.ApiKey]\nbearer = "${WINGMAN_API_KEY}"\n'
PEERS: Final = '[auth.wfc]\npath = "peers.json"\nuser = "worker"\npeers = ["worker", "other-worker"]\n'
"""Two callers of whom neither may see what is the other's."""

pytestmark = pytest.mark.timeout(4 * 3600 if LONG else 600)


@dataclass(frozen=True)
class Run:
    """Who asks an API of what kind, and how much: cases an operation, and in all at least."""

    who: str | None
    anonymous: bool
    examples: tuple[int, int]
    at_least: tuple[int, int]
    options: tuple[str, ...] = ()
    beside: str | None = None
    """Who asks for the same again, and must not get it."""


RUNS: Final = {
    "an operator": Run("operator", anonymous=False, examples=(4, 360), at_least=(200, 10_000)),
    "nobody, where that is a role": Run(
        None,
        anonymous=True,
        examples=(3, 60),
        at_least=(100, 2_000),
        # No key is needed, and none is sent: that is what the role of callers without a key is for.
        options=("--exclude-checks", "ignored_auth", "--generation-with-security-parameters", "false"),
    ),
    "a worker beside another": Run(
        "worker", anonymous=False, examples=(2, 40), at_least=(100, 1_500), beside="other-worker"
    ),
    "nobody": Run(None, anonymous=False, examples=(1, 20), at_least=(40, 1_000)),
}


@pytest.fixture(params=list(RUNS))
def run(request: pytest.FixtureRequest) -> Run:
    """One of the runs."""
    return RUNS[request.param]


@pytest.fixture
def environ(environ: dict[str, str], run: Run) -> dict[str, str]:
    """The variables of an API as the run wants it."""
    if not run.anonymous:
        del environ["WINGMAN_ANONYMOUS_ROLE"]
    return environ


async def test_the_api_is_as_the_document_says(api: Api, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    await prepare(api, "getExecution")
    for number in range(WAITING):
        await api.asked(task_name=f"Restart number {number}")
    said, report = await examined(api, run, tmp_path)
    assert report["exit_code"] == 0, said
    assert (report["complete"], report["failures"], report["errors"]) == (True, [], []), said
    assert report["operations"]["tested"] == len(OPERATIONS)
    assert all(report["phases"][phase]["status"] == "success" for phase in PHASES.split(",")), said
    assert report["test_cases"]["generated"] >= run.at_least[LONG], said
    answered = reached(api)
    assert [key for key in answered if key[1] >= UNEXPECTED] == []
    if LONG:
        tell(capsys, run, report, answered)


async def authentication(api: Api, run: Run, place: Path) -> dict[str, str]:
    """Write the configuration with the run's callers; return the variables it names."""
    text, variables = CONFIGURATION.read_text(), {}
    if run.who is not None and run.beside is not None:
        callers = {name: f"Bearer {await api.key(name)}" for name in (run.who, run.beside)}
        fixed = [
            {"name": name, "fixedHeaders": [{"name": "Authorization", "value": value}]}
            for name, value in callers.items()
        ]
        (place / "peers.json").write_text(json.dumps({"auth": fixed}))
        text += PEERS
    elif run.who is not None:
        variables = {"WINGMAN_API_KEY": await api.key(run.who)}
        text += KEY
    (place / "schemathesis.toml").write_text(text)
    return variables


async def examined(api: Api, run: Run, place: Path) -> tuple[str, dict[str, Any]]:
    """Have Schemathesis examine the API; return what it said, and its report."""
    report = place / "report.json"
    variables = await authentication(api, run, place)
    process = await asyncio.create_subprocess_exec(
        *(str(SCHEMATHESIS), "--config-file", "schemathesis.toml", "run", f"{api.url}/openapi.json", "--no-color"),
        *("--phases", PHASES, "--max-examples", str(run.examples[LONG])),
        *("--seed", str(random.randrange(2**32) if LONG else 3)),
        *run.options,
        *("--report", "json", "--report-json-path", str(report)),
        cwd=place,
        env={**os.environ, **variables, "PYTHONPATH": str(REPOSITORY)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert report.exists(), said
    found: dict[str, Any] = json.loads(report.read_text())
    return said, found


def reached(api: Api) -> Counter[tuple[str, int]]:
    """How often each operation answered with each status, as the API itself has it."""
    lines = [line for line in api.log if line["event"] == "request"]
    return Counter((f"{line['method']} {line['route']}", line["status"]) for line in lines)


def tell(
    capsys: pytest.CaptureFixture[str], run: Run, report: dict[str, Any], answered: Counter[tuple[str, int]]
) -> None:
    """Print the figures of a run."""
    statuses: Counter[int] = Counter()
    for (_, status), count in answered.items():
        statuses[status] += count
    with capsys.disabled():
        print(  # noqa: T201 - what the long form is run for
            f"\nschema: as {next(name for name, each in RUNS.items() if each is run)}:"
            f" {report['test_cases']['generated']} cases of {report['operations']['tested']} operations"
            f" in {report['running_time']:.0f} s (seed {report['seed']}); phases {', '.join(report['phases'])};"
            f" {sum(answered.values())} answers: {', '.join(f'{n} of {s}' for s, n in sorted(statuses.items()))}"
        )
