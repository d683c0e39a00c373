"""Readers of single values: each spelling to its one normal form, and what is no such value."""

from collections.abc import Callable

import pytest

from wingman_core.command import filters, limits, quantities, signals, values
from wingman_core.command.ps_options import ps_options
from wingman_core.command.values import BadValue

Reader = Callable[[str], object]
SECOND = 10**9

GOOD: dict[Reader, dict[str, object]] = {
    values.boolean: {
        **dict.fromkeys(["1", "t", "T", "TRUE", "true", "True"], True),
        **dict.fromkeys(["0", "f", "F", "FALSE", "false", "False"], False),
    },
    quantities.integer: {
        "0": 0,
        "5": 5,
        "+5": 5,
        "-5": -5,
        "00": 0,
        "010": 8,
        "0o10": 8,
        "0x1F": 31,
        "0X1f": 31,
        "0b101": 5,
        "1_000": 1000,
        "0_1": 1,
        "0x_1": 1,
        "9007199254740991": 2**53 - 1,
        "-9007199254740991": 1 - 2**53,
    },
    quantities.decimal: {"0": 0, "007": 7, "9007199254740991": 2**53 - 1},
    quantities.natural: {"0": 0, "010": 8, "0x1F": 31, "1_000": 1000},
    quantities.signed_decimal: {"0": 0, "-0": 0, "+010": 10, "-010": -10, "08": 8, "-9007199254740991": 1 - 2**53},
    quantities.nano_cpus: {
        "1": SECOND,
        "1.5": 1_500_000_000,
        ".5": 500_000_000,
        "1/2": 500_000_000,
        "1.": SECOND,
        "+2": 2 * SECOND,
        "0": 0,
        "0.000000001": 1,
        "+3/2": 1_500_000_000,
        "0/2": 0,
        "010": 10 * SECOND,
        "9007199": 9_007_199 * SECOND,
    },
    quantities.size: {
        "0": 0,
        "5": 5,
        "5b": 5,
        "5B": 5,
        "1k": 1024,
        "1K": 1024,
        "1kb": 1024,
        "1KiB": 1024,
        "1 k": 1024,
        "1 ": 1,
        "1.5m": 1_572_864,
        ".5g": 2**29,
        "1.1g": 1_181_116_006,
        "2t": 2**41,
        "1p": 2**50,
        "1.g": 2**30,
    },
    quantities.size_or_unlimited: {"-1": -1, "1m": 2**20},
    quantities.duration: {
        "0": 0,
        "0s": 0,
        "1h": 3600 * SECOND,
        "1m30s": 90 * SECOND,
        "1.5s": 1_500_000_000,
        "100ms": 10**8,
        "1us": 1000,
        "7ns": 7,
        ".5s": 5 * 10**8,
        "1m1m": 120 * SECOND,
    },
    quantities.moment: {
        "": "",
        "42m": "42m",
        "90m": "90m",
        "60m": "1h",
        "1h30m": "90m",
        "0s": "0h",
        "1700000000": "1700000000",
        "0": "0",
        "1700000000.5": "1700000000.5",
        "2026-01-31T12:00:00Z": "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.123+02:00": "2026-01-31T12:00:00.123+02:00",
    },
    values.container: {"web": "web", "a": "a", "Web_1.x-y": "Web_1.x-y", "0123abcd": "0123abcd", "a" * 255: "a" * 255},
    values.new_name: {"web": "web", "ab": "ab"},
    values.host: {"a": "a", "a.b": "a.b", "a_b-c.d": "a_b-c.d"},
    values.user: {
        each: each for each in ("root", "0", "00:0", "www-data", "1000:1000", "a.b:c_d", "name$", "2147483647")
    },
    values.group: {"video": "video", "44": "44"},
    values.pair: {"a=b": ("a", "b"), "a": ("a", ""), "a=": ("a", ""), "a=b=c": ("a", "b=c"), "a= b ": ("a", " b ")},
    values.variable: {"a=b": ("a", "b"), "a=": ("a", "")},
    values.label: {"a": ("a", ""), "wingmanish=1": ("wingmanish", "1")},
    values.platform: {"linux": "linux", "Linux/AMD64": "linux/amd64", "linux/arm/v7": "linux/arm/v7"},
    values.path: {
        "/": "/",
        "/a": "/a",
        "//a": "/a",
        "///a": "/a",
        "/a/": "/a",
        "/a//b": "/a/b",
        "/a/./b": "/a/b",
        "/a/../b": "/b",
        "/../../a": "/a",
        "/a/..": "/",
        "/a/../../etc//passwd": "/etc/passwd",
    },
    values.straight_path: {"/": "/", "//": "/", "/a": "/a", "//a//b/": "/a/b", "/...": "/...", "/a./.b": "/a./.b"},
    values.address: {"1.2.3.4": "1.2.3.4", "2001:DB8:0:0::1": "2001:db8::1", "::": "::"},
    values.address_v4: {"1.2.3.4": "1.2.3.4"},
    values.address_v6: {"::1": "::1"},
    values.mac_address: {"92:D0:C6:0A:29:33": "92:d0:c6:0a:29:33", "92-d0-c6-0a-29-33": "92:d0:c6:0a:29:33"},
    values.optional(values.host): {"": "", "a": "a"},
    values.one_of("a", ""): {"a": "a", "": ""},
    values.matching("a+", "aa"): {"a": "a", "aa": "aa"},
    values.free: {"": "", "anything; at all": "anything; at all"},
    signals.signal: {
        **dict.fromkeys(["TERM", "term", "SIGTERM", "SigTerm", "15", "+15", "0015"], "SIGTERM"),
        "9": "SIGKILL",
        "IOT": "SIGABRT",
        "CLD": "SIGCHLD",
        "poll": "SIGIO",
        "6": "SIGABRT",
        "17": "SIGCHLD",
        "RTMIN": "SIGRTMIN",
        "rtmin+3": "SIGRTMIN+3",
        "34": "SIGRTMIN",
        "64": "SIGRTMAX",
        "RTMAX-1": "SIGRTMAX-1",
    },
    signals.capability: {
        **dict.fromkeys(["NET_ADMIN", "net_admin", "CAP_NET_ADMIN", "cap_net_admin"], "CAP_NET_ADMIN"),
        "all": "ALL",
        "ALL": "ALL",
        "CAP_ALL": "ALL",
    },
    limits.restart_policy: {
        "": "no",
        "no": "no",
        "always": "always",
        "unless-stopped": "unless-stopped",
        "on-failure": "on-failure",
        "on-failure:3": "on-failure:3",
        "on-failure:0": "on-failure",
        "on-failure:": "on-failure",
        "on-failure:010": "on-failure:10",
        "on-failure:+3": "on-failure:3",
        "on-failure:-0": "on-failure",
        "no:0": "no",
    },
    limits.security_option: {
        **dict.fromkeys(["no-new-privileges", "no-new-privileges=true", "no-new-privileges:1"], "no-new-privileges"),
        "no-new-privileges=false": "no-new-privileges=false",
        "seccomp:unconfined": "seccomp=unconfined",
        "apparmor=x": "apparmor=x",
        "label:disable": "label=disable",
        "label=type:spc_t": "label=type:spc_t",
    },
    limits.weight: {"0": 0, "10": 10, "1000": 1000, "0144": 100},
    limits.device_weight: {"/dev/sda:10": ("/dev/sda", 10), "/dev/sda:0100": ("/dev/sda", 100)},
    limits.device_bytes: {"/dev//sda:1m": ("/dev/sda", 2**20)},
    limits.device_operations: {"/dev/sda:10": ("/dev/sda", 10)},
    limits.storage_option: {"size=10G": ("size", "10g")},
    limits.device_rule: {"c 1:3 rwm": "c 1:3 rwm", "a *:* r": "a *:* r"},
    filters.ps_filter: {
        "": None,
        "status=running": ("status", "running"),
        " STATUS = running ": ("status", "running"),
        "is-task=T": ("is-task", "true"),
        "is-task=0": ("is-task", "false"),
        "exited=007": ("exited", "7"),
        "publish=80": ("publish", "80"),
        "expose=80-90/UDP": ("expose", "80-90/udp"),
        "label=a=b": ("label", "a=b"),
        "ancestor=docker.io/busybox": ("ancestor", "busybox"),
        "volume=/data": ("volume", "/data"),
    },
    filters.image_filter: {
        "dangling=1": ("dangling", "true"),
        "reference=team/*": ("reference", "team/*"),
        "until=60m": ("until", "1h"),
    },
}

