"""The consequences people approve: what stops, what drops, who depends on it, what is lost."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.gateway.engine.conftest import Docker, scripted_engine
from tests.gateway.engine.registry import serving
from wingman_core.command import parse
from wingman_core.errors import Code, TargetRefused
from wingman_core.target import Reference, Target
from wingman_core.verdict import BlastRadius
from wingman_gateway.engine import Engine, EngineRefused

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
DEPENDS_ON = "com.docker.compose.depends_on"
GONE = Target(Reference("container", "web"), id="ab" * 32, name="web")


async def shown(engine: Engine, command: str) -> BlastRadius:
    op = parse(command)
    return await engine.blast_radius(op, await engine.resolve(op))


@pytest.mark.parametrize("command", ["ps", "images", "inspect {0}", "logs {0}", "top {0}", "stats --no-stream {0}"])
async def test_a_read_changes_nothing(command: str, engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    radius = await shown(engine, f"docker {command.format(name)}")
    assert radius.reversible
    assert "changes nothing" in radius.summary
    assert (radius.stops, radius.ports_dropped, radius.dependents, radius.data_lost) == ((), (), (), ())


@pytest.mark.parametrize(
    ("command", "summary", "stops"),
    [
        ("stop", "Stops {0}.", "{0} (until it is started; has 1 s to end)"),
        ("stop --time 7", "Stops {0}.", "{0} (until it is started; has 7 s to end)"),
        ("restart", "Restarts {0}.", "{0} (until it is up again; has 1 s to end)"),
        ("kill", "Signals {0}.", "{0} (gets SIGKILL)"),
        ("pause", "Freezes {0}.", "{0} (frozen until unpaused)"),
    ],
)
async def test_what_stops_and_drops_is_named(
    command: str, summary: str, stops: str, *, engine: Engine, docker: Docker
) -> None:
    name = await asyncio.to_thread(docker.run, "-p", "127.0.0.1:0:80", "-p", "127.0.0.1:0:81/udp")
    radius = await shown(engine, f"docker {command} {name}")
    assert radius.summary == summary.format(name)
    assert radius.stops == (stops.format(name),)
    first, second = docker("port", name).split("\n")[:2]
    assert set(radius.ports_dropped) == {_as_ps_shows(first), _as_ps_shows(second)}
    assert radius.reversible
    assert radius.data_lost == ()


async def test_what_does_not_run_does_not_stop(engine: Engine, docker: Docker) -> None:
    name = docker.name()
    await asyncio.to_thread(docker, "create", "--name", name, "-p", "127.0.0.1:0:80", docker.image)
    for command in ("stop", "kill", "rm"):
        radius = await shown(engine, f"docker {command} {name}")
        assert "nothing of it is running" in radius.summary
        assert radius.stops == radius.ports_dropped == radius.dependents == ()
    assert (await shown(engine, f"docker start {name}")).summary == f"Starts {name}."
    assert (await shown(engine, f"docker unpause {name}")).summary == f"Unpauses {name}."
    assert (await shown(engine, f"docker restart {name}")).summary == f"Restarts {name}."


async def test_a_removal_loses_the_layer_and_with_v_the_anonymous_volumes(engine: Engine, docker: Docker) -> None:
    name, named = docker.name(), docker.name("volume")
    await asyncio.to_thread(docker, "create", "--name", name, "-v", "/a", "-v", f"{named}:/b", docker.image)
    layer = f"the writable layer and the log of {name}"
    plain = await shown(engine, f"docker rm {name}")
    assert (plain.data_lost, plain.reversible) == ((layer,), False)
    volumes = await shown(engine, f"docker rm -v {name}")
    assert volumes.data_lost == (layer, f"the anonymous volume of {name} on /a")


async def test_a_running_container_must_be_forced_away(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    assert (await shown(engine, f"docker rm {name}")).stops == (f"{name} (must be stopped first)",)
    assert (await shown(engine, f"docker rm -f {name}")).stops == (f"{name} (for good)",)


async def test_a_stop_that_removes_or_forgets_cannot_be_undone(engine: Engine, docker: Docker) -> None:
    automatic = await asyncio.to_thread(docker.run, "--rm", "-v", "/a")
    radius = await shown(engine, f"docker stop {automatic}")
    assert not radius.reversible
    assert set(radius.data_lost) == {
        f"the writable layer and the log of {automatic}",
        f"the anonymous volume of {automatic} on /a",
    }
    assert (await shown(engine, f"docker restart {automatic}")).reversible
    memory = await asyncio.to_thread(docker.run, "--tmpfs", "/cache")
    radius = await shown(engine, f"docker restart {memory}")
    assert (radius.data_lost, radius.reversible) == ((f"the memory-backed /cache of {memory}",), False)
    assert (await shown(engine, f"docker pause {memory}")).reversible


async def test_whoever_depends_on_it_is_named_with_the_reason(engine: Engine, docker: Docker) -> None:
    network = docker.name("network")
    await asyncio.to_thread(docker, "network", "create", network)
    in_shop = ("--label", f"{PROJECT}=shop")
    db = await asyncio.to_thread(
        docker.run, "--network", network, "--ipc", "shareable", "-v", "/data", *in_shop, "--label", f"{SERVICE}=db"
    )
    peers = {
        "network": ("--network", f"container:{db}"),
        "process": ("--pid", f"container:{db}"),
        "ipc": ("--ipc", f"container:{db}"),
        "volumes": ("--volumes-from", f"{db}:ro"),
        "link": ("--network", network, "--link", f"{db}:database"),
        "compose": (*in_shop, "--label", f"{DEPENDS_ON}=cache:service_started:false,db:service_healthy:true"),
        "elsewhere": ("--label", f"{PROJECT}=other", "--label", f"{DEPENDS_ON}=db:service_started:true"),
        "alone": (*in_shop, "--label", f"{DEPENDS_ON}=cache:service_started:true"),
    }
    names = {what: await asyncio.to_thread(docker.run, *flags) for what, flags in peers.items()}
    stopped = docker.name("stopped")
    await asyncio.to_thread(docker, "create", "--name", stopped, "--volumes-from", db, docker.image)
    radius = await shown(engine, f"docker stop {db}")
    mine = {line for line in radius.dependents if db in line}
    assert mine == {
        f"{names['network']} lives in the network namespace of {db}",
        f"{names['process']} lives in the process namespace of {db}",
        f"{names['ipc']} lives in the ipc namespace of {db}",
        f"{names['volumes']} uses the volumes of {db}",
        f"{names['link']} is a peer of {db} on the network {network}",
        f"{names['compose']} depends on {db} (compose)",
    }
    assert list(radius.dependents) == sorted(radius.dependents)


async def test_a_legacy_link_is_a_dependency(engine: Engine, docker: Docker) -> None:
    db = await asyncio.to_thread(docker.run)
    web_name = await asyncio.to_thread(docker.run, "--link", f"{db}:database")
    radius = await shown(engine, f"docker stop {db}")
    assert f"{web_name} is linked to {db}" in radius.dependents


async def test_a_run_says_what_it_creates_and_opens(engine: Engine, docker: Docker) -> None:
    name = docker.name()
    radius = await shown(
        engine, f"docker run -d --name {name} -p 127.0.0.1:8080:80 -p 81 -p '[::1]:82:82' {docker.image} true"
    )
    assert radius.summary == (
        f"Creates and starts the container {name} of {docker.image}, detached"
        " and publishes 127.0.0.1:8080->80/tcp, 0.0.0.0:a free port->81/tcp, [::1]:82->82/tcp."
    )
    assert radius.reversible
    plain = await shown(engine, f"docker run {docker.image} true")
    assert plain.summary == f"Creates and starts a container of {docker.image}, until it ends."


async def test_an_exec_cannot_be_foreseen(engine: Engine, docker: Docker) -> None:
    name = await asyncio.to_thread(docker.run)
    radius = await shown(engine, f"docker exec {name} ls /")
    assert not radius.reversible
    assert "'ls'" in radius.summary
    assert name in radius.summary


async def test_a_pull_says_what_the_tag_names_now(engine: Engine, docker: Docker) -> None:
    async with serving() as registry:
        digest = registry.push("1", "one")
        new = await shown(engine, f"docker pull {registry.image}:1")
        assert digest in new.summary
        assert "now names" not in new.summary
        await asyncio.to_thread(docker, "tag", docker.image, f"{registry.image}:1")
        known = await shown(engine, f"docker pull {registry.image}:1")
        await asyncio.to_thread(docker, "rmi", f"{registry.image}:1")
        assert "now names sha256:" in known.summary
        every = await shown(engine, f"docker pull -a {registry.image}")
        assert "every tag" in every.summary
        assert not every.reversible
        registry.broken = True
        unknown = await shown(engine, f"docker pull {registry.image}:1")
        assert "did not name" in unknown.summary


async def test_a_container_that_went_away_while_it_was_looked_at_is_refused(engine: Engine) -> None:
    with pytest.raises(TargetRefused) as refused:
        await engine.blast_radius(parse("docker stop web"), (GONE,))
    assert refused.value.code is Code.TARGET_CHANGED


def _listed(number: int) -> dict[str, Any]:
    return {"Id": f"{number:064x}"}


def _found(identity: str, name: str) -> dict[str, Any]:
    state = {"Running": True, "Status": "running"}
    return {"Id": identity, "Name": f"/{name}", "State": state, "HostConfig": {}, "Config": {}, "Mounts": []}


async def test_a_crowded_host_is_looked_at_in_part_and_says_so(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/containers/json"):
            return web.json_response([{"Id": GONE.id}, *map(_listed, range(103))])
        identity = request.path.split("/")[-2]
        if identity == _listed(0)["Id"]:  # gone since it was listed
            return web.json_response({"message": "no such container"}, status=404)
        return web.json_response(_found(identity, "web" if identity == GONE.id else identity[-3:]))

    async with scripted_engine(tmp_path, handler) as engine:
        radius = await engine.blast_radius(parse("docker stop web"), (GONE,))
    assert radius.dependents == ("3 further containers were not looked at",)
    assert radius.stops == ("web (until it is started; has 10 s to end)",)


async def test_an_engine_that_fails_is_no_absent_container(tmp_path: Path) -> None:
    async def failing(request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": "boom"}, status=500)

    image = Target(Reference("image", "app:1", "fetch"), id="")
    async with scripted_engine(tmp_path, failing) as engine:
        for command, target in (("docker stop web", GONE), ("docker pull app:1", image)):
            with pytest.raises(EngineRefused, match="boom"):
                await engine.blast_radius(parse(command), (target,))


async def test_an_engine_that_fails_to_show_a_neighbour_is_no_absent_neighbour(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/containers/json"):
            return web.json_response([_listed(1)])
        if GONE.id in request.path:
            return web.json_response(_found(GONE.id, "web"))
        return web.json_response({"message": "boom"}, status=500)

    async with scripted_engine(tmp_path, handler) as engine:
        with pytest.raises(EngineRefused, match="boom"):
            await engine.blast_radius(parse("docker stop web"), (GONE,))


def _as_ps_shows(line: str) -> str:
    """Turn a line of ``docker port`` round."""
    inside, _, outside = line.partition(" -> ")
    return f"{outside}->{inside}"
