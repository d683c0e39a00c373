"""``wingman demo``: the story plays, the attacks are refused, nothing is left."""

import subprocess
from pathlib import Path

import pytest

from tests.cli.running import WINGMAN, environment, wingman
from wingman_cli.engine import DockerEngine

pytestmark = pytest.mark.timeout(600)


def containers(engine: str) -> list[str]:
    with DockerEngine(engine) as docker:
        return sorted(one["Id"] for one in docker.call("GET", "/containers/json?all=true").json())


def test_the_demo_plays_the_whole_story_and_cleans_up(engine_url: str, busybox: str, tmp_path: Path):
    with DockerEngine(engine_url) as docker:
        docker.call("POST", f"/images/{busybox}/tag?repo=busybox&tag=demo")
    before = containers(engine_url)
    played = wingman(tmp_path / "unused", "demo", WINGMAN_DOCKER_HOST=engine_url, TMPDIR=str(tmp_path))
    assert played.returncode == 0, played.stdout + played.stderr
    told = [line.strip() for line in played.stdout.splitlines()]
    refusals = [line.split()[1].rstrip(":") for line in told if line.startswith("refused")]
    assert refusals == ["APPROVAL_PENDING", "ROLE_MISSING", "APPROVAL_SPENT", "TOKEN_OPERATION", "TARGET_CHANGED"]
    assert any(line.startswith("The log is whole: 5 records (1 INTENT, 1 RESULT, 3 REFUSED)") for line in told)
    assert "Everything is cleaned up." in played.stdout
    assert containers(engine_url) == before
    assert not list(tmp_path.glob("wingman-demo-*"))


def test_without_an_engine_it_says_what_to_do(tmp_path: Path):
    refused = wingman(tmp_path, "demo", WINGMAN_DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert refused.returncode == 4
    assert refused.stderr.startswith("ENGINE_UNAVAILABLE: the demo needs a Docker engine")
    assert "--engine auto" in refused.stderr


def test_a_demo_that_is_stopped_midway_cleans_up_too(engine_url: str, busybox: str, tmp_path: Path):
    with DockerEngine(engine_url) as docker:
        docker.call("POST", f"/images/{busybox}/tag?repo=busybox&tag=demo")
    before = containers(engine_url)
    variables = environment(tmp_path, PYTHONUNBUFFERED="1", WINGMAN_DOCKER_HOST=engine_url, TMPDIR=str(tmp_path))
    playing = subprocess.Popen(
        [WINGMAN, "demo"], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert playing.stdout is not None
    told = ""
    while "A worker asks" not in told:
        line = playing.stdout.readline()
        assert line, told
        told += line
    playing.terminate()
    out, err = playing.communicate(timeout=120)
    assert playing.returncode == 1, out + err
    assert err.endswith("Stopped before the end; everything is cleaned up.\n")
    assert "All as it must be" not in out
    assert containers(engine_url) == before
    assert not list(tmp_path.glob("wingman-demo-*"))
