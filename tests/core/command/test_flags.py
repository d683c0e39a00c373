"""The flag scanner against pflag's rules, one table of its own."""

import pytest

from wingman_core.command.flags import FlagTable
from wingman_core.command.tables import in_order, refused, setting, several, switch
from wingman_core.command.values import free
from wingman_core.errors import Code, CommandRefused

FLAGS = (
    switch("all", "all", "a"),
    switch("quiet", "quiet", "q"),
    setting("time", "time", free, "t"),
    several("env", "env", free, in_order, "e", aliases=("environment",)),
    setting("long-only", "long_only", free),
    refused("interactive", "there is no terminal", "i", switch=True),
)
TABLE = FlagTable(FLAGS)
LEADING = FlagTable(FLAGS, interspersed=False)

SCANS = {
    "": ([], []),
    "web": ([], ["web"]),
    "-a": ([("all", "true")], []),
    "--all": ([("all", "true")], []),
    "--all=false": ([("all", "false")], []),
    "--all=": ([("all", "")], []),
    "--all false": ([("all", "true")], ["false"]),
    "-a=false": ([("all", "false")], []),
    "-aq": ([("all", "true"), ("quiet", "true")], []),
    "-aq=0": ([("all", "true"), ("quiet", "0")], []),
    "-t 5": ([("time", "5")], []),
    "-t5": ([("time", "5")], []),
    "-t=5": ([("time", "5")], []),
    "-t=": ([("time", "=")], []),
    "-t==": ([("time", "=")], []),
    "-t -a": ([("time", "-a")], []),
    "-t --": ([("time", "--")], []),
    "-t -5": ([("time", "-5")], []),
    "-at5": ([("all", "true"), ("time", "5")], []),
    "-at 5": ([("all", "true"), ("time", "5")], []),
    "-ta5": ([("time", "a5")], []),
    "--time 5": ([("time", "5")], []),
    "--time=5": ([("time", "5")], []),
    "--time=": ([("time", "")], []),
    "--time=a=b": ([("time", "a=b")], []),
    "--time --all": ([("time", "--all")], []),
    "-e a -e b --environment c": ([("env", "a"), ("env", "b"), ("env", "c")], []),
    "--long-only x": ([("long-only", "x")], []),
    "web -a": ([("all", "true")], ["web"]),
    "-a web -q db": ([("all", "true"), ("quiet", "true")], ["web", "db"]),
    "-a -- -q web": ([("all", "true")], ["-q", "web"]),
    "web -- -a": ([], ["web", "-a"]),
    "- -a": ([("all", "true")], ["-"]),
}


@pytest.mark.parametrize("line", SCANS)
def test_flags_are_split_as_pflag_splits_them(line: str):
    flags, positionals = SCANS[line]
    scanned = TABLE.scan(line.split())
    assert [(given.flag.name, given.value) for given in scanned.flags] == flags
    assert list(scanned.positionals) == positionals


@pytest.mark.parametrize(
    ("line", "flags", "positionals"),
    [
        ("-a web -q", 1, ["web", "-q"]),
        ("web -a -- x", 0, ["web", "-a", "--", "x"]),
        ("-a -- web -q", 1, ["web", "-q"]),
        ("-- -a", 0, ["-a"]),
        ("- -a", 0, ["-", "-a"]),
    ],
)
def test_where_flags_come_first_the_rest_is_left_alone(line: str, flags: int, positionals: list[str]):
    scanned = LEADING.scan(line.split())
    assert len(scanned.flags) == flags
    assert list(scanned.positionals) == positionals


REFUSALS = {
    "--al": "did you mean --all?",
    "--tim=5": "did you mean --time?",
    "--ALL": "docker's own reference",
    "-x": "docker's own reference",
    "-ax": "docker's own reference",
    "-a=": "docker's own reference",
    "--frobnicate": "docker's own reference",
    "---all": "--name=value",
    "--=x": "--name=value",
    "-t": "the value after it",
    "--time": "the value after it",
    "-at": "the value after it",
    "--help": "your own machine",
    "-h": "your own machine",
    "-i": "leave it out",
    "--interactive": "leave it out",
    "--interactive=false": "leave it out",
    "-ai": "leave it out",
    "-é": "docker's own reference",
}


@pytest.mark.parametrize("line", REFUSALS)
def test_what_is_no_flag_is_refused_by_name_with_a_way_out(line: str):
    with pytest.raises(CommandRefused) as refusal:
        TABLE.scan([line])
    assert refusal.value.code is Code.COMMAND_FLAG
    assert REFUSALS[line] in refusal.value.hint
    assert refusal.value.details["flag"]


@pytest.mark.parametrize("word", ["-H", "--host", "--host=tcp://x", "--context", "--config=/x", "--tlsverify", "-D"])
def test_the_choice_of_engine_is_refused_behind_the_verb_too(word: str):
    with pytest.raises(CommandRefused) as refusal:
        TABLE.scan([word])
    assert refusal.value.code is Code.COMMAND_GLOBAL_FLAG
