"""The parser against the real docker client: what it asked of an engine, recorded by ``record_docker_cli.py``.

Every recorded command line is either refused by the client, and then here as well; or means exactly the request that
the client sent; or is refused here on purpose, and then the vectors hold the code. The flag tables are Docker's.
"""

import importlib.util
import ipaddress
import json
import posixpath
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wingman_core.command import (
    ExecOperation,
    LogsOperation,
    NetworkRmOperation,
    Operation,
    parse,
    parse_argv,
    render,
    render_argv,
)
from wingman_core.command.grammar import COMMANDS
from wingman_core.errors import Code, CommandRefused


def _sibling(name: str) -> ModuleType:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"command_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


engine_requests = _sibling("engine_requests").engine_requests
pruned = _sibling("record_docker_cli").pruned

HEX_ID = 64
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "docker_cli.json").read_text())
CASES = {shlex.join(case["argv"]): case for case in VECTORS["cases"]}
TAKEN = [line for line, case in CASES.items() if case["requests"] and "refused" not in case]
STRICTER = [line for line, case in CASES.items() if "refused" in case]
HIDDEN = {
    "stop": {"time"},
    "restart": {"time"},
    "run": {"dns-opt", "net", "net-alias"},
    "create": {"dns-opt", "net", "net-alias"},
    "update": {"kernel-memory"},
    "volume create": {"name"},
}
"""Spellings that Docker takes and does not document."""


def _normal(request: dict[str, Any]) -> dict[str, Any]:
    """Put into normal form what the client passes on as written and the engine normalises."""
    request = json.loads(json.dumps(request))
    if request["path"].endswith("/logs"):
        request["path"] = "/logs"
    query = request["query"]
    if "signal" in query or request["path"].endswith("/kill"):
        query["signal"] = _signal(query.get("signal", "KILL"))
    if "filters" in query:
        query["filters"] = json.dumps(
            json.loads(query["filters"].replace('"is-task":{"1"', '"is-task":{"true"')),
            sort_keys=True,
            separators=(",", ":"),
        )
    if "platform" in query:
        query["platform"] = query["platform"].lower()
    if request["path"] == "/networks/create":  # the client sends them in any order
        request["body"]["IPAM"].get("Config", []).sort(key=lambda each: each["Subnet"])
    if request["path"].endswith("/exec"):
        request["body"]["WorkingDir"] = _straight(request["body"].get("WorkingDir", ""))
    if request["path"] == "/containers/create":
        _normalise_container(request["body"])
    return {**pruned(request), "query": query, "body": pruned(request["body"])}


def _normalise_container(body: dict[str, Any]) -> None:
    host = body["HostConfig"]
    body["Env"] = sorted(body.get("Env", []))
    body["StopSignal"] = _signal(body["StopSignal"]) if "StopSignal" in body else None
    body["Image"] = f"sha256:{body['Image']}" if len(body["Image"]) == HEX_ID else body["Image"]
    body["WorkingDir"] = posixpath.normpath(body["WorkingDir"]) if "WorkingDir" in body else ""
    for name in ("CapAdd", "CapDrop"):
        host[name] = sorted(_capability(each) for each in host.get(name, []))
    host["SecurityOpt"] = sorted(map(_security, host.get("SecurityOpt", [])))
    host["Binds"] = sorted(map(_bind, host.get("Binds", [])))
    for ports in host.get("PortBindings", {}).values():
        ports[:] = [{name: value for name, value in each.items() if value != "0"} for each in ports]
    host["Links"] = [each if ":" in each else f"{each}:{each}" for each in host.get("Links", [])]
    host["StorageOpt"] = {key: value.lower() for key, value in host.get("StorageOpt", {}).items()}
    host["Tmpfs"] = {_straight(path): options for path, options in host.get("Tmpfs", {}).items()}
    for endpoint in body.get("NetworkingConfig", {}).get("EndpointsConfig", {}).values():
        addresses = endpoint.get("IPAMConfig", {})
        if "IPv6Address" in addresses:
            addresses["IPv6Address"] = str(ipaddress.ip_address(addresses["IPv6Address"]))
        endpoint["MacAddress"] = endpoint.get("MacAddress", "").replace("-", ":")


