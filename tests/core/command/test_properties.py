"""What holds of every operation (I2) and of any text at all: the command table's own flags, with values at random."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wingman_core.command import Operation, facts, operation_digest, parse, parse_argv, references, render
from wingman_core.command.flags import Flag, FlagTable
from wingman_core.command.grammar import COMMANDS, Command
from wingman_core.command.lexer import MAX_BYTES, MAX_TOKENS, SHELL_CHARACTERS
from wingman_core.errors import CommandRefused

VISIBLE = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=12)
NAME = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,8}", fullmatch=True)
HOST = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
PATH = st.from_regex(r"/{1,2}[a-z]{1,4}(?:/(?:[a-z.]{1,4}|\.\.))*/?", fullmatch=True).filter(lambda p: ":" not in p)
TARGET = PATH.map(lambda path: f"{path}/t")
IMAGE = st.from_regex(
    r"(?:(?:docker\.io|localhost:5000|r\.example|index\.docker\.io)/)?(?:[a-z]{1,4}/)?[a-z0-9]{1,6}(?::[a-z0-9.]{1,4})?",
    fullmatch=True,
)
KEY = st.from_regex(r"[a-z.A-Z_-]{1,8}", fullmatch=True).filter(lambda key: not key.startswith("wingman."))
TEXT = VISIBLE.filter(lambda text: not _refused(text))
ADDRESS = st.ip_addresses(v=4).map(str) | st.just("2001:DB8::1")
NUMBER = st.integers(0, 1000).map(str) | st.sampled_from(["010", "0x1f", "1_0"])
WEIGHT = st.integers(10, 1000).map(str)
SIZE = st.builds("{}{}".format, st.integers(0, 4096), st.sampled_from(["", "b", "k", "m", "g", "MiB", "kb", ".5m"]))
DURATION = st.builds("{}{}".format, st.integers(0, 90), st.sampled_from(["ns", "us", "ms", "s", "m", "h", "m30s"]))
SIGNAL = st.sampled_from(["KILL", "sigterm", "15", "SIGRTMIN+3", "IOT", ""])
DEVICE = st.from_regex(r"/dev/[a-z]{1,4}", fullmatch=True)
PORTS = st.integers(1, 65000).flatmap(lambda low: st.sampled_from([f"{low}", f"{low}-{low + 5}"]))
PROTOCOL = st.sampled_from(["", "/tcp", "/UDP", "/sctp"])
MODE = st.sampled_from(["", ":ro", ":rw", ":ro,z"])


def _refused(text: str) -> bool:
    return isinstance(_outcome(lambda: parse_argv(["docker", "exec", "web", "x", text])), CommandRefused)


def _pairs(key: st.SearchStrategy[str], value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{}={}".format, key, value)


def _rates(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds("{}:{}".format, DEVICE, value)


VALUES: dict[str, st.SearchStrategy[str]] = {
    "add-host": st.builds("{}{}{}".format, HOST, st.sampled_from(":="), ADDRESS | st.just("host-gateway")),
    "annotation": _pairs(KEY, TEXT),
    "attach": st.sampled_from(["stdout", "STDERR"]),
    "blkio-weight": WEIGHT,
    "blkio-weight-device": _rates(WEIGHT),
    "cap-add": st.sampled_from(["net_admin", "CAP_CHOWN", "ALL"]),
    "cap-drop": st.sampled_from(["MKNOD", "cap_kill", "all"]),
    "cgroup-parent": PATH,
    "cgroupns": st.sampled_from(["", "host", "private"]),
    **dict.fromkeys(["cpu-period", "cpu-quota", "cpu-rt-period", "cpu-rt-runtime", "cpu-shares"], NUMBER),
    "cpus": st.builds("{}{}".format, st.integers(0, 64), st.sampled_from(["", ".5", "/2", ".000000001"])),
    **dict.fromkeys(["cpuset-cpus", "cpuset-mems"], st.sampled_from(["", "0", "0-3", "0,2-3"])),
    "device": st.builds("{}{}".format, DEVICE, st.sampled_from(["", ":rw", ":/x", ":/x:mr"])),
    "device-cgroup-rule": st.sampled_from(["c 1:3 rwm", "a *:* r"]),
    **dict.fromkeys(["device-read-bps", "device-write-bps"], _rates(SIZE)),
    **dict.fromkeys(["device-read-iops", "device-write-iops"], _rates(st.integers(0, 10**6).map(str))),
    "disable-content-trust": st.just("true"),
    "dns": ADDRESS,
    "dns-option": st.sampled_from(["ndots:2", "rotate"]),
    "dns-search": st.sampled_from([".", "example.com"]),
    "domainname": HOST,
    "entrypoint": TEXT,
    "env": _pairs(KEY, TEXT),
    "expose": st.builds("{}{}".format, PORTS, PROTOCOL),
    "filter": st.sampled_from(["label=a=b", "", "before=abc", " SINCE = abc "]),
    "format": st.sampled_from(["", "json", "{{json .}}"]),
    "group-add": NAME,
    "health-cmd": TEXT,
    **dict.fromkeys(["health-interval", "health-timeout", "health-start-period", "health-start-interval"], DURATION),
    "health-retries": NUMBER,
    "hostname": HOST,
    "ip": st.ip_addresses(v=4).map(str),
    "ip6": st.sampled_from(["::1", "2001:0DB8::0001"]),
    "ipc": st.sampled_from(["", "host", "private", "container:web"]),
    "label": _pairs(KEY, TEXT) | KEY,
    "last": st.integers(-3, 50).map(str),
    "link": NAME | st.builds("{}:{}".format, NAME, HOST),
    "link-local-ip": ADDRESS,
    "log-driver": st.sampled_from(["", "json-file", "syslog"]),
    "log-opt": _pairs(KEY, TEXT),
    "mac-address": st.sampled_from(["92:D0:C6:0A:29:33", "92-d0-c6-0a-29-34"]),
    **dict.fromkeys(["memory", "memory-reservation", "shm-size"], SIZE),
    "memory-swap": SIZE | st.just("-1"),
    "memory-swappiness": st.integers(-1, 100).map(str),
    "mount": st.builds(
        "type=bind,src={},dst={}{}".format, PATH, TARGET, st.sampled_from(["", ",ro", ",readonly=false"])
    )
    | st.builds("src={},dst={},volume-opt={}".format, NAME, TARGET, _pairs(KEY, NAME))
    | st.builds("type=tmpfs,dst={},tmpfs-size={},tmpfs-mode=0{}".format, TARGET, SIZE, st.sampled_from("147"))
    | st.builds("type=image,src={},dst={}".format, IMAGE, TARGET),
    "name": NAME,
    "network": NAME.map(lambda name: f"u{name}") | st.builds("name=u{},alias={},ip6=::1".format, NAME, HOST),
    "network-alias": HOST,
    "oom-score-adj": st.integers(-1000, 1000).map(str),
    "pid": st.sampled_from(["", "host", "container:web"]),
    "pids-limit": st.integers(-1, 1000).map(str),
    "platform": st.sampled_from(["", "linux/amd64", "LINUX/arm/v7"]),
    "publish": st.builds(
        "{}{}{}".format, st.sampled_from(["", "8000:", "127.0.0.1::", "[::1]:9:"]), NUMBER.map(str), PROTOCOL
    )
    | st.builds("{}:80".format, PORTS),
    "pull": st.sampled_from(["never", "missing"]),
    "restart": st.sampled_from(["", "no", "always", "unless-stopped", "on-failure", "on-failure:3"]),
    "runtime": NAME,
    "security-opt": st.sampled_from(["no-new-privileges", "seccomp:unconfined", "label=disable", "apparmor=x"]),
    "signal": SIGNAL,
    "since": st.sampled_from(["", "1700000000.5", "2026-01-31T12:00:00Z"]) | DURATION,
    "stop-signal": SIGNAL,
    "stop-timeout": NUMBER,
    "storage-opt": st.builds("size={}".format, SIZE),
    "sysctl": st.builds("net.core.{}={}".format, HOST, NUMBER),
    "tail": st.just("all") | st.integers(0, 9999).map(str),
    "time": NUMBER,
    "tmpfs": st.builds("{}{}".format, TARGET, st.sampled_from(["", ":", ":size=1m,ro"])),
    "type": st.sampled_from(["container", "image"]),
    "ulimit": st.builds(
        "{}={}".format, st.sampled_from(["core", "nofile"]), st.sampled_from(["0", "-1", "5:6", "5:-1"])
    ),
    "until": st.just("") | DURATION,
    "user": st.sampled_from(["", "0", "00:0", "nginx", "1000:1000"]),
    "userns": st.sampled_from(["", "host"]),
    "uts": st.sampled_from(["", "host"]),
    "volume": TARGET
    | st.builds("{}:{}{}".format, NAME, TARGET, MODE)
    | st.builds("{}:{}{}".format, PATH, TARGET, MODE),
    "volume-driver": st.sampled_from(["", "local", "sshfs"]),
    "volumes-from": st.builds("{}{}".format, NAME, MODE),
    "workdir": PATH,
}

VALUES |= {
    **dict.fromkeys(["ansi", "progress"], st.just("auto")),
    "project-name": st.from_regex(r"[a-z0-9][a-z0-9_-]{0,6}", fullmatch=True),
    "timeout": NUMBER,
    "wait-timeout": st.integers(1, 90).map(str),
    "policy": st.sampled_from(["missing", "always", "policy"]),
    "alias": HOST | st.builds("{},x{}".format, HOST, HOST),
    "aux-address": st.builds("{}=172.28.0.9".format, HOST),
    "driver": st.sampled_from(["local", "bridge", "macvlan", "sshfs"]),
    "driver-opt": _pairs(KEY, HOST),
    "gateway": st.sampled_from(["172.28.5.254", "2001:DB8:1::1"]),
    "gw-priority": st.integers(-9, 9).map(str),
    "ip-range": st.sampled_from(["172.28.5.0/24", "2001:db8:1::/80"]),
    "ipam-driver": st.sampled_from(["default", "dhcp"]),
    "ipam-opt": _pairs(KEY, TEXT),
    "opt": _pairs(KEY, TEXT),
    "subnet": st.sampled_from(["172.28.0.0/16", "2001:db8:1::/64", "172.28.7.1/16", "172.28.0.0/16,2001:db8:1::/64"]),
}
NEEDS = {
    "update": ["--cpus", "0.5"],
    "stats": ["--no-stream"],
    "network create": ["--subnet", "172.28.0.0/16", "--subnet", "2001:db8:1::/64"],
}
"""Without which a command is none, or its other flags make no sense."""

POSITIONALS: dict[str, st.SearchStrategy[str]] = {
    "container": NAME,
    "containers": NAME,
    "names": NAME.map(str.lower).filter(str.isalnum),
    "image": IMAGE,
    "images": IMAGE,
    "name": NAME.map(lambda name: f"u{name}"),
    "network": NAME.filter(lambda name: name != "host"),
    "networks": NAME,
    "services": NAME,
    "private": PORTS.filter(str.isdecimal).flatmap(lambda port: PROTOCOL.map(lambda protocol: port + protocol)),
    "source": IMAGE,
    "target": IMAGE,
    "volumes": NAME,
    "repository": IMAGE,
    "command": TEXT.map(lambda text: f"x{text}"),
}


def _flag_words(flag: Flag) -> st.SearchStrategy[list[str]]:
    # Two names of one setting in one command are refused, so only what gathers is drawn by all its names.
    spellings = [f"--{name}" for name in (flag.name, *(flag.aliases if flag.gather else ()))]
    if flag.switch:
        bare = st.sampled_from([*spellings, *([f"-{flag.short}"] if flag.short else [])]).map(lambda word: [word])
        if flag.name == "disable-content-trust":
            return bare
        return bare | st.sampled_from([f"{spelling}={word}" for spelling in spellings for word in ("false", "T")]).map(
            lambda word: [word]
        )
    value = VALUES[flag.name]
    separate = st.builds(lambda name, text: [name, text], st.sampled_from(spellings), value)
    joined = st.builds(lambda name, text: [f"{name}={text}"], st.sampled_from(spellings), value)
    if not flag.short:
        return separate | joined
    return separate | joined | value.map(lambda text: [f"-{flag.short}", text])


@st.composite
def _leading(draw: st.DrawFn, table: FlagTable) -> list[str]:
    """The flags between a group and its verb; which project, wherever there is one."""
    flags = [flag for flag in table.flags if not flag.refused]
    if not flags:
        return []
    drawn = draw(st.lists(st.sampled_from(flags), max_size=2))
    named = next(flag for flag in flags if flag.name == "project-name")
    return [word for flag in (*drawn, named) for word in draw(_flag_words(flag))]


@st.composite
def _argv(draw: st.DrawFn, command: Command) -> list[str]:
    group, *verb = draw(st.sampled_from(command.spellings)).split()
    words = ["docker", group, *(draw(_leading(command.leading)) if command.leading else []), *verb]
    flags = [flag for flag in command.flags.flags if not flag.refused and flag.name != "subnet"]
    for flag in draw(st.lists(st.sampled_from(flags), max_size=6)) if flags else []:
        words += draw(_flag_words(flag))
    words += NEEDS.get(command.spellings[0], [])
    if "top" in command.spellings:
        return [*words, draw(NAME), *draw(st.sampled_from([[], ["-ef"], ["aux"], ["-o", "pid,args"]]))]
    for positional in command.positionals:
        most = 4 if positional.many else 1
        values = st.lists(POSITIONALS[positional.field], min_size=positional.least, max_size=most, unique=True)
        words += draw(values)
    return words


def _outcome(run: Callable[[], Operation]) -> Operation | CommandRefused:
    try:
        return run()
    except CommandRefused as refusal:
        return refusal


def _hold(outcome: Operation | CommandRefused) -> None:
    if isinstance(outcome, CommandRefused):
        assert outcome.hint
        assert str(outcome).isascii()
        assert str(outcome).isprintable()
    else:
        check(outcome)


def check(op: Operation) -> None:
    """Hold one operation to what must hold of all."""
    text = render(op)
    again = parse(text)
    assert again == op
    assert render(again) == text
    assert operation_digest(again) == operation_digest(op)
    assert facts(again) == facts(op)
    assert references(again) == references(op)
    assert len(text.encode()) <= MAX_BYTES
    bare = re.sub(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"", "", text)
    assert not set(bare) & SHELL_CHARACTERS
    assert len(bare.split()) <= MAX_TOKENS


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.spellings[0])
@given(data=st.data())
def test_parse_of_render_is_the_operation(command: Command, data: st.DataObject):
    argv = data.draw(_argv(command))
    _hold(_outcome(lambda: parse_argv(argv)))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.spellings[0])
def test_the_generated_commands_are_mostly_commands(command: Command):
    """Keeps the property above honest: most of what it draws must reach its assertions."""
    taken: list[bool] = []

    @settings(max_examples=40, derandomize=True)
    @given(data=st.data())
    def draw(data: st.DataObject) -> None:
        argv = data.draw(_argv(command))
        taken.append(not isinstance(_outcome(lambda: parse_argv(argv)), CommandRefused))

    draw()
    assert sum(taken) * 2 > len(taken)


def test_every_flag_is_among_the_generated():
    tables = [table for command in COMMANDS for table in (command.flags, command.leading) if table]
    flags = {flag.name for table in tables for flag in table.flags if not flag.refused and not flag.switch}
    assert flags == set(VALUES) - {"disable-content-trust"}


WORDS = st.sampled_from(
    [
        *(
            "docker",
            "ps",
            "run",
            "exec",
            "stop",
            "rm",
            "inspect",
            "pull",
            "images",
            "container",
            "image",
            "top",
            "stats",
        ),
        *(
            "web",
            "busybox",
            "-a",
            "-it",
            "-d",
            "--",
            "-",
            "-t",
            "5",
            "-t5",
            "--time=5",
            "--time",
            "-v",
            "/a:/b",
            "-p",
            "80",
        ),
        *(
            "--mount",
            "type=bind,src=/,dst=/x",
            "--network",
            "name=a,alias=b",
            "--privileged",
            "=false",
            "-e",
            "A=1",
            "''",
        ),
    ]
)


@given(
    st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=60) | VISIBLE.map(lambda text: f"docker run {text}")
)
def test_no_text_gives_anything_but_an_operation_or_a_refusal(text: str):
    _hold(_outcome(lambda: parse(text)))


@given(st.lists(WORDS | st.text(max_size=8), max_size=8))
def test_no_argument_vector_gives_anything_but_an_operation_or_a_refusal(argv: list[str]):
    _hold(_outcome(lambda: parse_argv(argv)))


@pytest.mark.parametrize("name", VALUES)
@settings(max_examples=30)
@given(data=st.data())
def test_any_text_as_a_value_is_a_value_or_a_refusal(name: str, data: st.DataObject):
    command = next(
        each
        for each in COMMANDS
        for table in (each.flags, each.leading)
        if table and any(flag.name == name for flag in table.flags)
    )
    text = data.draw(VISIBLE | st.from_regex(r"[a-z0-9:/=,.\[\]-]{0,12}", fullmatch=True))
    words = ["docker", *command.spellings[0].split(), f"--{name}={text}", "web", "x"]
    _hold(_outcome(lambda: parse_argv(words)))
    _hold(_outcome(lambda: parse_argv(words[:-1])))
