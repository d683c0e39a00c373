"""The privilege boundary: what is found in what an engine says, and what the gateway does about it."""

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import structlog

from tests.gateway.conftest import FakeEngine, Minter, Serve, execute, refusal
from wingman_cli.stack.doctor import not_allowed
from wingman_core.audit_record import AuditRecord
from wingman_core.errors import Code, Unavailable
from wingman_gateway.boundary import Finding, judge
from wingman_gateway.boundary_watch import LOOKS, UNSEEN, BoundaryWatch
from wingman_gateway.engine.fleet import Fleet
from wingman_gateway.records import Records
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1.gateway_pb2_grpc import ExecutionGatewayStub

CONFIG = "/srv/wingman/config/test"
GATEWAY = "execution-gateway"
ROLES = {GATEWAY: "gateway", "api": "api", "telegram-bot": "bot", "postgres": "postgres"}


def bind(source: str, target: str) -> dict[str, str]:
    return {"Type": "bind", "Source": source, "Destination": target}


def container(name: str, service: str = "", *, created: str = "2030-01-01", **host: object) -> dict[str, Any]:
    """One container as ``inspect`` describes it, as the compose files make it."""
    labels = {"com.docker.compose.project": "wingman-test", "com.docker.compose.service": service} if service else {}
    return {
        "Id": name * 20,
        "Name": f"/{name}",
        "Created": created,
        "State": {"Running": True},
        "Config": {"Labels": labels, "Env": ["PATH=/bin", "EMPTY="], "User": "10001:10001"},
        "HostConfig": {
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "NetworkMode": "wingman-test_data",
            **host,
        },
        "Mounts": [bind(f"{CONFIG}/{ROLES[service]}", "/run/wingman")] if service in ROLES else [],
        "NetworkSettings": {"Networks": {"wingman-test_data": {}} if service else {"bridge": {}}},
    }


def stack() -> dict[str, dict[str, Any]]:
    """The four containers of a deployment that is as it should be, by service."""
    found = {service: container(service, service) for service in ROLES}
    found[GATEWAY]["Mounts"] += [
        bind("/var/run/docker.sock", "/var/run/docker.sock"),
        bind(f"{CONFIG}/policies", "/etc/wingman/policies"),
        bind(f"{CONFIG}/token-keys", "/etc/wingman/token-keys"),
        {"Type": "volume", "Name": "wingman-test_journal", "Source": "/var/lib/docker/volumes/j/_data"},
    ]
    found[GATEWAY]["HostConfig"]["GroupAdd"] = ["998"]
    found["api"]["HostConfig"]["PortBindings"] = {"8100/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8101"}]}
    return found


def fleet(*containers: dict[str, Any], volumes: tuple[dict[str, Any], ...] = ()) -> Fleet:
    labels = {"com.docker.compose.project": "wingman-test"}
    networks = ({"Name": "wingman-test_data", "Labels": labels}, {"Name": "bridge", "Labels": None})
    return Fleet(
        containers, networks, ({"Name": "wingman-test_journal", "Labels": labels}, *volumes), "/var/lib/docker"
    )


def look(*containers: dict[str, Any], volumes: tuple[dict[str, Any], ...] = ()) -> list[tuple[str, str]]:
    """Who, and which code."""
    report = judge(fleet(*containers, volumes=volumes), "wingman-test")
    return [(finding.service, finding.code) for finding in report.findings]


def test_a_deployment_as_it_should_be_has_no_findings():
    report = judge(fleet(*stack().values(), container("somebody")), "wingman-test")
    assert report.findings == ()
    assert [member.service for member in report.members] == list(ROLES)