BAD: dict[Reader, list[str]] = {
    values.boolean: ["", "yes", "tRUE", "on", " true", "2", "-1"],
    quantities.integer: [
        *("", "+", "-", "1.0", "1e3", "five", " 5", "5 ", "5s", "08", "0x", "0b2", "0o8", "1__0", "_1", "1_", "0x1g"),
        *("--5", "+-5", "\u0665", "\uff19", "9007199254740992", "1" * 100, "0b" + "1" * 65),
    ],
    quantities.between(0, 10): ["-1", "11", "x"],
    quantities.decimal: ["", "-1", "+1", "1_0", "0x1", "1.5", "9007199254740992", "1" * 21],
    quantities.natural: ["", "-0", "+5", "-5", "08", "x"],
    quantities.signed_decimal: [
        "",
        "+",
        "-",
        "--5",
        "+-5",
        "-+5",
        "0x10",
        "1_0",
        "1.0",
        " 5",
        "\u0665",
        "-9007199254740992",
    ],
    quantities.nano_cpus: [
        *(
            "",
            "x",
            "-1",
            "1e3",
            "1/0",
            "1/00",
            "/2",
            "1/",
            "1/3",
            "0.0000000001",
            "1,5",
            "010/2",
            "1/010",
            "00/2",
            " 1",
            "9007200",
            "1" * 19,
        ),
    ],
    quantities.size: ["", "x", "k", "-1", "1x", "1kk", "1bb", "1kib ", "1ibk", "1i", "1  k", "1e3", "9p", "1ib"],
    quantities.size_or_unlimited: ["-2", "x"],
    quantities.duration: ["", "5", "-5s", "+5s", "5x", "s", "1 s", "1µs", "1h ", ".s", "9" * 18 + "h", "1d"],
    quantities.moment: [
        *(
            "yesterday",
            "2026-01-31",
            "2026-01-31T12:00",
            "2026-01-31T12:00:00",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "0000-01-01T00:00:00Z",
        ),
        *("2026-01-31T24:00:00Z", "2026-01-31T12:00:00z", "-5m", "+5m", "1e9", "1700000000.", "123456789012"),
    ],
    values.container: [
        "",
        "/web",
        "web/",
        "a b",
        "-a",
        "_a",
        ".a",
        "a/b",
        "a:b",
        "é",
        "a\n",
        "a" * 256,
        "a?b",
        "a%2fb",
    ],
    values.new_name: ["", "a", "/web", "-ab", "a b", "a" * 256],
    values.host: ["", "-a", "a-", ".a", "a b", "a/b", "é", "a" * 256],
    values.user: [
        "",
        ":",
        "root:",
        ":root",
        "a:b:c",
        " root",
        "-1",
        "+0",
        "a b",
        "2147483648",
        "0:2147483648",
        "\u0660",
    ],
    values.group: ["", "a:b", "2147483648"],
    values.pair: ["", "=", "=b", "a b=c", " a=b", "a\t=b"],
    values.variable: ["", "a", "=b"],
    values.label: ["", "wingman.role=api", "wingman.execution=x"],
    values.platform: ["", "linux/", "linux/a/b/c", "linux amd64", "!"],
    values.path: ["", "a", "./a", "~/a", "../a", "C:/a", "/" + "a" * 4096],
    values.straight_path: ["", "a", "/a/../b", "/..", "/.", "/a/.", "/a/./", "/" + "a" * 4096],
    values.address: ["", "x", "1.2.3", "01.2.3.4", "1.2.3.4/8", "::1%eth0", "::ffff:1.2.3.4", "[::1]", " 1.2.3.4"],
    values.address_v4: ["::1", "x"],
    values.address_v6: ["1.2.3.4", "x:"],
    values.mac_address: ["", "92:d0:c6:0a:29", "92:d0-c6:0a:29:33", "92d0c60a2933", "92:d0:c6:0a:29:3g"],
    values.optional(values.host): ["-"],
    values.one_of("a", ""): ["b", "A"],
    values.matching("a+", "aa"): ["", "b", "ab", "a\n"],
    signals.signal: ["", "0", "-9", "32", "65", "FOO", "SIG", "SIGSIGTERM", "RTMIN+16", " TERM", "9999", "KILL "],
    signals.capability: ["", "FROBNICATE", " NET_ADMIN", "CAP_CAP_NET_ADMIN", "CAP_"],
    limits.restart_policy: [
        ":",
        ":0",
        ":3",
        "sometimes",
        "always:3",
        "no:1",
        "on-failure:-1",
        "on-failure:x",
        "on-failure:0x3",
        "on-failure:1_0",
        "on-failure:2147483648",
    ],
    limits.security_option: ["", "x", "apparmor", "apparmor=", "seccomp=/etc/x", "no-new-privileges=maybe", "foo=bar"],
    limits.weight: ["5", "1001", "-1", "-0", "+100", "x"],
    limits.device_weight: [
        *("/dev/sda", "sda:10", "/etc:10", "/dev/../etc:10", "/dev/sda:5", ""),
        *("/dev/sda:0x64", "/dev/sda:1_00", "/dev/sda:+100", "/dev/sda:-0"),
    ],
    limits.device_bytes: ["/dev/sda:x", "/dev/sda", "/dev/l/../sda:1"],
    limits.device_operations: ["/dev/sda:-1", "/dev/sda:1k"],
    limits.storage_option: ["", "size", "a=b", "size=x"],
    limits.device_rule: ["", "x 1:3 r", "c 1:3", "c 1:3 rwmr", "c  1:3 r"],
    limits.device: [
        "",
        "fuse",
        "/dev/a:b",
        "/dev/a:/dev/b:x",
        "/dev/a:/dev/b:rr",
        "/dev/a:/dev/b:r:w",
        "v.io/c=x",
        "/dev/l/../a",
    ],
    limits.ulimit: [
        "",
        "nofile",
        "nofile=",
        "x=1",
        "nofile=2:1",
        "nofile=-1:5",
        "nofile=1:2:3",
        "nofile=-2",
        "nofile=x",
    ],
    filters.ps_filter: ["status", "foo=bar", "status=", "status=sleeping", "label=", "name=", "id=xyz", "is-task=yes"],
    filters.image_filter: ["dangling=maybe", "status=running", "reference=a b", "until=x"],
}


