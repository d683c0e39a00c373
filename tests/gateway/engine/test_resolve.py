"""From names to objects of the live engine: what is bound, what is shown, and what is refused."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.engine.conftest import Docker, scripted, scripted_engine
from tests.gateway.engine.registry import serving
from wingman_core.command import parse
from wingman_core.errors import Code, TargetRefused, Unavailable
from wingman_core.target import Reference, targets_digest
from wingman_gateway.engine import Engine, EngineRefused
from wingman_gateway.engine.connection import Connection
from wingman_gateway.engine.resolve import resolve

PROJECT = "com.docker.compose.project"


async def test_a_name_a_prefix_and_an_id_lead_to_one_container(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run, "--label", f"{PROJECT}=shop", "--label", "a=b")
    container = docker.inspect(name)
    full = str(container["Id"])
    for word in (name, full, full[:12]):
        (target,) = await engine.resolve(parse(f"docker stop {word}"))
        assert target.reference == Reference("container", word)
        assert (target.id, target.name, target.state) == (full, name, "running")
        assert (target.image, target.image_digest) == (docker.image, container["Image"])
        assert target.project == "shop"
        assert target.labels == (("a", "b"), (PROJECT, "shop"))
        assert target.privileges == ()


async def test_a_container_made_by_its_images_id_is_known_by_the_images_name(
    engine: Engine, docker: Docker, tmp_path: Path
) -> None:
    image = docker.inspect(docker.image)["Id"]
    for by in (image, image.removeprefix("sha256:")[:12]):
        name = docker.name()
        await asyncio.to_thread(docker, "create", "--name", name, by)
        (target,) = await engine.resolve(parse(f"docker rm {name}"))
        assert (target.image, target.image_digest) == (docker.image, image)

    lost = {"Id": "ab" * 32, "Name": "/web", "Image": "sha256:cd", "State": {"Status": "exited"}}

    async def handler(request: web.Request) -> web.StreamResponse:
        if "/containers/" in request.path:
            return web.json_response({**lost, "Config": {"Image": "sha256:cd"}})
        return web.json_response({"message": "no such image"}, status=404)

    async with scripted_engine(tmp_path, handler) as without:
        (target,) = await without.resolve(parse("docker rm web"))
    assert target.image == "sha256:cd"


async def test_what_is_bound_survives_a_restart_and_not_a_replacement(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    op = parse(f"docker restart {name}")
    before = targets_digest(await engine.resolve(op))
    await asyncio.to_thread(docker, "stop", "-t", "0", name)
    assert targets_digest(await engine.resolve(op)) == before
    await asyncio.to_thread(docker, "rm", name)
    await asyncio.to_thread(docker.run, name=name)
    assert targets_digest(await engine.resolve(op)) != before


async def test_several_names_resolve_in_the_commands_order(engine: Engine, docker: Docker) -> None:
    names = [docker.name(), docker.name()]
    for name in names:
        await asyncio.to_thread(docker, "create", "--name", name, docker.image)
    targets = await engine.resolve(parse(f"docker rm {names[1]} {names[0]}"))
    assert [target.name for target in targets] == [names[1], names[0]]
    assert [target.state for target in targets] == ["created", "created"]


@pytest.mark.parametrize(
    "command", ["docker stop nobody-is-called-this", "docker inspect no/such:image", "docker run no/such:image"]
)
async def test_what_does_not_exist_is_refused(command: str, engine: Engine) -> None:
    with pytest.raises(TargetRefused) as refused:
        await engine.resolve(parse(command))
    assert refused.value.code is Code.TARGET_NOT_FOUND
    assert refused.value.details["reference"] in command
    assert refused.value.hint


async def test_an_unknown_network_is_refused(engine: Engine, docker: Docker) -> None:
    with pytest.raises(TargetRefused, match="no network") as refused:
        await engine.resolve(parse(f"docker run --network nobodys {docker.image}"))
    assert refused.value.code is Code.TARGET_NOT_FOUND


async def test_an_image_is_bound_by_its_id_under_each_of_its_names(engine: Engine, docker: Docker) -> None:
    image = str(docker.inspect(docker.image)["Id"])
    for word in (docker.image, image, image.removeprefix("sha256:")[:12]):
        found = await engine.resolve(parse(f"docker run {word} true"))
        assert [target.id for target in found] == [image]
        assert found[0].image_digest == ""


async def test_a_new_name_must_be_free(engine: Engine, docker: Docker) -> None:
    name = docker.name()
    new, image = await engine.resolve(parse(f"docker run --name {name} {docker.image}"))
    assert (new.reference.role, new.id, new.name, image.reference.role) == ("new", "", name, "peer")
    await asyncio.to_thread(docker, "create", "--name", name, docker.image)
    with pytest.raises(TargetRefused) as refused:
        await engine.resolve(parse(f"docker run --name {name} {docker.image}"))
    assert refused.value.code is Code.TARGET_EXISTS


async def test_a_new_name_is_not_taken_by_an_id_that_begins_like_it(engine: Engine, docker: Docker) -> None:
    name = docker.name()
    await asyncio.to_thread(docker, "create", "--name", name, docker.image)
    prefix = str(docker.inspect(name)["Id"])[:12]
    new, _ = await engine.resolve(parse(f"docker run --name {prefix} {docker.image}"))
    assert (new.id, new.name) == ("", prefix)


async def test_networks_and_volumes_are_bound_too(engine: Engine, docker: Docker) -> None:
    network, volume, absent = docker.name("network"), docker.name("volume"), docker.name("absent")
    await asyncio.to_thread(docker, "network", "create", "--label", f"{PROJECT}=shop", network)
    await asyncio.to_thread(docker, "volume", "create", "--label", f"{PROJECT}=shop", volume)
    command = f"docker run --network {network} -v {volume}:/a -v {absent}:/b {docker.image}"
    found = {(target.reference.kind, target.reference.name): target for target in await engine.resolve(parse(command))}
    assert found["network", network].id == docker("network", "inspect", "-f", "{{.Id}}", network).strip()
    assert found["network", network].project == found["volume", volume].project == "shop"
    assert found["volume", volume].id == volume
    assert (found["volume", absent].id, found["volume", absent].name) == ("", absent)


async def test_a_pull_is_bound_to_the_registrys_digest(engine: Engine) -> None:
    async with serving() as registry:
        digest = registry.push("1", "one")
        op = parse(f"docker pull {registry.image}:1")
        (target,) = await engine.resolve(op)
        assert (target.id, target.image_digest) == ("", digest)
        before = targets_digest((target,))
        registry.push("1", "two")
        assert targets_digest(await engine.resolve(op)) != before


async def test_a_registry_that_does_not_answer_leaves_the_digest_unknown(engine: Engine) -> None:
    async with serving() as registry:
        registry.broken = True
        (target,) = await engine.resolve(parse(f"docker pull {registry.image}:1"))
    assert target.image_digest == ""


async def test_a_registry_that_keeps_silent_leaves_the_digest_unknown(tmp_path: Path) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with scripted(tmp_path, silent) as url:
        connection = Connection.open(url)
        (target,) = await resolve(connection, [Reference("image", "busybox:1", "fetch")], registry_seconds=0.1)
        await connection.close()
    assert target.image_digest == ""


async def test_an_engine_that_goes_away_during_a_pulls_resolution_is_said(tmp_path: Path) -> None:
    async def leaving(request: web.Request) -> web.StreamResponse:
        (tmp_path / "engine.sock").unlink()
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with scripted_engine(tmp_path, leaving) as engine:
        with pytest.raises(Unavailable):
            await engine.resolve(parse("docker pull busybox:1"))


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (404, "Multiple IDs found with provided prefix: ab"),
        (400, "ambiguous reference"),
        (400, "network ab is ambiguous (2 matches found on name)"),
    ],
)
async def test_more_than_one_object_is_refused(status: int, answer: str, tmp_path: Path) -> None:
    async def ambiguous(request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": answer}, status=status)

    async with scripted(tmp_path, ambiguous) as url:
        engine = await Engine.connect(url)
        with pytest.raises(TargetRefused) as refused:
            await engine.resolve(parse("docker stop ab"))
        connection = Connection.open(url)
        (new,) = await resolve(connection, [Reference("container", "ab", "new")])
        await connection.close()
        await engine.close()
    assert refused.value.code is Code.TARGET_AMBIGUOUS
    assert new.id == ""


async def test_an_engine_that_fails_is_not_taken_for_an_absent_object(tmp_path: Path) -> None:
    async def failing(request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "boom"}, status=500)

    async with scripted_engine(tmp_path, failing) as engine:
        for command in ("docker stop a", "docker run --name abc i", "docker run -v data:/x i", "docker inspect i:1"):
            with pytest.raises(EngineRefused, match="boom"):
                await engine.resolve(parse(command))


async def test_a_volume_that_cannot_be_inspected_counts_as_the_host(tmp_path: Path) -> None:
    container: dict[str, Any] = {
        "Id": "ab" * 32,
        "Name": "/web",
        "Image": "sha256:cd",
        "State": {"Status": "running"},
        "Config": {},
        "Mounts": [{"Type": "volume", "Name": "gone"}],
    }

    async def handler(request: web.Request) -> web.StreamResponse:
        if "/containers/" in request.path:
            return web.json_response(container)
        return web.json_response({"message": "no such volume"}, status=404)

    async with scripted_engine(tmp_path, handler) as engine:
        (target,) = await engine.resolve(parse("docker start web"))
    assert target.privileges == ("volume gone that cannot be inspected",)


async def test_a_registry_digest_of_the_named_repository_is_shown(tmp_path: Path) -> None:
    known = ["other@sha256:11", "busybox@sha256:22", "garbage"]

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"Id": "sha256:ab", "RepoDigests": known, "Config": {"Labels": {"a": "b"}}})

    async with scripted_engine(tmp_path, handler) as engine:
        shown = [(await engine.resolve(parse(f"docker run {name}")))[0] for name in ("busybox:1", "busybox", "third:1")]
    assert [target.image_digest for target in shown] == ["sha256:22", "sha256:22", ""]
    assert shown[0].labels == (("a", "b"),)


async def test_a_command_the_engine_is_too_old_for_is_refused(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        raise AssertionError(request.path)

    async with scripted_engine(tmp_path, handler, api="1.41") as engine:
        with pytest.raises(EngineRefused, match=r"--signal needs API 1\.42"):
            await engine.resolve(parse("docker stop --signal INT web"))
