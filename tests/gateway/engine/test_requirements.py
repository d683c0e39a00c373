"""What an engine is too old for is refused, since it would silently leave it out."""

import pytest

from wingman_core.command import parse
from wingman_gateway.engine.connection import NEWEST_API
from wingman_gateway.engine.requirements import unsupported

RECURSIVE = "type=bind,source=/a,target=/b,readonly,bind-recursive=readonly,bind-propagation=rprivate"


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("docker stop --signal INT web", (1, 42)),
        ("docker restart --signal INT web", (1, 42)),
        ("docker run --annotation a=b busybox", (1, 43)),
        ("docker run --health-start-interval 1s busybox", (1, 44)),
        ("docker run --network a --network b busybox", (1, 44)),
        ("docker run --network name=a,mac-address=02:42:ac:11:00:02 busybox", (1, 44)),
        (
            f"docker run --mount {RECURSIVE} busybox",
            (1, 44),
        ),
        ("docker run --mount type=volume,source=data,target=/b,volume-subpath=c busybox", (1, 45)),
        ("docker run --mount type=image,source=tools,target=/b busybox", (1, 48)),
        ("docker run --network name=a,gw-priority=1 busybox", (1, 48)),
    ],
)
def test_newer_parts_need_newer_engines(command: str, needed: tuple[int, int]) -> None:
    major, minor = needed
    assert f"needs API {major}.{minor}" in unsupported(parse(command), (major, minor - 1))
    assert unsupported(parse(command), needed) == ""
    assert needed <= NEWEST_API


@pytest.mark.parametrize(
    "command",
    ["docker ps", "docker stop web", "docker run --network a -v data:/b --mount type=volume,target=/c busybox"],
)
def test_ordinary_commands_run_on_the_oldest(command: str) -> None:
    assert unsupported(parse(command), (1, 41)) == ""
