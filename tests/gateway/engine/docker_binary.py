"""What the docker binary sends to create a container, and the record of it that the tests compare with.

Run as a script with Docker CLI 28 to record ``tests/vectors/docker_28_create.json`` again.
"""

import asyncio
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.gateway.engine.conftest import scripted

VECTORS = Path(__file__).parents[2] / "vectors" / "docker_28_create.json"
APIS = ("1.41", "1.51")
FLAGS = (
    "--add-host db:10.0.0.9 --add-host gw=host-gateway",
    "--annotation a=b",
    "-a stdout",
    "--attach STDERR",
    "--blkio-weight 300 --blkio-weight-device /dev/sda:200",
    "--cap-add net_admin --cap-drop ALL",
    "--cgroup-parent /x",
    "--cgroupns private",
    "--cpu-period 1000 --cpu-quota 500 --cpu-rt-period 10 --cpu-rt-runtime 5 -c 512",
    "--cpus 1.5 --cpuset-cpus 0-1 --cpuset-mems 0",
    "-d --init",
    "--device /dev/fuse --device /dev/sda:/dev/xvda:r --device-cgroup-rule 'c 1:3 rwm'",
    "--device-read-bps /dev/sda:1mb --device-read-iops /dev/sda:10",
    "--device-write-bps /dev/sda:2mb --device-write-iops /dev/sda:20",
    "--dns 1.1.1.1 --dns-option ndots:2 --dns-search example.org",
    "--domainname example.org --hostname web",
    "--entrypoint ls",
    "--entrypoint ''",
    "-e A=b -e C=d=e",
    "--expose 80 --expose 90-92/udp",
    "--group-add audio",
    "--health-cmd true --health-interval 5s --health-retries 3 --health-timeout 1m30s --health-start-period 1s",
    "--health-retries 3",
    "--health-cmd true --health-start-interval 2s",
    "--no-healthcheck",
    "--ip 10.1.1.2 --ip6 fd00::2 --link-local-ip 169.254.1.1 --network shop --network-alias a --network-alias b",
    "--ipc container:db --pid container:db",
    "--ipc shareable --uts host --userns host --pid host",
    "-l a=b --label c=",
    "--link db:database",
    "--link db:database --network shop",
    "--log-driver json-file --log-opt max-size=1m",
    "--mac-address 02:42:ac:11:00:02 --network shop",
    "--mac-address 02:42:ac:11:00:02",
    "-m 64m --memory-reservation 32m --memory-swap -1 --memory-swappiness 10",
    "--mount type=volume,source=data,target=/data,readonly,volume-nocopy,volume-label=a=b,volume-subpath=x",
    "--mount type=volume,target=/data,volume-driver=local,volume-opt=type=nfs,volume-opt=device=:/x",
    "--mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770",
    "--mount type=bind,source=/etc,target=/etc,bind-propagation=rslave,consistency=cached",
    "--mount type=bind,source=/etc,target=/etc,readonly,bind-recursive=writable",
    "--mount type=bind,source=/etc,target=/etc,bind-recursive=disabled",
    "--mount type=bind,source=/etc,target=/etc,readonly,bind-recursive=readonly,bind-propagation=rprivate",
    "--mount type=image,source=busybox,target=/i,image-subpath=x",
    "--name web",
    "--network host",
    "--network container:db",
    "--network name=shop,alias=a,ip=10.0.0.3,mac-address=02:42:ac:11:00:03,gw-priority=2 --network back",
    "--network name=shop,driver-opt=x.y=z",
    "--oom-kill-disable --oom-score-adj 100",
    "--pids-limit 10",
    "--platform linux/amd64",
    "--privileged",
    "-p 80 -p 8080:81 -p 127.0.0.1:8082:82/udp -p 9000-9001:90-91 -p '[::1]:83:83' -p 8000-8010:84",
    "-P",
    "--read-only",
    "--restart on-failure:3",
    "--restart unless-stopped",
    "--rm",
    "--runtime runc",
    "--security-opt no-new-privileges --security-opt label=disable --security-opt seccomp=unconfined",
    "--security-opt systempaths=unconfined",
    "--shm-size 64m",
    "--stop-signal SIGINT --stop-timeout 0",
    "--storage-opt size=1g",
    "--sysctl net.core.somaxconn=1024",
    "--tmpfs /run --tmpfs /tmp:size=64m,mode=1777",
    "--ulimit nofile=1024:2048 --ulimit nproc=64",
    "--user nobody:nogroup -w /srv",
    "-v data:/data:ro -v /anonymous -v /etc:/etc:ro,rslave",
    "--volume-driver local --volumes-from db:ro --volumes-from other",
)
SETS = {"CapAdd", "CapDrop", "SecurityOpt", "DeviceCgroupRules", "Binds", "Env", "Ulimits", "Mounts", "Devices"}
TELLING = {"MaskedPaths", "ReadonlyPaths", "StopTimeout"}
"""Empty or zero, and still not the same as absent."""


async def docker_says(command: str, api: str, directory: Path) -> tuple[dict[str, Any], str]:
    """Return what the docker binary would send, or why it would not."""
    bodies: list[dict[str, Any]] = []

    async def engine(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/_ping"):
            return web.Response(headers={"Api-Version": api, "OSType": "linux"})
        if request.path.endswith("/containers/create"):
            bodies.append(await request.json())
        return web.json_response({"message": "seen enough"}, status=500)

    async with scripted(directory, engine, api=api) as url:
        words = shlex.split(command)
        process = await asyncio.create_subprocess_exec(
            words[0], "-H", url, *words[1:], stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
        )
        _, stderr = await process.communicate()
    return (bodies[0], "") if bodies else ({}, stderr.decode())


def essential(value: Any, key: str = "") -> Any:  # noqa: ANN401 - any JSON
    """Leave out what means nothing to the engine: absent, empty, false and zero; and the order of sets."""
    if isinstance(value, dict):
        kept = {name: essential(each, name) for name, each in value.items()}
        if key in {"Volumes", "ExposedPorts", "Tmpfs", "Labels"} or (key == "EndpointsConfig" and len(kept) > 1):
            return kept
        return {name: each for name, each in kept.items() if each or (name in TELLING and each is not None)}
    if isinstance(value, list):
        items = [essential(each) for each in value]
        return sorted(items, key=json.dumps) if key in SETS else items if any(items) or key == "Entrypoint" else []
    return value


async def record() -> dict[str, dict[str, Any]]:
    """Ask the docker binary about every row."""
    recorded: dict[str, dict[str, Any]] = {}
    for api in APIS:
        for flags in FLAGS:
            with tempfile.TemporaryDirectory() as directory:
                told, refused = await docker_says(f"docker run {flags} busybox echo hi", api, Path(directory))
            recorded.setdefault(api, {})[flags] = {"refused": refused.strip()} if refused else essential(told)
    return recorded


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(asyncio.run(record()), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"{VECTORS}\n")
