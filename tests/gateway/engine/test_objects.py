"""Images, volumes, networks, names and limits on the real engine: what is shown before, done, and testified after."""

import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest

from tests.gateway.engine.conftest import Docker, perform
from wingman_core.command import parse
from wingman_core.errors import Code, TargetRefused
from wingman_core.target import Target, targets_digest
from wingman_core.verdict import BlastRadius, Forbidden
from wingman_gateway.engine import Engine
from wingman_gateway.engine.engine_info import info_text, version_text
from wingman_gateway.policy import Policy

LONG_AGO = datetime.now(UTC) - timedelta(days=1)
LATER = datetime.now(UTC) + timedelta(days=1)


async def shown(engine: Engine, command: str) -> BlastRadius:
    op = parse(command)
    return await engine.blast_radius(op, await engine.resolve(op))


async def said(
    engine: Engine, command: str, targets: tuple[Target, ...], since: datetime, execution_id: str = "exe_t"
) -> str:
    testimony = await engine.testify(parse(command), targets, execution_id, since, {})
    assert isinstance(json.loads(testimony.evidence), dict)
    return testimony.outcome


async def done_and_told(engine: Engine, command: str, *, before: str = "FAILED", after: str = "SUCCEEDED") -> None:
    """What Docker says of an act before it happened and long after its time, and once it happened."""
    targets = await engine.resolve(parse(command))
    assert (command, await said(engine, command, targets, LONG_AGO)) == (command, before)
    assert await said(engine, command, targets, LATER) == {"FAILED": "RUNNING"}.get(before, before)
    begun = datetime.now(UTC) - timedelta(seconds=2)
    ran = await perform(engine, command, "exe_t", targets=targets)
    assert ran.code == 0, ran.stderr
    assert (command, await said(engine, command, targets, begun)) == (command, after)


async def test_each_verb_testifies(engine: Engine, docker: Docker) -> None:
    box, volume, net, image = docker.name("box"), docker.name("v"), docker.name("n"), docker.name("i")
    await done_and_told(engine, f"docker create --name {box} {docker.image} sleep 1000")
    await done_and_told(engine, f"docker rename {box} {box}x")
    await done_and_told(engine, f"docker update --cpu-shares 300 {box}x")
    await done_and_told(engine, f"docker volume create {volume}")
    await done_and_told(engine, f"docker network create {net}")
    docker("start", f"{box}x")  # the engine remembers no connection of what does not run
    await done_and_told(engine, f"docker network connect {net} {box}x")
    await done_and_told(engine, f"docker network disconnect {net} {box}x")
    await done_and_told(engine, f"docker tag {docker.image} {image}:1")
    await done_and_told(engine, f"docker rmi {image}:1")
    await done_and_told(engine, f"docker network rm {net}")
    await done_and_told(engine, f"docker volume rm {volume}")
    docker("stop", "-t", "0", f"{box}x")
    await done_and_told(engine, "docker container prune --filter label=wingman.execution=exe_t --filter until=0s")


async def test_a_state_that_may_be_older_is_no_testimony(engine: Engine, docker: Docker) -> None:
    box, volume = docker.name("box"), docker.name("v")
    docker("create", "--name", box, "--cpu-shares", "300", docker.image)
    docker("volume", "create", volume)
    update = f"docker update --cpu-shares 300 {box}"
    assert await said(engine, update, await engine.resolve(parse(update)), LATER) == "UNKNOWN"
    create = f"docker volume create {volume}"
    assert await said(engine, create, await engine.resolve(parse(create)), LATER) == "SUCCEEDED"  # nothing to do
    rename = f"docker rename {box} {box}x"
    targets = await engine.resolve(parse(rename))
    docker("rename", box, f"{box}y")
    assert await said(engine, rename, targets, LONG_AGO) == "UNKNOWN"
    network = docker.name("n")
    docker("network", "create", network)
    joins = f"docker network connect {network} {box}y"
    connected = await engine.resolve(parse(joins))
    docker("rm", f"{box}y")
    for command, gone in ((rename, targets), (update, targets[:1]), (joins, connected)):
        assert await said(engine, command, gone, LONG_AGO) == "UNKNOWN"
    remove = f"docker volume rm {volume}"
    targets = await engine.resolve(parse(remove))
    docker("volume", "rm", volume)
    assert await said(engine, remove, targets, LATER) == "UNKNOWN"


async def test_what_is_made_or_moved_is_named(engine: Engine, docker: Docker) -> None:
    box, other, net, tag = docker.run(), docker.name("v"), docker.name("n"), f"{docker.name('i')}:1"
    docker("network", "create", net)
    docker("tag", docker.image, tag)
    for command, summary in (
        (f"create --name {other} {docker.image}", f"Creates the container {other} of {docker.image}"),
        (f"create {docker.image}", "Creates a container of"),
        (f"rename {box} {other}", f"Renames {box} to {other}"),
        (f"update --memory 64m --cpus 1 {box}", f"Changes Memory, NanoCpus of {box}"),
        (f"tag {docker.image} {other}:1", f"{other}:1 as well."),
        (f"volume create {other}", f"Creates the volume {other}."),
        ("volume create", "Creates the volume of a random name."),
        (f"network create --internal {other}", f"Creates the internal network {other} (bridge)."),
        (f"network connect {net} {box}", f"Puts {box} on the network {net}"),
    ):
        radius = await shown(engine, f"docker {command}")
        assert summary in radius.summary
        assert radius.reversible


