"""Each way in which an object of the engine can hold the host, and that ordinary ones hold nothing."""

import asyncio
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import pytest
from aiohttp import web

from tests.gateway.engine.conftest import Docker, scripted
from wingman_core.command import parse
from wingman_core.target import Reference
from wingman_core.verdict import Forbidden
from wingman_gateway.engine import Engine
from wingman_gateway.engine.connection import Connection
from wingman_gateway.engine.privileges import (
    container_privileges,
    image_privileges,
    network_privileges,
    volume_privileges,
)
from wingman_gateway.engine.resolve import resolve
from wingman_gateway.policy import Policy

ORDINARY: dict[str, Any] = {
    "CapAdd": None,
    "IpcMode": "private",
    "MaskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
    "ReadonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    "NetworkMode": "default",
    "SecurityOpt": ["no-new-privileges"],
    "UTSMode": "",
}


@pytest.mark.parametrize(
    ("field", "value", "found"),
    [
        ("Privileged", True, "privileged"),
        ("MaskedPaths", [], "unmasked kernel paths"),
        ("ReadonlyPaths", [], "unmasked kernel paths"),
        ("MaskedPaths", ["/proc/acpi"], "unmasked kernel paths"),
        ("ReadonlyPaths", ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"], "unmasked kernel paths"),
        ("Tmpfs", {"/sys/kernel": ""}, "a mount over /sys/kernel"),
        ("Runtime", "sysbox", "runtime sysbox"),
        ("Tmpfs", {"/x": "size=1m,suid"}, "tmpfs option suid on /x"),
        ("CgroupParent", "/", "cgroup parent /"),
        ("GroupAdd", ["0"], "group 0"),
        ("CapAdd", ["SYS_ADMIN"], "capability SYS_ADMIN"),
        ("Devices", [{"PathOnHost": "/dev/sda"}], "device /dev/sda"),
        ("DeviceCgroupRules", ["c 1:3 r"], "device rule c 1:3 r"),
        ("DeviceRequests", [{"Driver": "nvidia"}], "devices of driver nvidia"),
        ("SecurityOpt", ["seccomp=unconfined"], "security-opt seccomp=unconfined"),
        ("SecurityOpt", ["no-new-privileges=false"], "security-opt no-new-privileges=false"),
        ("NetworkMode", "host", "network namespace of host"),
        ("NetworkMode", "container:abc", "network namespace of container:abc"),
        ("PidMode", "host", "pid namespace of host"),
        ("IpcMode", "host", "ipc namespace of host"),
        ("UTSMode", "host", "uts namespace of host"),
        ("UsernsMode", "host", "user namespace of host"),
    ],
)
def test_what_a_container_holds_of_the_host_is_named(field: str, value: object, found: str) -> None:
    assert container_privileges({"HostConfig": {**ORDINARY, field: value}}) == (found,)


def test_an_ordinary_container_holds_nothing() -> None:
    mounts = [{"Type": "volume", "Name": "data"}, {"Type": "tmpfs"}]
    assert container_privileges({"HostConfig": ORDINARY, "Mounts": mounts}) == ()
    assert container_privileges({}) == ()


def test_a_container_that_begins_behind_a_descriptor_or_covers_what_is_masked_holds_the_host() -> None:
    config, mounts = {"WorkingDir": "/proc/self/fd/7"}, [{"Type": "volume", "Destination": "/proc/sys"}]
    assert container_privileges({"Config": config, "HostConfig": ORDINARY, "Mounts": mounts}) == (
        "a mount over /proc/sys",
        "working directory /proc/self/fd/7",
    )
    config, mounts = {"WorkingDir": "/process"}, [{"Type": "volume", "Destination": "/dev/shm"}]  # noqa: S108
    assert container_privileges({"Config": config, "HostConfig": ORDINARY, "Mounts": mounts}) == ()


def test_what_an_image_brings_along_is_named_in_any_spelling() -> None:
    config = {"WorkingDir": "//proc/./self/fd/7", "Volumes": {"/data": {}, "/x/../proc": {}}}
    assert image_privileges({"Config": config}, plain=True) == (
        "the image has a mount over /x/../proc",
        "the image has working directory //proc/./self/fd/7",
    )
    assert image_privileges({"Config": {"WorkingDir": "proc/self/fd/7"}}, plain=True)
    ordinary: dict[str, Any] = {"WorkingDir": "/app", "Volumes": None, "Env": None}
    assert image_privileges({"Config": ordinary}, plain=False) == image_privileges({}, plain=False) == ()


OWN_VARIABLES = (
    ("DOCKER_HOST=tcp://10.0.0.1:2375", "engine's address in DOCKER_HOST", True),
    ("docker_config=/c", "engine's address in docker_config", True),
    ("CONTAINERD_ADDRESS=/c.sock", "engine's address in CONTAINERD_ADDRESS", True),
    ("NVIDIA_VISIBLE_DEVICES=all", "devices of the host by NVIDIA_VISIBLE_DEVICES", False),
    ("NVIDIA_DRIVER_CAPABILITIES=all", "devices of the host by NVIDIA_DRIVER_CAPABILITIES", False),
    ("HABANA_VISIBLE_DEVICES=0", "devices of the host by HABANA_VISIBLE_DEVICES", False),
    ("LD_PRELOAD=/proc/self/cwd/x.so", "LD_PRELOAD has code loaded or a program started", False),
    ("LD_LIBRARY_PATH=/usr/local/lib", "LD_LIBRARY_PATH has code loaded or a program started", False),
)
"""A variable, how it counts, and whether it does under a runtime without hooks, too."""


@pytest.mark.parametrize(("variable", "line", "always"), OWN_VARIABLES)
@pytest.mark.parametrize("runtime", ["runc", "io.containerd.runc.v2", "nvidia", "", None])
def test_variables_of_their_own_count_by_the_runtime(
    variable: str, line: str, always: bool, runtime: str | None
) -> None:
    config = {"Env": ["PATH=/bin", variable]}
    plain = runtime in {"runc", "io.containerd.runc.v2"}
    found = (line,) if always or not plain else ()
    assert image_privileges({"Config": config}, plain=plain) == tuple(f"the image has {each}" for each in found)
    container = container_privileges({"Config": config, "HostConfig": {**ORDINARY, "Runtime": runtime}})
    assert tuple(each for each in container if not each.startswith("runtime ")) == found


@pytest.mark.parametrize("variable", ["DOCKER_HOST=", "DOCKER_HOST", "PATH=/bin", "DOCKER_VERSION=28", "PYTHONPATH=/x"])
def test_ordinary_and_empty_variables_do_not_count(variable: str) -> None:
    assert image_privileges({"Config": {"Env": [variable]}}, plain=False) == ()
    assert container_privileges({"Config": {"Env": [variable]}}) == ()


def test_options_of_a_containers_end_of_a_network_count() -> None:
    option = {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.forwarding=1"}
    ends = {"lan": {"DriverOpts": option}, "wan": {"DriverOpts": None}, "other": None}
    assert container_privileges({"HostConfig": ORDINARY, "NetworkSettings": {"Networks": ends}}) == (
        "network option com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.forwarding=1",
    )


@pytest.mark.parametrize(
    ("network", "found"),
    [
        ({"Driver": "bridge", "Options": None}, ()),
        ({"Driver": "bridge", "Options": {"com.docker.network.driver.mtu": "1400"}}, ()),
        ({"Driver": "bridge", "Options": {"com.docker.network.enable_ipv4": "true"}}, ()),
        ({"Driver": "overlay", "Options": {"com.docker.network.driver.overlay.vxlanid_list": "4097"}}, ()),
        ({"Driver": "null"}, ()),
        ({"Driver": "host"}, ("network driver host",)),
        ({}, ("network driver ",)),
        (
            {"Driver": "macvlan", "Options": {"parent": "eth0"}},
            ("network driver macvlan", "network option parent=eth0"),
        ),
        (
            {"Driver": "bridge", "Options": {"com.docker.network.bridge.name": "docker0"}},
            ("network option com.docker.network.bridge.name=docker0",),
        ),
    ],
)
def test_a_network_may_be_the_hosts(network: dict[str, Any], found: tuple[str, ...]) -> None:
    assert network_privileges({"Name": "lan", **network}) == tuple(f"the network lan has {line}" for line in found)


@pytest.mark.parametrize("kind", ["bind", "npipe", "unheard-of"])
def test_a_mount_that_is_neither_volume_nor_tmpfs_is_of_the_host(kind: str) -> None:
    mounts = [{"Type": kind, "Source": "/run/docker.sock", "Destination": "/s"}]
    assert container_privileges({"HostConfig": ORDINARY, "Mounts": mounts}) == (f"{kind} /run/docker.sock on /s",)


@pytest.mark.parametrize(
    ("volume", "found"),
    [
        ({"Name": "v", "Driver": "local", "Options": None}, ()),
        ({"Name": "v", "Driver": "local", "Options": {"size": "1g"}}, ()),
        ({"Name": "v", "Driver": "local", "Options": {"type": "tmpfs", "device": "tmpfs"}}, ()),
        (
            {"Name": "v", "Driver": "local", "Options": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=0700"}},
            (),
        ),
        (
            {"Name": "v", "Driver": "local", "Options": {"type": "tmpfs", "o": "bind", "device": "/etc"}},
            ("volume v mounts /etc",),
        ),
        (
            {"Name": "v", "Driver": "local", "Options": {"type": "tmpfs", "o": "size=1m,rbind", "device": "tmpfs"}},
            ("volume v mounts tmpfs",),
        ),
        (
            {"Name": "v", "Driver": "local", "Options": {"type": "tmpfs", "o": "size=1m,dev", "device": "tmpfs"}},
            ("volume v mounts tmpfs",),
        ),
        ({"Name": "v", "Driver": "local", "Options": {"type": "none", "device": "/etc"}}, ("volume v mounts /etc",)),
        (
            {"Name": "v", "Driver": "local", "Options": {"type": "ext4", "device": "/dev/sda"}},
            ("volume v mounts /dev/sda",),
        ),
        ({"Name": "v", "Driver": "sshfs"}, ("volume v of driver sshfs",)),
    ],
)
def test_a_volume_may_be_the_host_in_disguise(volume: dict[str, Any], found: tuple[str, ...]) -> None:
    assert volume_privileges(volume) == found


@pytest.mark.parametrize(
    "flags",
    [
        ("--privileged",),
        ("--cap-add", "NET_ADMIN"),
        ("--device", "/dev/null"),
        ("--security-opt", "seccomp=unconfined"),
        ("--security-opt", "systempaths=unconfined"),
        ("--network", "host"),
        ("--pid", "host"),
        ("--ipc", "host"),
        ("--uts", "host"),
        ("-v", "/srv:/host"),
        ("--mount", "type=bind,source=/srv,target=/host"),
    ],
)
async def test_the_engine_shows_them_as_expected(flags: tuple[str, ...], engine: Engine, docker: Docker) -> None:
    name = docker.name()
    await asyncio.to_thread(docker, "create", "--name", name, *flags, docker.image, "sleep", "9")
    (target,) = await engine.resolve(parse(f"docker exec {name} id"))
    assert target.privileges


async def test_the_engine_shows_ordinary_ones_as_expected(engine: Engine, docker: Docker) -> None:
    name, volume = docker.name(), docker.name("volume")
    ordinary = (
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--tmpfs",
        "/t",
        "-v",
        f"{volume}:/v",
        "-v",
        "/a",
    )
    await asyncio.to_thread(docker, "create", "--name", name, *ordinary, docker.image, "sleep", "9")
    (target,) = await engine.resolve(parse(f"docker exec {name} id"))
    assert target.privileges == ()


async def forbids(engine: Engine, command: str) -> bool:
    """Whether the policies of TEST forbid a command, by what is on the engine."""
    policy = Policy.load(Path(str(resources.files("wingman_gateway") / "policies")), "test")
    op = parse(command)
    return isinstance(policy.verdict(op, await engine.resolve(op), "worker"), Forbidden)


@pytest.mark.parametrize(
    ("change", "forbidden"),
    [
        ("WORKDIR /proc/self/fd/7", True),
        ("ENV DOCKER_HOST=tcp://10.0.0.1:2375", True),
        ("ENV LD_LIBRARY_PATH=/usr/local/lib NVIDIA_VISIBLE_DEVICES=all", False),
    ],
)
async def test_an_image_that_brings_the_host_along_is_not_run_and_may_be_removed(
    change: str, forbidden: bool, engine: Engine, docker: Docker
) -> None:
    image = docker.name("image") + ":1"
    await asyncio.to_thread(docker, "create", "--name", name := docker.name(), docker.image, "ls")
    await asyncio.to_thread(docker, "commit", "--change", change, name, image)
    assert await forbids(engine, f"docker run {image} ls") == forbidden
    assert not await forbids(engine, f"docker rmi {image}")
    await asyncio.to_thread(docker, "rmi", image)


@pytest.mark.parametrize(
    ("runtime", "role", "counts"),
    [("runc", "peer", False), ("nvidia", "peer", True), (None, "peer", True), ("nvidia", "object", False)],
)
async def test_an_image_is_judged_by_the_engines_default_runtime(
    tmp_path: Path, runtime: str | None, role: Literal["peer", "object"], counts: bool
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/info"):
            return web.json_response({"DefaultRuntime": runtime} if runtime else {})
        return web.json_response({"Id": f"sha256:{'1' * 64}", "Config": {"Env": ["NVIDIA_VISIBLE_DEVICES=all"]}})

    async with scripted(tmp_path, answer) as url:
        connection = Connection.open(url)
        try:
            (image,) = await resolve(connection, (Reference("image", "cuda:1", role),))
        finally:
            await connection.close()
    assert bool(image.privileges) == counts


async def test_a_network_of_the_hosts_is_not_joined_and_may_be_removed(engine: Engine, docker: Docker) -> None:
    network, ordinary, name = docker.name("net"), docker.name("net"), docker.name()
    option = f"com.docker.network.bridge.name=wmt-{network.split('-')[2]}"
    await asyncio.to_thread(docker, "network", "create", "--opt", option, network)
    await asyncio.to_thread(docker, "network", "create", ordinary)
    await asyncio.to_thread(docker, "create", "--name", name, docker.image, "ls")
    hosts = await asyncio.to_thread(docker, "network", "inspect", "--format", "{{.Id}}", "host")
    for joined, forbidden in ((network, True), (ordinary, False), (hosts.strip(), True)):
        assert await forbids(engine, f"docker run --network {joined} {docker.image} ls") == forbidden
        assert await forbids(engine, f"docker network connect {joined} {name}") == forbidden
    assert not await forbids(engine, f"docker network connect bridge {name}")
    assert not await forbids(engine, f"docker network rm {network}")


async def test_a_container_with_an_engines_address_hands_nothing_on(engine: Engine, docker: Docker) -> None:
    name = docker.name()
    variables = ("-e", "DOCKER_HOST=tcp://10.0.0.1:2375", "-e", "LD_LIBRARY_PATH=/lib")
    await asyncio.to_thread(docker, "create", "--name", name, *variables, docker.image, "ls")
    (target,) = await engine.resolve(parse(f"docker start {name}"))
    assert target.privileges == ("engine's address in DOCKER_HOST",)
    assert await forbids(engine, f"docker start {name}")


async def test_a_disguised_volume_shows_on_its_container_and_by_itself(engine: Engine, docker: Docker) -> None:
    name, volume = docker.name(), docker.name("volume")
    disguise = ("--opt", "type=none", "--opt", "o=bind", "--opt", "device=/tmp")
    await asyncio.to_thread(docker, "volume", "create", *disguise, volume)
    await asyncio.to_thread(docker, "create", "--name", name, "-v", f"{volume}:/v", docker.image, "sleep", "9")
    (container,) = await engine.resolve(parse(f"docker exec {name} id"))
    assert container.privileges == (f"volume {volume} mounts /tmp",)
    targets = await engine.resolve(parse(f"docker run -v {volume}:/v {docker.image} ls"))
    assert [target.privileges for target in targets if target.reference.kind == "volume"] == [container.privileges]
