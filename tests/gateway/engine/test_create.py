"""The body of a container's creation is the one the docker binary sends, flag by flag."""

import json
import shlex
import shutil
import subprocess
from dataclasses import replace

import pytest

from tests.gateway.engine.docker_binary import APIS, FLAGS, VECTORS, essential, record
from wingman_core.command import RunOperation, parse, references
from wingman_core.command.run_flags import RUN_FLAGS
from wingman_core.target import Target
from wingman_gateway.engine.create import EXECUTION_LABEL, create_body
from wingman_gateway.engine.requirements import unsupported


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("flags", FLAGS)
def test_the_body_is_the_docker_binarys(flags: str, api: str) -> None:
    told = json.loads(VECTORS.read_text(encoding="utf-8"))[api][flags]
    op = parse(f"docker run {flags} busybox echo hi")
    assert isinstance(op, RunOperation)
    if "refused" in told:
        # Only because of the version; --mac-address works on old engines, and older binaries use it there.
        assert unsupported(op, _version(api)) or op.mac_address, told
        return
    body = create_body(op, _by_name(op), "exe_1", _version(api))
    assert body["Labels"].pop(EXECUTION_LABEL) == "exe_1"
    assert essential(body) == told


async def test_the_record_is_what_the_docker_binary_says() -> None:
    docker = shutil.which("docker")
    if (
        docker is None
        or " 28." not in subprocess.run([docker, "--version"], capture_output=True, text=True, check=True).stdout
    ):
        pytest.skip("no docker binary of version 28 to compare the record with")
    assert await record() == json.loads(VECTORS.read_text(encoding="utf-8"))


def test_every_flag_of_run_is_compared() -> None:
    compared = {word.partition("=")[0] for flags in FLAGS for word in shlex.split(flags) if word.startswith("-")}
    for flag in RUN_FLAGS:
        if flag.field:
            assert {f"--{flag.name}", f"-{flag.short}"} & compared, f"--{flag.name} is in no row"


def test_peers_go_in_by_id() -> None:
    command = (
        "docker run --network shop --link db:d --volumes-from db:ro --ipc container:db --pid container:db "
        "--mount type=image,source=tools,target=/t busybox"
    )
    op = parse(command)
    assert isinstance(op, RunOperation)
    targets = [replace(target, id=f"id-of-{target.reference.name}") for target in _by_name(op)]
    body = create_body(op, targets, "exe_1", (1, 48))
    host = body["HostConfig"]
    assert body["Image"] == "id-of-busybox"
    assert host["NetworkMode"] == "id-of-shop"
    assert body["NetworkingConfig"]["EndpointsConfig"] == {"id-of-shop": {"Links": ["id-of-db:d"]}}
    assert host["Links"] == ["id-of-db:d"]
    assert host["VolumesFrom"] == ["id-of-db:ro"]
    assert (host["IpcMode"], host["PidMode"]) == ("container:id-of-db", "container:id-of-db")
    assert host["Mounts"][0]["Source"] == "id-of-tools"


def _by_name(op: RunOperation) -> list[Target]:
    """Targets whose ids are the names the docker binary sends."""
    return [Target(reference, id=reference.name) for reference in references(op)]


def _version(api: str) -> tuple[int, int]:
    major, minor = api.split(".")
    return int(major), int(minor)
