"""The prunes: what they would remove is found before, shown, bound, and exactly that is removed."""

import asyncio
import secrets

import pytest

from tests.gateway.engine.conftest import Docker, perform
from wingman_core.command import PruneOperation, parse
from wingman_core.errors import Code, TargetRefused
from wingman_gateway.engine import Engine
from wingman_gateway.engine.connection import Connection
from wingman_gateway.engine.selection import select
from wingman_gateway.resources import resources_of


@pytest.fixture
def label() -> str:
    """A label that only this test's objects have: others of the engine are not touched."""
    return f"test={secrets.token_hex(4)}"


def image_of(docker: Docker, label: str, tag: str = "") -> str:
    """Make an image of its own layer, and return its id."""
    seed = docker.run(command=("sh", "-c", f"echo {secrets.token_hex(32)} > /x"))
    docker("wait", seed)
    made = docker("commit", "--change", f"LABEL {label}", seed, *([tag] if tag else [])).strip()
    docker("rm", seed)
    return made


async def test_stopped_containers_go_and_running_ones_stay(engine: Engine, docker: Docker, label: str) -> None:
    ended = docker.run("--label", label, command=("true",))
    docker("wait", ended)
    running = docker.run("--label", label)
    command = f"docker container prune -f --filter label={label}"
    op = parse(command)
    (target,) = await engine.resolve(op)
    assert target.name == ended
    radius = await engine.blast_radius(op, (target,))
    assert radius.summary == f"Removes for good 1 container: {ended}."
    assert radius.data_lost == (f"the writable layer and the log of {ended}",)
    assert not radius.reversible
    ran = await perform(engine, command)
    assert ran.stdout == f"Deleted Containers:\n{target.id}\n\nTotal reclaimed space: 0B\n"
    assert ran.code == 0
    assert docker("ps", "-aq", "--no-trunc", "--filter", f"label={label}").strip() == docker.inspect(running)["Id"]
    empty = await engine.blast_radius(op, await engine.resolve(op))
    assert "removes nothing" in empty.summary
    assert (await perform(engine, command)).stdout == "Total reclaimed space: 0B\n"


async def test_what_is_unused_only_later_stays_and_what_is_used_again_is_told(
    engine: Engine, docker: Docker, label: str
) -> None:
    first, second = (docker.run("--label", label, command=("true",)) for _ in range(2))
    docker("wait", first, second)
    command = f"docker container prune --filter label={label}"
    targets = await engine.resolve(parse(command))
    later = docker.run("--label", label, command=("true",))
    docker("wait", later)
    docker("rename", first, docker.name("again"))
    docker("update", "--restart", "always", second)
    docker("rm", second)
    ran = await perform(engine, command, targets=targets)
    assert ran.code == 1
    assert "No such container" in ran.stderr
    assert docker("ps", "-aq", "--filter", f"label={label}").split() == [str(docker.inspect(later)["Id"])[:12]]


@pytest.mark.parametrize(
    ("filters", "number"), [("until=1h", 0), ("until=2099-01-01T00:00:00Z", 2), ("label!=keep", 1)]
)
async def test_filters_mean_what_they_mean_to_docker(
    filters: str, number: int, engine: Engine, docker: Docker, label: str
) -> None:
    for extra in ((), ("--label", "keep")):
        docker("create", "--name", docker.name(), "--label", label, *extra, docker.image)
    op = parse(f"docker container prune --filter label={label} --filter '{filters}'")
    assert len(await engine.resolve(op)) == number


async def test_networks_without_a_running_container_go(engine: Engine, docker: Docker, label: str) -> None:
    used, unused = docker.name(), docker.name()
    for name in (used, unused):
        docker("network", "create", "--label", label, name)
    docker.run("--network", used)
    command = f"docker network prune --filter label={label}"
    ran = await perform(engine, command)
    assert (ran.stdout, ran.code) == (f"Deleted Networks:\n{unused}\n\n", 0)
    assert docker("network", "ls", "-q", "--filter", f"label={label}", "--format", "{{.Name}}").split() == [used]
    assert (await perform(engine, command)).stdout == ""


async def test_volumes_of_no_container_go_the_named_ones_only_when_asked(
    engine: Engine, docker: Docker, label: str
) -> None:
    named, used = docker.name("v"), docker.name("v")
    for name in (named, used):
        docker("volume", "create", "--label", label, name)
    docker("create", "--name", docker.name(), "-v", f"{used}:/x", docker.image)
    anonymous = docker("volume", "create", "--label", label).strip()
    plain = await engine.resolve(parse(f"docker volume prune --filter label={label}"))
    assert [target.id for target in plain] == [anonymous]
    command = f"docker volume prune --all --filter label={label}"
    radius = await engine.blast_radius(parse(command), await engine.resolve(parse(command)))
    assert set(radius.data_lost) == {f"everything in the volume {name}" for name in (anonymous, named)}
    ran = await perform(engine, command)
    assert ran.stdout.startswith("Deleted Volumes:\n")
    assert ran.code == 0
    assert docker("volume", "ls", "-q", "--filter", f"label={label}").split() == [used]


