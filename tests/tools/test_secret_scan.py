"""The guards of the repository: a planted secret is refused before it is committed, and where commits arrive."""

import itertools
import os
import secrets
import shutil
import string
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.conftest import REPOSITORY

KEPT = ("tools/secret_scan.sh", "tools/wingman_key.py", ".githooks/pre-commit", ".secrets.baseline", "Makefile")
DASHES = "-" * 5


def letters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """A secret of this run's own."""
    return "".join(secrets.choice(alphabet) for _ in range(count))


PLANTED = {
    "a password": f'PASSWORD = "{letters(20)}"\n',
    "a bot's token": f"BOT {letters(10, string.digits)}:{letters(35)}\n",
    "a key of the API": f"export WINGMAN_API_KEY=wm_{letters(12).lower()}_{letters(43)}\n",
    "a private key": f"{DASHES}BEGIN {'PRIVATE'} KEY{DASHES}\n{letters(64)}\n{DASHES}END {'PRIVATE'} KEY{DASHES}\n",
    "an address with a password": f"postgresql://wingman_api:{letters(16)}@db/wingman\n",
    "a cloud's key": f"AKIA{letters(16, string.ascii_uppercase + string.digits)}\n",
}


class Clone:
    """A repository with the project's guards and one commit, as ``make hooks`` leaves it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        for name in KEPT:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, place / name)
        assert self.run("git", "init", "--quiet", "--initial-branch=main").returncode == 0
        assert self.run("make", "--assume-old=.venv/.ready", "hooks").returncode == 0
        self.git("add", "--all")
        assert self.commit("the guards").returncode == 0

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program in it, with the tools of this environment."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        who = {f"GIT_{one}_{what}": "a@example.org" for one in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return subprocess.run(
            words,
            cwd=self.place,
            env={**clean, "PATH": path, **who, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def git(self, *words: str) -> str:
        """Return what git says."""
        done = self.run("git", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def plant(self, name: str, text: str) -> None:
        """Have git know of a file."""
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.git("add", "--force", name)

    def commit(self, message: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Try to commit what is staged."""
        return self.run("git", "commit", "--quiet", "--message", message, *words)

    def workflow(self, before: str) -> subprocess.CompletedProcess[str]:
        """Run the step of the workflow that looks at what came after ``before``."""
        return self.run("bash", "-e", "-c", scanning()["run"], BEFORE=before)


def steps(name: str) -> list[Mapping[str, str]]:
    """The steps of a workflow's one job."""
    jobs = yaml.safe_load((REPOSITORY / ".github" / "workflows" / name).read_text())["jobs"]
    assert len(jobs) == 1
    found: list[Mapping[str, str]] = next(iter(jobs.values()))["steps"]
    return found


def scanning() -> Mapping[str, str]:
    """The step that scans."""
    return next(step for step in steps("secret-scan.yml") if step.get("name") == "scan")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone"))


PLACES = ("tests/core/test_planted.py", "src/wingman_core/planted.py", "docs/planted.md")


@pytest.mark.parametrize(("kind", "place"), [*zip(PLANTED, itertools.cycle(PLACES), strict=False)])
def test_a_planted_secret_is_refused_before_and_after_the_commit(clone: Clone, kind: str, place: str):
    before = clone.git("rev-parse", "HEAD")
    clone.plant(place, "# Harmless.\n" * 3 + PLANTED[kind])
    refused = clone.commit("it slipped in")
    assert refused.returncode != 0
    assert place in refused.stderr
    assert PLANTED[kind].strip() not in refused.stdout + refused.stderr, "a scan that prints what it found spreads it"
    assert clone.git("rev-parse", "HEAD") == before

    assert clone.commit("it was forced in", "--no-verify").returncode == 0
    assert clone.workflow(before).returncode != 0
    clone.git("rm", "--quiet", place)
    assert clone.commit("it was taken out again").returncode == 0
    arrived = clone.workflow(before)
    assert arrived.returncode != 0, "it is in the history"
    assert clone.git("rev-parse", "HEAD~1")[:12] in arrived.stderr
    clone.git("reset", "--quiet", "--hard", before)
    assert clone.workflow("0" * 40).returncode == 0, "a branch that is new has nothing before it"


@pytest.mark.parametrize(
    "name", [".env", ".env.prd", "deploy/compose/.env.test", "tests/api/.env.prd", ".ENV.PRD", "tests/.env/prd"]
)
def test_an_environment_file_is_refused_by_its_name(clone: Clone, name: str):
    before = clone.git("rev-parse", "HEAD")
    clone.plant(name, "# nothing in it\n")
    refused = clone.commit("settings")
    assert refused.returncode != 0
    assert name in refused.stderr
    clone.commit("settings", "--no-verify")
    arrived = clone.workflow(before)
    assert arrived.returncode != 0
    assert name in arrived.stderr
    clone.git("reset", "--quiet", "--hard", before)


def test_examples_and_what_was_said_to_be_no_secret_are_kept(clone: Clone):
    before = clone.git("rev-parse", "HEAD")
    clone.plant("deploy/compose/env.prd.example", "DB_PASSWORD=\n")
    clone.plant(".env.example", "BOT_TOKEN=\n")
    clone.plant("tests/gateway/test_settings.py", "\n" + (REPOSITORY / "tests/gateway/test_settings.py").read_text())
    assert clone.commit("examples").returncode == 0
    assert clone.workflow(before).returncode == 0
    clone.git("reset", "--quiet", "--hard", before)


def test_what_is_committed_is_looked_at_and_not_what_lies_there(clone: Clone):
    clone.plant("tests/staged.py", PLANTED["a password"])
    (clone.place / "tests" / "staged.py").write_text("# clean by now\n")
    assert clone.commit("the index has it").returncode != 0
    clone.git("reset", "--quiet", "--hard")


def test_the_tests_workflow_has_the_whole_of_ci_and_its_floor():
    ran = [step["run"] for step in steps("wingman-tests.yml") if "run" in step]
    assert ".ci/run" in ran[0]
    assert "coverage report --fail-under=95" in ran[1]
    for name in ("wingman-tests.yml", "secret-scan.yml"):
        triggers = yaml.safe_load((REPOSITORY / ".github" / "workflows" / name).read_text())[True]  # on, to YAML 1.1
        assert {"push", "pull_request"} <= set(triggers)