async def test_what_a_removal_takes_with_it_and_who_uses_it(engine: Engine, docker: Docker) -> None:
    volume, net, tag = docker.name("v"), docker.name("n"), f"{docker.name('i')}:1"
    docker("network", "create", net)
    box = docker.run("-v", f"{volume}:/x", "--network", net)
    radius = await shown(engine, f"docker volume rm {volume}")
    assert radius.data_lost == (f"everything in the volume {volume}",)
    assert radius.dependents == (f"{box} (running) uses the volume {volume}",)
    assert not radius.reversible
    radius = await shown(engine, f"docker network rm {net}")
    assert radius.dependents == (f"{box} (running) uses the network {net}",)
    friend = docker.run("--network", net)
    radius = await shown(engine, f"docker network disconnect {net} {box}")
    assert f"Takes {box} off the network {net}" in radius.summary
    assert radius.dependents == (f"{friend} (running) uses the network {net}",)
    docker("tag", docker.image, tag)
    radius = await shown(engine, f"docker rmi {tag}")
    assert radius.summary == f"Takes the name {tag} off its image, which has others."
    assert radius.reversible
    docker("rmi", tag)
    made = docker("commit", box, tag).strip()
    radius = await shown(engine, f"docker rmi {tag}")
    assert radius.summary == f"Deletes the image {tag}."
    assert not radius.reversible
    docker("rmi", made)


async def test_a_name_that_moved_is_not_taken_off_another_image(engine: Engine, docker: Docker) -> None:
    tag, box = f"{docker.name('i')}:1", docker.run()
    docker("tag", docker.image, tag)
    command = f"docker rmi {tag}"
    targets = await engine.resolve(parse(command))
    other = docker("commit", box, tag).strip()
    ran = await perform(engine, command, targets=targets)
    assert ran.code == 1
    assert "names another image by now" in ran.stderr
    assert docker("images", "-q", "--no-trunc", tag).strip() == other
    docker("rmi", tag)


async def test_every_name_that_goes_with_an_id_is_judged_shown_and_bound(engine: Engine, docker: Docker) -> None:
    first, wingmans, later = f"{docker.name('a')}:1", f"wingman-gateway-{docker.name('b')}:1", f"{docker.name('c')}:1"
    made = docker("commit", docker.run(), first).strip()
    by_id = f"docker rmi --force {made.removeprefix('sha256:')[:12]}"
    one = await engine.resolve(parse(by_id))
    docker("tag", made, wingmans)
    op, policy = parse(by_id), Policy.load(Path(str(resources.files("wingman_gateway") / "policies")), "test")
    targets = await engine.resolve(op)
    assert [target.name for target in targets] == [first, wingmans]
    assert targets_digest(targets) != targets_digest(one)
    assert (await engine.blast_radius(op, targets)).summary == f"Deletes the image {first}, {wingmans}."
    verdict = policy.verdict(op, targets, "worker")
    assert isinstance(verdict, Forbidden)
    assert verdict.policies == ("wingman-image",)
    docker("tag", made, later)
    ran = await perform(engine, by_id, targets=targets)
    assert (ran.code, docker("images", "-q", "--no-trunc", later).strip()) == (1, made)
    assert f"is named {later} as well by now" in ran.stderr
    ran = await perform(engine, by_id)
    assert (ran.code, ran.stdout.count("Untagged:"), ran.stdout.count(f"Deleted: {made}")) == (0, 3, 1)


async def test_a_tag_that_begins_the_id_is_a_tag_and_takes_no_other_name_along(engine: Engine, docker: Docker) -> None:
    first = f"{docker.name('a')}:1"
    made = docker("commit", docker.run(), first).strip()
    word = made.removeprefix("sha256:")[:12]
    docker("tag", made, f"{word}:latest")
    command = f"docker rmi --force {word}"
    assert [target.name for target in await engine.resolve(parse(command))] == [word]
    ran = await perform(engine, command)
    assert (ran.code, ran.stdout) == (0, f"Untagged: {word}:latest\n")
    assert docker("images", "-q", "--no-trunc", first).strip() == made
    docker("rmi", first)


async def test_a_new_tag_that_begins_an_images_id_takes_it_from_nobody(engine: Engine, docker: Docker) -> None:
    made = docker("images", "-q", "--no-trunc", docker.image).strip()
    op = parse(f"docker tag {docker.image} {made.removeprefix('sha256:')[:8]}")
    _, given = await engine.resolve(op)
    assert (given.id, given.names) == ("", ())
    assert "taken from" not in (await engine.blast_radius(op, (_, given))).summary