@pytest.mark.parametrize(
    ("read", "text", "value"), [(read, text, value) for read, cases in GOOD.items() for text, value in cases.items()]
)
def test_each_spelling_has_its_value(read: Reader, text: str, value: object):
    found = read(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("read", "text"), [(read, text) for read, texts in BAD.items() for text in texts])
def test_what_is_no_value_is_refused_with_a_reason(read: Reader, text: str):
    with pytest.raises(BadValue) as refusal:
        read(text)
    assert str(refusal.value)


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        (quantities.show_size, 0, "0"),
        (quantities.show_size, -1, "-1"),
        (quantities.show_size, 1, "1"),
        (quantities.show_size, 1536, "1536"),
        (quantities.show_size, 1536 * 1024, "1536k"),
        (quantities.show_size, 2**30, "1g"),
        (quantities.show_size, 2**50, "1p"),
        (quantities.show_duration, 0, "0h"),
        (quantities.show_duration, 90 * SECOND, "90s"),
        (quantities.show_duration, 7, "7ns"),
        (quantities.show_nano_cpus, 0, "0"),
        (quantities.show_nano_cpus, 10 * SECOND, "10"),
        (quantities.show_nano_cpus, 1_500_000_000, "1.5"),
        (quantities.show_nano_cpus, 1, "0.000000001"),
    ],
)
def test_values_are_written_shortly_and_exactly(show: Callable[[int], str], value: int, text: str):
    assert show(value) == text


@pytest.mark.parametrize(
    "words", [(), ("-ef",), ("aux",), ("-o", "pid"), ("-eo", "pid,ppid,args"), ("axo", "pid,cmd"), ("o", "user,pid")]
)
def test_harmless_ps_options_pass(words: tuple[str, ...]):
    assert ps_options(words) == words


@pytest.mark.parametrize(
    "words",
    [
        *(("e",), ("axe",), ("auxe",), ("-axe",), ("-aux",), ("eww",), ("-ef", "e"), ("-o", "pid,args", "e"), ("E",)),
        *(("-o", "args"), ("-o", "pid,environ"), ("-o", "pid", "-o", "args"), ("-o",), ("-o", ""), ("-o", "pid=PID,x")),
        *(("--forest",), ("-C", "sh"), ("-ef -o pid",), ("",), ("-o", "pid,"), ("-p", "1"), ("-o", "pid=")),
    ],
)
def test_ps_on_the_host_takes_nothing_else(words: tuple[str, ...]):
    with pytest.raises(BadValue):
        ps_options(words)