@pytest.mark.parametrize(
    ("mount", "code"),
    [
        (bind("/var/run/docker.sock", "/var/run/docker.sock"), "SOCKET_MOUNTED"),
        (bind("/run/./docker.sock", "/a"), "SOCKET_MOUNTED"),
        (bind("/home/alice/.colima/default/docker.sock", "/a"), "SOCKET_MOUNTED"),
        (bind("/run/podman/podman.sock", "/a"), "SOCKET_MOUNTED"),
        (bind("/run", "/a"), "SOCKET_DIRECTORY"),
        (bind("/var/run/", "/a"), "SOCKET_DIRECTORY"),
        (bind("/", "/host"), "SOCKET_DIRECTORY"),
        (bind("/var/lib", "/a"), "SOCKET_DIRECTORY"),
        (bind("/var/lib/docker/volumes", "/a"), "SOCKET_DIRECTORY"),
        (bind("/proc", "/host-proc"), "KERNEL_MOUNTED"),
        (bind(f"{CONFIG}/gateway", "/a"), "KEY_MOUNTED"),
        (bind(f"{CONFIG}/gateway/tls.key", "/a"), "KEY_MOUNTED"),
        (bind(CONFIG, "/a"), "KEY_MOUNTED"),
        (bind("/srv", "/a"), "KEY_MOUNTED"),
        (bind(f"{CONFIG}/pki/api.key", "/a"), "KEY_MOUNTED"),
        ({"Type": "volume", "Name": "disguised"}, "HOST_VOLUME"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value.get("Source", "volume")),
)
def test_a_mount_that_leads_to_the_engine_or_to_keys_is_found(mount: dict[str, str], code: str):
    found = stack()
    found["telegram-bot"]["Mounts"].append(mount)
    disguised = {"Name": "disguised", "Driver": "local", "Options": {"device": "/run", "type": "none", "o": "bind"}}
    first, *others = look(*found.values(), volumes=(disguised,))
    assert first == ("telegram-bot", code)
    assert others == ([("telegram-bot", "KEY_MOUNTED")] if mount.get("Source") == "/" else [])


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ({"Privileged": True}, "PRIVILEGED"),
        ({"PidMode": "host"}, "PRIVILEGED"),
        ({"NetworkMode": "host"}, "PRIVILEGED"),
        ({"NetworkMode": "container:execution-gateway"}, "PRIVILEGED"),
        ({"CapAdd": ["SYS_ADMIN"]}, "PRIVILEGED"),
        ({"Devices": [{"PathOnHost": "/dev/sda"}]}, "PRIVILEGED"),
        ({"GroupAdd": ["998"]}, "PRIVILEGED"),
        ({"SecurityOpt": ["no-new-privileges:true", "seccomp=unconfined"]}, "PRIVILEGED"),
        ({"SecurityOpt": None}, "NEW_PRIVILEGES"),
        ({"CapDrop": ["NET_RAW"]}, "CAPABILITIES"),
        ({"PortBindings": {"1/tcp": [{"HostIp": "", "HostPort": ""}]}}, "PUBLISHED"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_a_container_may_beyond_its_need_is_found(host: dict[str, Any], code: str):
    found = stack()
    found["telegram-bot"]["HostConfig"].update(host)
    assert look(*found.values()) == [("telegram-bot", code)]


@pytest.mark.parametrize("name", ["DOCKER_HOST", "DOCKER_CERT_PATH", "WINGMAN_DOCKER_HOST"])
def test_a_variable_that_names_an_engine_is_found(name: str):
    found = stack()
    found["api"]["Config"]["Env"].append(f"{name}=tcp://10.0.0.1:2375")
    found[GATEWAY]["Config"]["Env"].append(f"{name}=unix:///run/docker.sock")
    found["postgres"]["Config"]["User"] = "root"
    report = judge(fleet(*found.values()), "wingman-test")
    assert [str(finding) for finding in report.findings] == [f"api has {name} set", "postgres runs as root"]


def test_the_gateway_may_have_the_socket_and_its_group_and_nothing_else():
    found = stack()
    found[GATEWAY]["HostConfig"]["Privileged"] = True
    assert look(*found.values()) == [(GATEWAY, "PRIVILEGED")]


def test_a_second_holder_a_neighbour_and_a_stranger_with_a_door_are_found():
    twin = container("twin", GATEWAY, created="2030-01-02")
    twin["Mounts"].append(bind("/var/run/docker.sock", "/var/run/docker.sock"))
    neighbour = container("neighbour")
    neighbour["NetworkSettings"]["Networks"] = {"wingman-test_data": {}}
    neighbour["Mounts"].append(bind("/var/run/docker.sock", "/s"))
    sharing = container("sharing", Privileged=True)
    sharing["Mounts"].append({"Type": "volume", "Name": "wingman-test_journal"})
    strangers = [container(f"stranger{number}") for number in range(3)]
    for each in strangers:
        each["Mounts"].append(bind("/var/run/docker.sock", "/s"))
    strangers[1]["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": "", "HostPort": "2375"}]}
    strangers[2]["HostConfig"]["NetworkMode"] = "host"
    report = judge(fleet(*stack().values(), twin, neighbour, sharing, *strangers), "wingman-test")
    assert [(finding.container, finding.code) for finding in report.findings if finding.code != "KEY_MOUNTED"] == [
        ("twin", "SOCKET_MOUNTED"),
        ("neighbour", "SOCKET_MOUNTED"),
        ("sharing", "PRIVILEGED"),
        ("stranger1", "PROXY"),
        ("stranger2", "PROXY"),
    ]
    assert "is there a second time (twin)" in report.findings[0].what


