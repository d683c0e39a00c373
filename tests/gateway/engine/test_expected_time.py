"""How long people are told that a command takes: a range and its ground, or that it is unknown."""

import secrets

from tests.gateway.engine.conftest import Docker
from wingman_core.command import parse
from wingman_gateway.engine import Engine


async def told(engine: Engine, command: str) -> str:
    op = parse(command)
    return (await engine.blast_radius(op, await engine.resolve(op))).expected_time


async def test_what_stops_has_its_own_time_or_the_commands_one_after_the_other(engine: Engine, docker: Docker) -> None:
    first, second = docker.run("--stop-timeout", "7"), docker.run("--stop-timeout", "4")
    both = f"{first} {second}"
    assert await told(engine, f"docker stop {both}") == (
        f"0 to 11 s to end: {first} has 7 s, {second} has 4 s, then killed"
    )
    assert (await told(engine, f"docker stop --time 3 {both}")).startswith("0 to 6 s to end: ")
    patient = docker.run("--stop-timeout", "-1")
    assert await told(engine, f"docker stop {patient}") == "unknown: it is waited for however long it takes to end"
    assert await told(engine, f"docker restart {first}") == (
        f"0 to 7 s to end: {first} has 7 s, then killed; unknown when {first} serves: it has no health check"
    )
    docker("kill", first)
    docker("wait", first)
    assert await told(engine, f"docker stop {first}") == "0 s: nothing of it has to end"
    assert await told(engine, f"docker kill {second}") == "at once: docker kill waits for nothing"
    assert await told(engine, f"docker rm --force {both}") == "0 to 2 s: 2 objects, rarely over 1 s each"


async def test_what_starts_is_healthy_by_its_check(engine: Engine, docker: Docker) -> None:
    flags = ("--health-cmd", "true", "--health-interval", "12s", "--health-start-period", "40s")
    checked, plain = docker.run(*flags), docker.run("--health-cmd", "true")
    assert await told(engine, f"docker start {checked} {plain}") == (
        f"{checked} healthy 5 to 52 s after its start: checked every 12 s, start period 40 s; "
        f"{plain} healthy 30 to 30 s after its start: checked every 30 s, start period 0 s"
    )


async def test_a_project_comes_to_an_end_and_goes(engine: Engine, docker: Docker) -> None:
    project = f"p{secrets.token_hex(4)}"
    name = docker.run(
        *("--label", f"com.docker.compose.project={project}", "--label", "com.docker.compose.service=web"),
        *("--label", "com.docker.compose.oneoff=False", "--label", "com.docker.compose.container-number=1"),
    )
    assert await told(engine, f"docker compose -p {project} down --timeout 2") == (
        f"0 to 2 s to end: {name} has 2 s, then killed; then 0 to 1 s: 1 object, rarely over 1 s each"
    )
    running = await told(engine, f"docker compose -p {project} rm --force")
    assert running.startswith("0 s: nothing of it has to end; then ")


async def test_the_rest_says_what_it_rests_on(engine: Engine, docker: Docker) -> None:
    label = f"test={secrets.token_hex(4)}"
    assert await told(engine, "docker ps") == ""
    assert await told(engine, f"docker network prune --filter label={label}") == "0 s: there is nothing to remove"
    pruned = await told(engine, f"docker system prune --filter label={label}")
    assert pruned == "0 s: there is nothing to remove, and unknown for the build cache"
    assert (await told(engine, f"docker run --rm {docker.image} true")).startswith("unknown: its program alone ")
    assert (await told(engine, f"docker pull {docker.image}")).startswith("unknown: it is up to the registry and the ")
    assert "; the image of this name here has " in await told(engine, f"docker pull {docker.image}")
    missing = await told(engine, "docker pull 127.0.0.1:9/no-such:1")
    assert missing.endswith("; no such image is here to go by")
