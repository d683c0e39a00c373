"""A demo that could not fail would show nothing: what goes otherwise ends the story, and nothing stays behind."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import Up
from wingman_cli.client import Client, open_http
from wingman_cli.demo_containers import KNOWN_IMAGES, OWN_IMAGE, Containers
from wingman_cli.engine import DockerEngine, EngineSource
from wingman_cli.instance import Instance
from wingman_cli.screen import Screen
from wingman_cli.story import REFUSALS, Cast, Differs, Story
from wingman_cli.thief import Thief
from wingman_core.errors import Code, Unavailable, WingmanError

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def docker(engine_url: str, busybox: str) -> Iterator[DockerEngine]:
    with DockerEngine(engine_url) as engine:
        engine.call("POST", f"/images/{busybox}/tag?repo=busybox&tag=story")
        yield engine


@pytest.fixture
def containers(docker: DockerEngine) -> Iterator[Containers]:
    made = Containers(docker)
    made.find_image(EngineSource({}), private=False)
    yield made
    made.clean()


def thief(up: Up) -> Thief:
    import psutil

    address = psutil.Process(up.child("gateway")).environ()["WINGMAN_GATEWAY_LISTEN"]
    return Thief(Instance(up.data_dir), address)


@pytest.fixture
def clients(up: Up) -> Iterator[tuple[Client, Client]]:
    keys = [Instance(up.data_dir).api_key_file(name).read_text() for name in ("worker", "operator")]
    with Client(open_http(up.api, keys[0])) as worker, Client(open_http(up.api, keys[1])) as operator:
        yield worker, operator


class Accomplice(Thief):
    """Presents the approved command after all: nothing is wrong with that, and so it runs."""

    def present(self, token: str, command: str) -> str:
        return super().present(token, command.replace("rm --force", "restart --time 1"))


def test_an_attack_that_succeeds_ends_the_story(up: Up, containers: Containers, clients: tuple[Client, Client]):
    honest = thief(up)
    cast = Cast(*clients, containers, Accomplice(honest.instance, honest.gateway), lambda: "", list)
    with pytest.raises(Differs, match=r"must be refused with TOKEN_OPERATION, and was done: 'exe_"):
        Story(cast, Screen(), "story-accomplice").play()


def test_a_log_that_has_not_seen_the_attacks_ends_the_story(
    up: Up, containers: Containers, clients: tuple[Client, Client], capsys: pytest.CaptureFixture[str]
):
    cast = Cast(*clients, containers, thief(up), lambda: "verified", list)
    with pytest.raises(Differs, match=r"the refusals in the log: expected \['APPROVAL_SPENT'.*found \[\]"):
        Story(cast, Screen(), "story-forgetful").play()
    told = capsys.readouterr().out
    assert [code for code in REFUSALS if f"refused  {code}: " in told] == list(REFUSALS)
    assert told.count("verified") == 2


def test_a_refusal_for_another_reason_ends_the_story(
    up: Up, containers: Containers, clients: tuple[Client, Client], docker: DockerEngine
):
    class Impatient(Containers):
        def rename(self, container_id: str, name: str) -> None:  # noqa: ARG002
            """Remove it instead: then the approved object is gone, and no other has its name."""
            docker.call("DELETE", f"/containers/{container_id}?force=true")

        def start(self, name: str) -> str:
            return self._made[0] if self._made else super().start(name)

        def started_at(self, container_id: str) -> str:
            try:
                return super().started_at(container_id)
            except Unavailable:
                return ""

    made = Impatient(docker)
    made.find_image(EngineSource({}), private=False)
    try:
        with pytest.raises(Differs, match=r"the reason of the refusal: expected .*TARGET_CHANGED.*TARGET_NOT_FOUND"):
            Story(Cast(*clients, made, thief(up), lambda: "", list), Screen(), "story-impatient").play()
    finally:
        with pytest.raises(Unavailable, match="No such container"):
            made.clean()


def test_everything_that_was_made_is_removed_again(docker: DockerEngine):
    containers = Containers(docker)
    image = containers.find_image(EngineSource({}), private=False)
    made = [containers.start(f"story-clean-{number}") for number in range(2)]
    assert all(containers.started_at(one) for one in made)
    containers.clean()
    left = {one["Id"] for one in docker.call("GET", "/containers/json?all=true").json()}
    assert not left & set(made)
    assert docker.call("GET", f"/images/{image}/json").status_code == 200, "an image that was there stays"


def test_an_image_is_made_where_none_is_known_and_removed_again(docker: DockerEngine, busybox: str, tmp_path: Path):
    known = [tag for image in docker.call("GET", "/images/json").json() for tag in image["RepoTags"] or ()]
    for tag in known:
        if tag.partition(":")[0] in KNOWN_IMAGES:  # another test may have left it
            docker.call("DELETE", f"/images/{tag}?force=true")
    script = tmp_path / "engine.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    containers = Containers(docker)
    with pytest.raises(Unavailable, match="wingman-demo/busybox"):
        containers.find_image(EngineSource({}, script=script), private=True)
    with pytest.raises(WingmanError):
        Containers(docker).find_image(EngineSource({}), private=False)
    repository, _, tag = OWN_IMAGE.partition(":")

    class Made(EngineSource):
        def image(self, reference: str) -> None:  # noqa: ARG002
            docker.call("POST", f"/images/{busybox}/tag?repo={repository}&tag={tag}")

    containers = Containers(docker)
    assert containers.find_image(Made({}), private=True) == OWN_IMAGE
    containers.clean()
    tags = json.dumps(docker.call("GET", "/images/json").json())
    assert OWN_IMAGE not in tags


def test_the_thief_is_refused_for_the_command_alone(up: Up, clients: tuple[Client, Client], containers: Containers):
    worker, operator = clients
    containers.start("story-thief")
    wish: dict[str, str | list[str]] = {
        "worker_id": "worker",
        "task_name": "t",
        "instruction": "i",
        "commands": ["docker restart --time 1 story-thief"],
    }
    approved = operator.decide(worker.request(wish).request.id, "approve", "")
    thieves = thief(up)
    token = thieves.token(approved)
    with pytest.raises(WingmanError) as refused:
        thieves.present(token, "docker rm --force story-thief")
    assert refused.value.code is Code.TOKEN_OPERATION
    assert thieves.present(token, "docker restart --time 1 story-thief").startswith("exe_")
