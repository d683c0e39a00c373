"""The structured values of ``run``: ports, networks, mounts, devices, and what they look like when written."""

from collections.abc import Callable
from typing import Any

import pytest

from wingman_core.command import (
    Device,
    Exposed,
    Mount,
    Network,
    Port,
    Tmpfs,
    Ulimit,
    Volume,
    limits,
    mounts,
    network,
    parse,
    render,
)
from wingman_core.command.values import BadValue
from wingman_core.errors import Code, CommandRefused

IMAGE = "sha256:" + "ab" * 32

# Reader, writer, text, value, canonical text.
CASES: list[tuple[Callable[[str], Any], Callable[[Any], str], str, Any, str]] = [
    (network.port, network.show_port, "80", Port(first=80, last=80), "80"),
    (network.port, network.show_port, ":80", Port(first=80, last=80), "80"),
    (network.port, network.show_port, "0:80", Port(first=80, last=80), "80"),
    (
        network.port,
        network.show_port,
        "8080:80/TCP",
        Port(first=80, last=80, host_first=8080, host_last=8080),
        "8080:80",
    ),
    (
        network.port,
        network.show_port,
        "[2001:DB8::1]::80-82/udp",
        Port(first=80, last=82, protocol="udp", host_ip="2001:db8::1"),
        "[2001:db8::1]::80-82/udp",
    ),
    (
        network.port,
        network.show_port,
        "127.0.0.1:9000-9002:80-82/sctp",
        Port(first=80, last=82, protocol="sctp", host_ip="127.0.0.1", host_first=9000, host_last=9002),
        "127.0.0.1:9000-9002:80-82/sctp",
    ),
    (
        network.port,
        network.show_port,
        "published=8080,target=80,protocol=udp",
        Port(first=80, last=80, protocol="udp", host_first=8080, host_last=8080),
        "8080:80/udp",
    ),
    (network.port, network.show_port, "target=80", Port(first=80, last=80), "80"),
    (network.exposed, network.show_exposed, "80-90/udp", Exposed(first=80, last=90, protocol="udp"), "80-90/udp"),
    (network.network, network.show_network, "shop", Network(name="shop"), "shop"),
    (network.network, network.show_network, "name=SHOP", Network(name="shop"), "shop"),
    (network.network, network.show_network, "container:web", Network(name="container:web"), "container:web"),
    (
        network.network,
        network.show_network,
        (
            "gw-priority=-1,mac-address=92:D0:C6:0A:29:33,ip6=::1,ip=1.2.3.4,alias=b, alias = a ,name=shop"
            ",driver-opt=x=y,link-local-ip=169.254.1.1"
        ),
        Network(
            name="shop",
            aliases=("a", "b"),
            ip="1.2.3.4",
            ip6="::1",
            mac_address="92:d0:c6:0a:29:33",
            link_local_ips=("169.254.1.1",),
            driver_options=(("x", "y"),),
            gateway_priority=-1,
        ),
        (
            "name=shop,alias=a,alias=b,driver-opt=x=y,gw-priority=-1,ip=1.2.3.4,ip6=::1,link-local-ip=169.254.1.1,"
            "mac-address=92:d0:c6:0a:29:33"
        ),
    ),
    (network.extra_host, network.show_extra_host, "a=[::1]", ("a", "::1"), "a:::1"),
    (network.extra_host, network.show_extra_host, "a:host-gateway", ("a", "host-gateway"), "a:host-gateway"),
    (network.link, network.show_link, "web", ("web", "web"), "web:web"),
    (network.link, network.show_link, "web.", ("web.", "web."), "web.:web."),
    (network.link, network.show_link, "web:db", ("web", "db"), "web:db"),
    (mounts.volume, mounts.show_volume, "/data", Volume(source="", target="/data"), "/data"),
    (mounts.volume, mounts.show_volume, "data:/d:rw", Volume(source="data", target="/d"), "data:/d"),
    (
        mounts.volume,
        mounts.show_volume,
        "//a/../b:/c/:z,ro,rslave",
        Volume(source="/b", target="/c", modes=("ro", "rslave", "z")),
        "/b:/c:ro,rslave,z",
    ),
    (mounts.tmpfs, mounts.show_tmpfs, "/t/", Tmpfs(target="/t"), "/t"),
    (mounts.tmpfs, mounts.show_tmpfs, "/t:size=1m,ro", Tmpfs(target="/t", options="size=1m,ro"), "/t:size=1m,ro"),
    (mounts.volumes_from, mounts.show_volumes_from, "web", ("web", ""), "web"),
    (mounts.volumes_from, mounts.show_volumes_from, "web:ro", ("web", "ro"), "web:ro"),
    (
        mounts.mount,
        mounts.show_mount,
        "dst=/d,src=data,volume-nocopy,volume-label=a=b,volume-opt=o=x,volume-driver=local,volume-subpath=x,readonly",
        Mount(
            type="volume",
            source="data",
            target="/d",
            read_only=True,
            volume_nocopy=True,
            volume_subpath="x",
            volume_labels=(("a", "b"),),
            volume_driver="local",
            volume_options=(("o", "x"),),
        ),
        (
            "type=volume,source=data,target=/d,readonly=true,volume-nocopy=true,volume-subpath=x,volume-label=a=b,"
            "volume-driver=local,volume-opt=o=x"
        ),
    ),
    (
        mounts.mount,
        mounts.show_mount,
        "dst=/d,volume-label=a,volume-opt=o",
        Mount(type="volume", target="/d", volume_labels=(("a", ""),), volume_options=(("o", ""),)),
        "type=volume,target=/d,volume-label=a=,volume-opt=o=",
    ),
    (
        mounts.mount,
        mounts.show_mount,
        "type=bind,source=/a,destination=/d,ro=1,bind-recursive=readonly,bind-propagation=RPRIVATE,consistency=Cached",
        Mount(
            type="bind",
            source="/a",
            target="/d",
            read_only=True,
            consistency="cached",
            bind_propagation="rprivate",
            bind_recursive="readonly",
        ),
        "type=bind,source=/a,target=/d,readonly=true,consistency=cached,bind-propagation=rprivate,bind-recursive=readonly",
    ),
    (
        mounts.mount,
        mounts.show_mount,
        "type=bind,source=/a,target=/d,bind-recursive=enabled,ro=0",
        Mount(type="bind", source="/a", target="/d"),
        "type=bind,source=/a,target=/d",
    ),
    (
        mounts.mount,
        mounts.show_mount,
        "type=bind,source=/a,target=/d,bind-nonrecursive",
        Mount(type="bind", source="/a", target="/d", bind_recursive="disabled"),
        "type=bind,source=/a,target=/d,bind-recursive=disabled",
    ),
    (
        mounts.mount,
        mounts.show_mount,
        "type=tmpfs,target=/d,tmpfs-size=0,tmpfs-mode=000",
        Mount(type="tmpfs", target="/d"),
        "type=tmpfs,target=/d",
    ),
    (
        mounts.mount,
        mounts.show_mount,
        "type=tmpfs,target=/d,tmpfs-size=64m,tmpfs-mode=0700",
        Mount(type="tmpfs", target="/d", tmpfs_size=2**26, tmpfs_mode="700"),
        "type=tmpfs,target=/d,tmpfs-size=64m,tmpfs-mode=700",
    ),
    (
        mounts.mount,
        mounts.show_mount,
        f"type=image,source={'ab' * 32},target=/d,image-subpath=x/y",
        Mount(type="image", source=IMAGE, target="/d", image_subpath="x/y"),
        f"type=image,source={IMAGE},target=/d,image-subpath=x/y",
    ),
    (limits.device, limits.show_device, "/dev/a", Device(source="/dev/a", target="/dev/a"), "/dev/a:/dev/a:rwm"),
    (
        limits.device,
        limits.show_device,
        "/dev//a:wr",
        Device(source="/dev/a", target="/dev/a", permissions="rw"),
        "/dev/a:/dev/a:rw",
    ),
    (limits.device, limits.show_device, "/dev/a:/b", Device(source="/dev/a", target="/b"), "/dev/a:/b:rwm"),
    (
        limits.device,
        limits.show_device,
        "/dev/a:/b:m",
        Device(source="/dev/a", target="/b", permissions="m"),
        "/dev/a:/b:m",
    ),
    (limits.ulimit, limits.show_ulimit, "core=0", Ulimit(name="core", soft=0, hard=0), "core=0:0"),
    (limits.ulimit, limits.show_ulimit, "nofile=5:-1", Ulimit(name="nofile", soft=5, hard=-1), "nofile=5:-1"),
    (limits.ulimit, limits.show_ulimit, "nofile=-1", Ulimit(name="nofile", soft=-1, hard=-1), "nofile=-1:-1"),
]

