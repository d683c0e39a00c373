"""The privilege boundary: what is found in what an engine says."""

from typing import Any

import pytest

from tests.gateway.deployment import CONFIG, GATEWAY, ROLES, bind, container, fleet, stack
from wingman_cli.stack.doctor import not_allowed
from wingman_gateway.boundary import Finding, judge


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


def test_a_finding_shows_no_secret():
    found = stack()
    found["api"]["Mounts"].append({"Type": "volume", "Name": "share"})
    options = {"device": "//nas/x?password=hunter2", "type": "cifs"}
    share = {"Name": "share", "Driver": "local", "Options": options}
    (finding,) = judge(fleet(*found.values(), volumes=(share,)), "wingman-test").findings
    assert finding.what == "has a volume share mounts //nas/x?password=[redacted]"
    found = stack()
    found["telegram-bot"]["Mounts"].append(bind(f"{CONFIG}/pki/api.key", "/keys/api.key"))
    (finding,) = judge(fleet(*found.values()), "wingman-test").findings
    assert finding.what == f"has {CONFIG}/pki/api.key mounted at /keys/api.key: the deployment's own keys"


def test_a_port_that_the_engine_chooses_is_called_free():
    stranger = container("stranger")
    stranger["Mounts"].append(bind("/var/run/docker.sock", "/s"))
    stranger["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "0"}]}
    (finding,) = judge(fleet(*stack().values(), stranger), "wingman-test").findings
    assert "127.0.0.1:a free port" in finding.what