def _straight(path: str) -> str:
    """Leave out doubled and trailing slashes; a kernel follows links and .. as they stand."""
    return re.sub("(?<=.)/$", "", re.sub("/+", "/", path))


def _bind(bind: str) -> str:
    source, target, *modes = bind.split(":")
    source, target = (re.sub("^//", "/", posixpath.normpath(path)) for path in (source, target))
    words = sorted(set(modes[0].split(",")) - {"rw"}) if modes else []
    return ":".join([source, target, *([",".join(words)] if words else [])])


def _signal(name: str) -> str:
    return {"9": "SIGKILL"}.get(name, "SIG" + name.upper().removeprefix("SIG"))


def _capability(name: str) -> str:
    return name if name == "ALL" else "CAP_" + name.upper().removeprefix("CAP_")


def _security(option: str) -> str:
    option = option.replace(":", "=", 1) if "=" not in option else option
    return "no-new-privileges" if option == "no-new-privileges=true" else option


def _is_look_up(request: dict[str, Any], op: Operation) -> bool:
    """Whether the client only looks at the container before it asks for what the operation says."""
    if request["method"] != "GET" or request["query"]:
        return False
    if isinstance(op, NetworkRmOperation):
        return request["path"] in {f"/networks/{name}" for name in op.networks}
    return isinstance(op, LogsOperation | ExecOperation) and request["path"] == f"/containers/{op.container}/json"


def _sorted(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(requests, key=lambda each: json.dumps(each, sort_keys=True))


@pytest.mark.parametrize("line", [line for line, case in CASES.items() if case["requests"] is None])
def test_what_docker_refuses_is_refused(line: str):
    with pytest.raises(CommandRefused):
        parse_argv(["docker", *shlex.split(line)])


@pytest.mark.parametrize("line", TAKEN)
def test_what_docker_takes_means_the_same_requests(line: str):
    op = parse_argv(["docker", *shlex.split(line)])
    recorded = [_normal(each) for each in CASES[line]["requests"]]
    wanted = [{**each, "body": pruned(each["body"])} for each in engine_requests(op)]
    assert _sorted([each for each in recorded if not _is_look_up(each, op)]) == _sorted(wanted)
    assert parse(render(op)) == op


@pytest.mark.parametrize("line", TAKEN)
def test_what_people_are_shown_is_the_same_to_docker(line: str):
    """The canonical command, given to the client, asks the engine for exactly the same."""
    case = CASES[line]
    assert list(render_argv(parse_argv(["docker", *case["argv"]]))[1:]) == case["canonical"]
    shown = case.get("canonical_requests", case["requests"])
    assert _sorted([_normal(each) for each in shown]) == _sorted([_normal(each) for each in case["requests"]])


@pytest.mark.parametrize("line", STRICTER)
def test_what_docker_takes_and_wingman_refuses(line: str):
    assert CASES[line]["requests"] is not None
    with pytest.raises(CommandRefused) as refusal:
        parse_argv(["docker", *shlex.split(line)])
    assert refusal.value.code is Code(CASES[line]["refused"])
    assert refusal.value.hint


@pytest.mark.parametrize("verb", VECTORS["flags"])
def test_the_table_has_exactly_dockers_flags(verb: str):
    command = next(command for command in COMMANDS if verb in command.spellings)
    spellings = {
        name: {"short": flag.short if name not in HIDDEN.get(verb, ()) else "", "switch": flag.switch}
        for flag in command.flags.flags
        for name in (flag.name, *flag.aliases)
        if name not in HIDDEN.get(verb, ())
    }
    assert spellings == VECTORS["flags"][verb]
    assert {name for flag in command.flags.flags for name in flag.aliases} - set(spellings) <= HIDDEN.get(verb, set())


@pytest.mark.parametrize("command", VECTORS["commands"])
def test_every_command_of_docker_is_served_or_refused_with_its_reason(command: str):
    if any(command in row.spellings for row in COMMANDS):
        return
    with pytest.raises(CommandRefused) as refused:
        parse(f"docker {command} x")
    assert refused.value.code is Code.COMMAND_REFUSED
    assert (
        f"docker {command}" in refused.value.message
        or f"docker {command.split(maxsplit=1)[0]}" in refused.value.message
    )
    assert "is refused: it" in refused.value.message