BAD: dict[Callable[[str], Any], list[str]] = {
    network.port: [
        *(
            "",
            "x",
            "80:x",
            "x:80",
            "0",
            "8080:0",
            "70000",
            "80:70000",
            "82-80",
            "8000-8001:80-82",
            "0:80-81",
            "80/xyz",
            "80/",
            "80/tcp/x",
        ),
        *(
            "1.2.3:80:80",
            "x:80:80",
            "1-2-3",
            "published=80",
            "target=80,mode=host",
            "target",
            "target=80,published=1:2",
        ),
        *("80 ", "\u0668\u0660", "-", "8080:80,81:82"),
    ],
    network.exposed: ["", "80:80", "x", "80/", "0", "80-"],
    network.network: [
        *("", " shop", "a/b", "ns:/proc/1/ns/net", "container:", "container:a/b", "alias=x", "name=", "name=a,foo=b"),
        *(
            "name=a,ip=x",
            "name=a,ip=::1",
            "name=a,alias",
            "name=a,driver-opt=x",
            "name=a,gw-priority=x",
            "name=a,link-local-ip=",
            'name=a,driver-opt=x=a"b',
            'name=a,"driver-opt=x=a"',
            "name=a,driver-opt=x=\u0130",
            "name=\u212a,alias=x",
        ),
    ],
    network.namespace("host"): ["HOST", " host", "container:a", "private"],
    network.namespace("host", of_container=True): ["container:", "container:a b", "x"],
    network.extra_host: ["", "a", ":1.2.3.4", "a:", "a:x", "a b:1.2.3.4", "a=host"],
    network.link: ["", ":a", "a:", "a:b:c", "a/b"],
    mounts.volume: [
        *(
            "",
            "data",
            "data:",
            ":/d",
            "data:d",
            "./a:/d",
            "~/a:/d",
            "a:/d",
            "/a:/",
            "/a:/d:",
            "/a:/d:foo",
            "/a:/d:ro,rw",
        ),
        *("/a:/d:ro,ro", "/a:/d:z,Z", "/a:/d:nocopy", "data:/d:rshared", "/a:/d:shared,slave", "/a:/d:ro:x", "a b:/d"),
    ],
    mounts.tmpfs: ["/l/../t", "/./t", "", "t", "/", "/t:a b", "/t:size=", "/t:SIZE=1", "/t:,"],
    mounts.volumes_from: ["", "a/b", "web:", "web:foo", "web:ro:rw"],
    mounts.mount: [
        *("", "target", "source=data", "type=", "type=npipe,dst=/d", "foo=bar,dst=/d", "dst=/d,foo", "dst=d", "dst=/"),
        *(
            "type=bind,dst=/d",
            "type=bind,src=a,dst=/d",
            "type=bind,src=./a,dst=/d",
            "src=/a,dst=/d",
            "type=tmpfs,src=a,dst=/d",
        ),
        *(
            "type=image,dst=/d",
            "type=image,src=A,dst=/d",
            "dst=/a:b",
            "dst=/d,ro=maybe",
            'dst=/d,"src=x"',
            "dst=/d,src",
        ),
        *("type=bind,src=/a,dst=/d,tmpfs-size=0", "type=bind,src=/a,dst=/d,volume-nocopy=false"),
        *("type=tmpfs,dst=/d,bind-nonrecursive=false", "type=bind,src=/a,dst=/d,volume-label=a"),
        *("type=tmpfs,dst=/d,volume-nocopy", "type=bind,src=/a,dst=/d,tmpfs-size=1m", "dst=/d,bind-propagation=shared"),
        *("type=bind,src=/a,dst=/d,bind-recursive=readonly", "type=bind,src=/a,dst=/d,bind-recursive=writable"),
        *("type=bind,src=/a,dst=/d,readonly,bind-recursive=readonly", "type=bind,src=/a,dst=/d,bind-recursive=x"),
        *(
            f"type=bind,src=/a,dst=/d,ro,{first},{second}"
            for first in ("bind-recursive=writable", "bind-nonrecursive", "bind-recursive=enabled")
            for second in ("bind-nonrecursive=false", "bind-recursive=enabled")
        ),
        *("dst=/d,volume-subpath=../x", "dst=/d,volume-subpath=/x", "dst=/d,volume-subpath=", "dst=/d,volume-label"),
        *(
            "dst=/d,volume-label==a",
            "dst=/d,volume-label=wingman.role=x",
            "dst=/d,volume-opt= a=b",
            "dst=/d,volume-opt=",
        ),
        *("type=tmpfs,dst=/d,tmpfs-mode=9", "type=tmpfs,dst=/d,tmpfs-size=x", "dst=/d,volume-driver=a b", "dst=/d,"),
    ],
}