@pytest.mark.parametrize(
    "host",
    [
        {"NetworkMode": f"container:{'telegram-bot' * 20}"},
        {"NetworkMode": "container:telegram-bot"},
        {"PidMode": f"container:{'api' * 20}"},
        {"IpcMode": "container:postgres"},
        {"PublishAllPorts": True},
    ],
    ids=lambda host: next(iter(host)),
)
def test_a_stranger_with_the_socket_in_a_namespace_of_the_projects_or_on_any_port_is_found(host: dict[str, Any]):
    """It is on no network that the engine tells of, and what it forwards may listen anywhere."""
    stranger = container("stranger", **host)
    stranger["NetworkSettings"]["Networks"] = {}
    assert look(*stack().values(), stranger) == []
    stranger["Mounts"].append(bind("/run/docker.sock", "/s"))
    assert look(*stack().values(), stranger) == [("stranger", "PROXY")]


def test_who_meets_the_project_on_a_network_or_volume_of_neithers_is_near():
    found = stack()
    found["telegram-bot"]["NetworkSettings"]["Networks"]["elsewhere"] = {}
    found["postgres"]["Mounts"].append({"Type": "volume", "Name": "unlabelled"})
    met, sharing = container("met"), container("sharing")
    met["NetworkSettings"]["Networks"] = {"elsewhere": {}}
    sharing["Mounts"].append({"Type": "volume", "Name": "unlabelled"})
    for each in (met, sharing):
        each["Mounts"].append(bind("/run/docker.sock", "/s"))
    apart = container("apart")
    apart["NetworkSettings"]["Networks"] = {"none": {}}
    apart["Mounts"].append(bind("/run/docker.sock", "/s"))
    assert look(*found.values(), met, sharing, apart) == [("met", "SOCKET_MOUNTED"), ("sharing", "SOCKET_MOUNTED")]


def test_only_the_one_gateway_may_be_seen_to_reach_the_engine_whatever_others_call_themselves():
    impostor = container("impostor")  # its socket has an odd name, so that only trying from inside tells
    impostor["Config"]["Labels"] = {"com.docker.compose.service": GATEWAY}
    impostor["NetworkSettings"]["Networks"] = {"wingman-test_data": {}}
    report = judge(fleet(impostor, *stack().values()), "wingman-test")
    assert (report.holder, report.findings) == (GATEWAY, ())
    tries = [
        Finding(GATEWAY, name, code, "reaches", "mend")
        for name, code in (
            (GATEWAY, "REACHED_UNIX"),
            (GATEWAY, "REACHED_TCP"),
            ("impostor", "REACHED_UNIX"),
        )
    ]
    assert not_allowed(tries, report) == tries[1:]


def test_without_a_gateway_nothing_is_whole_and_nobody_may_hold_the_socket():
    lone = container("api", "api")
    lone["Mounts"].append(bind("/run/docker.sock", "/s"))
    assert look(lone) == [(GATEWAY, "NO_GATEWAY"), ("api", "SOCKET_MOUNTED")]


def test_a_project_of_another_name_has_nothing_to_look_at_and_that_is_found():
    holding = container("holding", Privileged=True)
    holding["Mounts"].append(bind("/run/docker.sock", "/s"))
    report = judge(fleet(*stack().values(), holding), "wingman-typo")
    (finding,) = report.findings
    assert (report.members, finding.code) == ((), "NO_GATEWAY")
    assert str(finding).startswith("execution-gateway of the project wingman-typo is not on the engine")
    assert "WINGMAN_BOUNDARY_PROJECT" in finding.fix


def test_a_gateway_without_the_socket_is_not_the_one_that_is_meant():
    found = stack()
    found[GATEWAY]["Mounts"] = [each for each in found[GATEWAY]["Mounts"] if "docker.sock" not in each["Source"]]
    assert look(*found.values()) == [(GATEWAY, "NO_GATEWAY")]


