"""Each way in which an object of the engine can hold the host, and that ordinary ones hold nothing."""

import asyncio
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.engine.conftest import Docker
from wingman_core.command import parse
from wingman_core.verdict import Forbidden
from wingman_gateway.engine import Engine
from wingman_gateway.engine.privileges import container_privileges, image_privileges, volume_privileges
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
    assert image_privileges({"Config": config}) == (
        "the image has a mount over /x/../proc",
        "the image has working directory //proc/./self/fd/7",
    )
    assert image_privileges({"Config": {"WorkingDir": "proc/self/fd/7"}})
    assert image_privileges({"Config": {"WorkingDir": "/app", "Volumes": None}}) == image_privileges({}) == ()


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


async def test_an_image_that_begins_behind_a_descriptor_is_not_run_and_may_be_removed(
    engine: Engine, docker: Docker
) -> None:
    image = docker.name("image") + ":1"
    await asyncio.to_thread(docker, "create", "--name", name := docker.name(), docker.image, "ls")
    await asyncio.to_thread(docker, "commit", "--change", "WORKDIR /proc/self/fd/7", name, image)
    policy = Policy.load(Path(str(resources.files("wingman_gateway") / "policies")), "test")
    for command, forbidden in ((f"docker run {image} ls", True), (f"docker rmi {image}", False)):
        op = parse(command)
        assert isinstance(policy.verdict(op, await engine.resolve(op), "worker"), Forbidden) == forbidden
    await asyncio.to_thread(docker, "rmi", image)


async def test_a_disguised_volume_shows_on_its_container_and_by_itself(engine: Engine, docker: Docker) -> None:
    name, volume = docker.name(), docker.name("volume")
    disguise = ("--opt", "type=none", "--opt", "o=bind", "--opt", "device=/tmp")
    await asyncio.to_thread(docker, "volume", "create", *disguise, volume)
    await asyncio.to_thread(docker, "create", "--name", name, "-v", f"{volume}:/v", docker.image, "sleep", "9")
    (container,) = await engine.resolve(parse(f"docker exec {name} id"))
    assert container.privileges == (f"volume {volume} mounts /tmp",)
    targets = await engine.resolve(parse(f"docker run -v {volume}:/v {docker.image} ls"))
    assert [target.privileges for target in targets if target.reference.kind == "volume"] == [container.privileges]