@pytest.mark.parametrize(("read", "show", "text", "value", "canonical"), CASES)
def test_a_value_is_read_and_written(
    read: Callable[[str], Any], show: Callable[[Any], str], text: str, value: object, canonical: str
):
    assert read(text) == value
    assert show(value) == canonical
    assert read(canonical) == value


@pytest.mark.parametrize(("read", "text"), [(read, text) for read, texts in BAD.items() for text in texts])
def test_what_is_no_value_is_refused(read: Callable[[str], Any], text: str):
    with pytest.raises(BadValue) as refusal:
        read(text)
    assert str(refusal.value)


@pytest.mark.parametrize(
    ("text", "bindings"),
    [
        ("80", (("80/tcp", "", ""),)),
        ("127.0.0.1:8080:80/udp", (("80/udp", "127.0.0.1", "8080"),)),
        ("8000-8002:80", (("80/tcp", "", "8000-8002"),)),
        ("8000-8001:80-81", (("80/tcp", "", "8000"), ("81/tcp", "", "8001"))),
        ("80-81", (("80/tcp", "", ""), ("81/tcp", "", ""))),
    ],
)
def test_a_port_tells_the_engine_its_bindings(text: str, bindings: tuple[tuple[str, str, str], ...]):
    assert network.port(text).bindings() == bindings