async def test_images_of_no_container_go_the_tagged_ones_only_when_asked(
    engine: Engine, docker: Docker, label: str
) -> None:
    tag = f"{docker.name('img')}:1"
    loose, tagged, used = image_of(docker, label), image_of(docker, label, tag), image_of(docker, label)
    docker("create", "--name", docker.name(), used)
    dangling = await engine.resolve(parse(f"docker image prune --filter label={label}"))
    assert [target.id for target in dangling] == [loose]
    command = f"docker image prune -a --filter label={label}"
    assert {target.name for target in await engine.resolve(parse(command))} == {loose, tag}
    ran = await perform(engine, command)
    assert f"untagged: {tag}\n" in ran.stdout
    assert f"deleted: {loose}\n" in ran.stdout
    assert ran.code == 0
    assert "Total reclaimed space: " in ran.stdout
    assert "Total reclaimed space: 0B" not in ran.stdout
    assert docker("images", "-aq", "--no-trunc", "--filter", f"label={label}").split() == [used]
    assert tagged not in docker("images", "-aq", "--no-trunc")


async def test_an_image_that_would_go_is_shown_and_judged_by_all_of_its_names(
    engine: Engine, docker: Docker, label: str
) -> None:
    names = sorted(f"{docker.name('image')}:1" for _ in range(2))
    made = image_of(docker, label, names[0])
    docker("tag", made, names[1])
    op = parse(f"docker image prune --all --filter label={label}")
    (target,) = targets = await engine.resolve(op)
    assert sorted(target.names) == names
    assert [entity.key for entity in resources_of(op, targets)] == [f"object:{name}:{made}" for name in target.names]
    shown = f"{target.names[0]} (also {target.names[1]})"
    assert (await engine.blast_radius(op, targets)).summary == f"Removes for good 1 image: {shown}."
    docker("rmi", *names)


async def test_a_system_prune_takes_what_its_own_containers_used(engine: Engine, docker: Docker, label: str) -> None:
    """An image and a volume that only a stopped container of it uses go with it; labels spare everything else."""
    image = image_of(docker, label)
    ended = docker.run("--label", label, "-v", "/anonymous", command=("true",))
    docker("wait", ended)
    docker("create", "--name", docker.name(), "--label", label, image)
    volume = docker("volume", "create", "--label", label).strip()
    docker("network", "create", "--label", label, docker.name())
    op = parse(f"docker system prune --volumes --filter label={label}")
    targets = await engine.resolve(op)
    assert [target.reference.kind for target in targets] == ["container", "container", "network", "volume", "image"]
    assert {volume, image} <= {target.id for target in targets}
    radius = await engine.blast_radius(op, targets)
    assert "2 containers, 1 network, 1 volume, 1 image and the unused build cache" in radius.summary
    ran = await perform(engine, f"docker system prune --volumes --filter label={label}")
    assert ran.code == 0
    for title in ("Containers", "Networks", "Volumes", "Images"):
        assert f"Deleted {title}:\n" in ran.stdout
    assert await engine.resolve(op) == ()


async def test_a_system_prune_without_labels_asks_for_the_build_cache(engine: Engine) -> None:
    ran = await perform(engine, "docker system prune --filter until=2400h")
    assert (ran.stdout, ran.code) == ("Total reclaimed space: 0B\n", 0)


async def test_a_prune_with_a_volume_in_use_is_refused_by_the_engine(
    engine: Engine, docker: Docker, label: str
) -> None:
    volume = docker("volume", "create", "--label", label).strip()
    command = f"docker volume prune --filter label={label}"
    targets = await engine.resolve(parse(command))
    holder = await asyncio.to_thread(docker.run, "-v", f"{volume}:/x")
    ran = await perform(engine, command, targets=targets)
    assert ran.code == 1
    assert "in use" in ran.stderr
    docker("rm", "-f", holder)
    docker("volume", "rm", volume)


async def test_more_objects_than_people_can_judge_are_refused(docker: Docker, label: str) -> None:
    ended = [docker.run("--label", label, command=("true",)) for _ in range(2)]
    docker("wait", *ended)
    op = parse(f"docker container prune --filter label={label}")
    assert isinstance(op, PruneOperation)
    connection = Connection.open(docker.url)
    try:
        await connection.negotiate()
        assert len(await select(connection, op, most=2)) == 2
        with pytest.raises(TargetRefused, match="would remove 2 objects, and one approval is for at most 1") as refused:
            await select(connection, op, most=1)
    finally:
        await connection.close()
    assert refused.value.code is Code.TARGET_TOO_MANY
    assert "--filter" in refused.value.hint