def verdicts(log: list[AuditRecord]) -> list[tuple[str, str]]:
    return [(record.outcome, record.reason) for record in log if record.kind == "BOUNDARY"]


async def test_the_gateway_records_news_and_stops_executions_where_it_is_told_to(
    serve: Serve, engine: FakeEngine, minter: Minter
):
    engine.seen = fleet(*stack().values())
    watching = {"boundary_project": "wingman-test", "boundary_interval": 0.05, "boundary_stops": True}
    async with serve(engine, **watching) as served, served.channel() as channel:
        await served.until(lambda log: verdicts(log) == [("SUCCEEDED", "")])
        command = "docker restart --time 1 web"
        await execute(channel, minter.mint(command, engine), command)

        bad = stack()
        bad["api"]["HostConfig"]["Privileged"] = True
        engine.seen = fleet(*bad.values())
        said = ("FAILED", "PRIVILEGED: api runs with privileged")
        log = await served.until(lambda log: verdicts(log) == [("SUCCEEDED", ""), said])
        assert '"found":1' in log[-1].evidence
        stub = ExecutionGatewayStub(channel)
        request = pb.ExecuteRequest(capability_token=minter.mint(command, engine), command=command)
        refused = await refusal(anext(aiter(stub.Execute(request))))
        assert (refused.status, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, Code.BOUNDARY_VIOLATED)
        assert "api runs with privileged" in refused.message

        engine.seen = fleet(*stack().values())
        await served.until(lambda log: len(verdicts(log)) == 3)
        await execute(channel, minter.mint(command, engine), command)


async def test_a_boundary_that_cannot_be_looked_at_stops_executions_too(
    serve: Serve, engine: FakeEngine, minter: Minter
):
    stateless = {"Id": "without a state"}  # is no trouble
    engine.seen = fleet(*stack().values(), stateless)
    watching = {"boundary_project": "wingman-test", "boundary_interval": 0.05, "boundary_stops": True}
    async with serve(engine, **watching) as served, served.channel() as channel:
        await served.until(lambda log: verdicts(log) == [("SUCCEEDED", "")])
        engine.seen = Fleet(None, (), (), "/")  # type: ignore[arg-type]  # what no engine says
        command = "docker restart --time 1 web"
        request = pb.ExecuteRequest(capability_token=minter.mint(command, engine), command=command)
        stub, refused = ExecutionGatewayStub(channel), list[grpc.aio.AioRpcError]()
        while not refused:
            request.capability_token = minter.mint(command, engine)
            try:
                async for _ in stub.Execute(request):
                    pass
            except grpc.aio.AioRpcError as error:
                refused.append(error)
        assert refused[0].code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "no look at it has succeeded" in str(refused[0].details())


class Log:
    """Where a watch's records go."""

    def __init__(self) -> None:
        self.records: list[AuditRecord] = []

    async def append(self, record: AuditRecord) -> int:
        self.records.append(record)
        return len(self.records)


async def test_looks_that_cannot_be_made_in_a_row_are_a_violation_that_is_told_once(engine: FakeEngine):
    log = Log()
    watch = BoundaryWatch(
        "wingman-test",
        engine=engine,
        audit=log,
        records=Records("test", "gateway", now=lambda: datetime(2030, 1, 1, tzinfo=UTC)),
        interval=300,
        stops=True,
        clock=lambda: 0.0,
        log=structlog.wrap_logger(None),
    )
    engine.seen = fleet(*stack().values())
    for _ in range(2):
        engine.down = True
        for _ in range(LOOKS - 1):
            with pytest.raises(Unavailable):
                await watch.look()
        engine.down = False
        await watch.look()
    assert verdicts(log.records) == [("SUCCEEDED", "")]  # now and then one fails
    engine.down = True
    for _ in range(LOOKS + 2):
        with pytest.raises(Unavailable):
            await watch.look()
    assert verdicts(log.records)[1:] == [("FAILED", UNSEEN)]
    engine.down = False
    await watch.look()
    watch.require()
    assert verdicts(log.records)[2:] == [("SUCCEEDED", "")]


def test_a_port_that_the_engine_chooses_is_called_free():
    stranger = container("stranger")
    stranger["Mounts"].append(bind("/var/run/docker.sock", "/s"))
    stranger["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}
    (finding,) = judge(fleet(*stack().values(), stranger), "wingman-test").findings
    assert "127.0.0.1:a free port" in finding.what