def test_a_volume_tells_what_it_is():
    assert mounts.volume("/a:/b:ro").is_bind
    assert mounts.volume("/a:/b:ro").read_only
    assert not mounts.volume("data:/b").is_bind
    assert not mounts.volume("data:/b").read_only


@pytest.mark.parametrize(
    "flags",
    [
        *("-v a1:/a -v a1:/a", "-v /a:/b -v //a:/b/", "-v a1:/a -v a1:/a:rw", "--mount dst=/a --mount target=/a"),
        *("--tmpfs /a:size=1 --tmpfs /a/", "--tmpfs /a --tmpfs /a:ro", "-p 80 -p 80/tcp", "-p 8080:80 -p 8080:80"),
        *("-p 8080:80 -p published=8080,target=80", "--blkio-weight-device /dev/a:10 --blkio-weight-device /dev/a:20"),
        *(
            f"--device-{what} /dev/a:1 --device-{what} /dev//a:{rate}"
            for what in ("read-bps", "read-iops", "write-bps", "write-iops")
            for rate in (1, 2)
        ),
    ],
)
def test_what_would_collapse_or_clash_is_refused(flags: str):
    with pytest.raises(CommandRefused, match="twice") as refusal:
        parse(f"docker run {flags} busybox")
    assert refusal.value.code is Code.COMMAND_VALUE


def test_repeated_flags_gather_into_sorted_sets_and_maps():
    op = parse(
        "docker run -v b1:/b -v a1:/a --tmpfs /u --tmpfs /t:ro "
        "--ulimit nofile=1 --ulimit core=0 --ulimit nofile=2 "
        "--cap-add mknod --cap-add CHOWN --cap-add cap_mknod --sysctl net.a=1 --sysctl net.a=2 "
        "--device-read-bps /dev/b:1k --device-read-bps /dev/a:1m --dns 2.2.2.2 --dns 1.1.1.1 busybox"
    )
    assert render(op) == (
        "docker run --cap-add CAP_CHOWN --cap-add CAP_MKNOD --device-read-bps /dev/a:1m --device-read-bps /dev/b:1k "
        "--dns 2.2.2.2 --dns 1.1.1.1 --sysctl net.a=2 --tmpfs /t:ro --tmpfs /u --ulimit core=0:0 --ulimit nofile=2:2 "
        "--volume a1:/a --volume b1:/b busybox"
    )
