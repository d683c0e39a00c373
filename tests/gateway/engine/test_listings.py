"""Rows whose input a test engine cannot be brought to produce: figures of other kernels, old names, odd images."""

from datetime import UTC, datetime
from typing import Any

import pytest

from wingman_gateway.engine.listings import container_row, displayable_ports, image_rows, stats_row

EVERY = "0.0.0.0"  # noqa: S104 - what Docker shows
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTAINER: dict[str, Any] = {
    "Id": "ab" * 32,
    "Image": "busybox",
    "ImageID": f"sha256:{'cd' * 32}",
    "Command": "sleep 1000",
    "Created": 1,
    "State": "running",
    "Status": "Up",
    "Names": ["/web"],
}


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([("", 80, 0, "tcp")], "80/tcp"),
        ([("", 82, 0, "tcp"), ("", 80, 0, "tcp"), ("", 81, 0, "tcp"), ("", 81, 0, "udp")], "80-82/tcp, 81/udp"),
        ([("", 80, 0, "tcp"), ("", 90, 0, "tcp"), ("", 91, 0, "tcp")], "80/tcp, 90-91/tcp"),
        ([(EVERY, 80, 80, "tcp"), (EVERY, 81, 81, "tcp")], "0.0.0.0:80-81->80-81/tcp"),
        ([(EVERY, 80, 8080, "tcp"), ("::", 80, 8080, "tcp")], "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"),
        ([(EVERY, 80, 8080, "tcp"), ("", 443, 0, "tcp")], "443/tcp, 0.0.0.0:8080->80/tcp"),
    ],
)
def test_ports_are_grouped_as_docker_ps_groups_them(ports: list[tuple[str, int, int, str]], text: str) -> None:
    assert displayable_ports([_port(*port) for port in ports]) == text


def _port(address: str, private: int, public: int, kind: str) -> dict[str, Any]:
    return {"PrivatePort": private, "Type": kind} | ({"IP": address, "PublicPort": public} if address else {})


@pytest.mark.parametrize(
    ("image", "short", "full"),
    [
        ("busybox:1", "busybox:1", "busybox:1"),
        ("team/app:1@sha256:ef", "team/app:1", "team/app:1@sha256:ef"),
        (f"sha256:{'cd' * 32}", "cd" * 6, f"sha256:{'cd' * 32}"),
        ("cd" * 32, "cd" * 6, "cd" * 32),
        ("", "<no image>", "<no image>"),
    ],
)
def test_images_are_named_as_docker_ps_names_them(image: str, short: str, full: str) -> None:
    assert container_row({**CONTAINER, "Image": image}, NOW, full=False)["Image"] == short
    assert container_row({**CONTAINER, "Image": image}, NOW, full=True)["Image"] == full


def test_names_of_links_show_in_full_alone() -> None:
    linked = {**CONTAINER, "Names": ["/other/alias", "/web"]}
    assert container_row(linked, NOW, full=False)["Names"] == "web"
    assert container_row(linked, NOW, full=True)["Names"] == "other/alias,web"
    assert container_row({**CONTAINER, "Names": None}, NOW, full=False)["Names"] == ""


@pytest.mark.parametrize(
    ("tags", "digests", "plain", "with_digests"),
    [
        (None, None, [("<none>", "<none>", "<none>")], [("<none>", "<none>", "<none>")]),
        (
            ["<none>:<none>"],
            ["<none>@<none>"],
            [("<none>", "<none>", "<none>")],
            [("<none>", "<none>", "<none>")],
        ),
        (
            ["r:5000/a:1", "r:5000/a:2"],
            ["r:5000/a@sha256:ef"],
            [("r:5000/a", "1", "<none>"), ("r:5000/a", "2", "<none>")],
            [("r:5000/a", "1", "sha256:ef"), ("r:5000/a", "2", "sha256:ef")],
        ),
        (
            ["a:1"],
            ["b@sha256:ef"],
            [("a", "1", "<none>"), ("b", "<none>", "<none>")],
            [("a", "1", "<none>"), ("b", "<none>", "sha256:ef")],
        ),
    ],
)
def test_an_image_has_a_row_per_tag_or_digest(
    tags: list[str] | None,
    digests: list[str] | None,
    plain: list[tuple[str, str, str]],
    with_digests: list[tuple[str, str, str]],
) -> None:
    image = {"Id": f"sha256:{'cd' * 32}", "Created": 0, "Size": 0, "RepoTags": tags, "RepoDigests": digests}
    for asked, expected in ((False, plain), (True, with_digests)):
        rows = list(image_rows(image, NOW, full=False, digests=asked))
        assert [(row["Repository"], row["Tag"], row["Digest"]) for row in rows] == expected
        assert {row["CreatedSince"] for row in rows} == {"N/A"}


def test_stats_are_figured_as_the_docker_binary_does() -> None:
    row = stats_row(
        {
            "id": "ab" * 32,
            "name": "/web",
            "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 1000, "online_cpus": 4},
            "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 200},
            "memory_stats": {"usage": 3 * 2**20, "limit": 2**30, "stats": {"inactive_file": 2**20}},
            "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 5}, "eth1": {"rx_bytes": 500, "tx_bytes": 5}},
            "blkio_stats": {
                "io_service_bytes_recursive": [
                    {"op": "Read", "value": 4096},
                    {"op": "write", "value": 8},
                    {"op": "Sync", "value": 9},
                ]
            },
            "pids_stats": {"current": 7},
        },
        full=True,
    )
    assert row == {
        "BlockIO": "4.1kB / 8B",
        "CPUPerc": "100.00%",
        "Container": "web",
        "ID": "ab" * 32,
        "MemPerc": "0.20%",
        "MemUsage": "2MiB / 1GiB",
        "Name": "web",
        "NetIO": "1.5kB / 10B",
        "PIDs": "7",
    }


@pytest.mark.parametrize(
    ("detail", "used"),
    [
        ({"total_inactive_file": 256, "inactive_file": 100}, "768B"),
        ({"inactive_file": 24}, "1000B"),
        ({"inactive_file": 4096}, "1KiB"),
        ({}, "1KiB"),
    ],
)
def test_the_page_cache_is_left_out_where_the_kernel_names_it(detail: dict[str, int], used: str) -> None:
    row = stats_row({"id": "ab", "name": "/web", "memory_stats": {"usage": 1024, "stats": detail}}, full=False)
    assert row["MemUsage"] == f"{used} / 0B"


def test_processors_are_counted_where_the_kernel_does_not_say() -> None:
    before = {"cpu_usage": {"total_usage": 0}, "system_cpu_usage": 0}
    now = {"cpu_usage": {"total_usage": 50, "percpu_usage": [25, 25]}, "system_cpu_usage": 100}
    row = stats_row({"id": "ab", "name": "/web", "cpu_stats": now, "precpu_stats": before}, full=False)
    assert row["CPUPerc"] == "100.00%"