async def test_a_name_that_came_since_is_another_target_of_an_id(engine: Engine, docker: Docker) -> None:
    first, later = f"{docker.name('a')}:1", f"{docker.name('b')}:1"
    made = docker("commit", docker.run(), first).strip()
    op = parse(f"docker rmi {made}")
    shown_then = await engine.resolve(op)
    docker("tag", made, later)
    docker("rmi", first)
    assert targets_digest(await engine.resolve(op)) != targets_digest(shown_then)
    ran = await perform(engine, f"docker rmi {made}", targets=shown_then)
    assert (ran.code, docker("images", "-q", "--no-trunc", later).strip()) == (1, made)
    docker("rmi", later)


async def test_without_force_an_image_of_several_names_stays(engine: Engine, docker: Docker) -> None:
    tags = [f"{docker.name('a')}:1", f"{docker.name('b')}:1"]
    made = docker("commit", docker.run(), tags[0]).strip()
    docker("tag", made, tags[1])
    short = made.removeprefix("sha256:")[:12]
    assert (await shown(engine, f"docker rmi {short}")).summary == f"Deletes the image {short}."
    ran = await perform(engine, f"docker rmi {short}")
    assert ran.code == 1
    assert "must be forced" in ran.stderr
    docker("rmi", *tags)


async def test_a_tag_that_another_image_has_is_shown_and_bound(engine: Engine, docker: Docker) -> None:
    tag, box = f"{docker.name('i')}:1", docker.run()
    other = docker("commit", box, tag).strip()
    op = parse(f"docker tag {docker.image} {tag}")
    targets = await engine.resolve(op)
    assert [target.id for target in targets] == [docker("images", "-q", "--no-trunc", docker.image).strip(), other]
    assert f"now taken from {other[:19]}" in (await engine.blast_radius(op, targets)).summary
    docker("rmi", tag)


@pytest.mark.parametrize("kind", ["network", "volume", "image"])
async def test_what_does_not_exist_is_refused(kind: str, engine: Engine) -> None:
    word = "rmi" if kind == "image" else f"{kind} rm"
    with pytest.raises(TargetRefused) as refused:
        await engine.resolve(parse(f"docker {word} no-such-{kind}"))
    assert refused.value.code is Code.TARGET_NOT_FOUND


async def test_a_new_networks_name_must_be_free(engine: Engine, docker: Docker) -> None:
    name = docker.name("n")
    docker("network", "create", name)
    with pytest.raises(TargetRefused) as refused:
        await engine.resolve(parse(f"docker network create {name}"))
    assert refused.value.code is Code.TARGET_EXISTS


async def test_warnings_and_refusals_of_the_engine_are_told(engine: Engine, docker: Docker) -> None:
    name = docker.name()
    docker("create", "--name", name, docker.image)
    ran = await perform(engine, f"docker update --memory 1m {name}")
    assert ran.code == 1
    assert ran.stderr.startswith("Error response from daemon: ")
    volume = docker.name("v")
    docker("volume", "create", volume)
    docker("create", "--name", docker.name(), "-v", f"{volume}:/x", docker.image)
    ran = await perform(engine, f"docker volume rm {volume}")
    assert ran.code == 1
    assert "in use" in ran.stderr
    targets = await engine.resolve(parse(f"docker wait {name}"))
    docker("rm", name)
    ran = await perform(engine, f"docker wait {name}", targets=targets)
    assert ran.code == 1
    assert "No such container" in ran.stderr


def test_an_engine_with_more_to_say_says_it() -> None:
    """Rows that the test engine has no reason for: plugins, proxies, registries, pools, a platform's name."""
    info = {
        "Containers": 1,
        "ContainersRunning": 1,
        "ContainersPaused": 0,
        "ContainersStopped": 0,
        "Images": 2,
        "Plugins": {"Volume": ["local"], "Network": None, "Authorization": ["opa"], "Log": ["local"]},
        "CDISpecDirs": ["/etc/cdi"],
        "OSType": "windows",
        "NCPU": 2,
        "MemTotal": 2**30,
        "DockerRootDir": "/data",
        "Debug": True,
        "NFd": 22,
        "HttpProxy": "http://proxy:1",
        "Labels": ["a=b"],
        "RegistryConfig": {
            "IndexConfigs": {"r.example": {"Secure": False}, "docker.io": {"Secure": True}},
            "InsecureRegistryCIDRs": ["127.0.0.0/8"],
            "Mirrors": ["https://m.example/"],
        },
        "ProductLicense": "Community",
        "DefaultAddressPools": [{"Base": "172.30.0.0/16", "Size": 24}],
    }
    text = info_text(info)
    for line in (
        "  Authorization: opa",
        " CDI spec directories:",
        "  File Descriptors: 22",
        " HTTP Proxy: http://proxy:1",
        "  r.example",
        " Registry Mirrors:",
        " Product License: Community",
        "   Base: 172.30.0.0/16, Size: 24",
        " Total Memory: 1GiB",
    ):
        assert f"{line}\n" in text
    assert " Init Binary" not in text
    assert "  docker.io\n" not in text
    version = {"Platform": {"Name": "Engine X"}, "Components": [{"Name": "Engine", "Version": "1", "Details": {}}]}
    assert version_text(version).startswith("Server: Engine X\n Engine:\n  Version:          1\n")
