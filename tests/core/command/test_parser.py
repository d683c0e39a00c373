"""The command table: spellings of one operation, what is missing or too much, and what is refused by name."""

import pytest
from pydantic import ValidationError

from wingman_core.command import (
    ExecOperation,
    InspectOperation,
    LogsOperation,
    PsOperation,
    RestartOperation,
    RunOperation,
    StopOperation,
    operation_digest,
    parse,
    parse_argv,
    render,
    render_argv,
)
from wingman_core.command.refused import REFUSED
from wingman_core.errors import Code, CommandRefused

# Canonical text, and other ways to write the same.
SPELLINGS = {
    "docker ps": ["docker container ls", "docker container ps", "docker container list", "docker ps --all=false"],
    "docker ps --all --quiet": ["docker ps -aq", "docker ps -qa", "docker ps -a -q", "docker ps --quiet --all=T"],
    "docker ps --last 1": [
        "docker ps -l",
        "docker ps -n1",
        "docker ps -n=1",
        "docker ps --last=0x1",
        "docker ps -ln -1",
    ],
    "docker ps --last 3": ["docker ps -l -n 3", "docker ps -n 9 -n 3"],
    "docker ps --filter name=web --filter status=running": [
        "docker ps -f status=running -f name=web",
        "docker ps -f status=running -f ' Name=web ' -f status=running -f ''",
    ],
    "docker ps --format json": [
        "docker ps --format=table --format json",
        "docker ps --format '{{json .}}' --format json",
        "docker ps --format '{{json .}}' --size=false",
    ],
    "docker ps --format json --size": ["docker ps --format '{{json .}}'", "docker ps --format '{{json .}}' -s"],
    "docker ps --format json --quiet": ["docker ps -q --format '{{json .}}'"],
    "docker inspect web": ["docker inspect -- web", "docker inspect -s=false web", "docker inspect -f '' web"],
    "docker inspect --type container web": ["docker container inspect web"],
    "docker inspect --type image busybox": [
        "docker image inspect docker.io/library/busybox",
        "docker image inspect index.docker.io/busybox",
        "docker inspect --size --type image busybox",
    ],
    "docker logs --tail 5 web": ["docker logs -n5 web", "docker logs web --tail=5", "docker container logs -n 5 web"],
    "docker logs web": ["docker logs --tail all web", "docker logs --since= --until '' web"],
    "docker logs --since 90m web": ["docker logs --since 1h30m web"],
    "docker top web": ["docker container top web"],
    "docker top web -o pid,cmd": ["docker top -- web -o pid,cmd"],
    "docker stats --no-stream": ["docker container stats --no-stream", "docker stats --no-stream=1 --all=0"],
    "docker start a b": ["docker container start a b"],
    "docker stop --time 5 web": ["docker stop -t5 web", "docker stop --timeout=5 web", "docker stop web -t 05"],
    "docker restart --signal SIGTERM --time 10 web": [
        "docker restart -t 10 -s term web",
        "docker restart -s15 -t=10 web",
    ],
    "docker restart web": ["docker container restart web", "docker restart -s '' web"],
    "docker kill web": ["docker kill -s 9 web", "docker kill --signal= web", "docker container kill -sKILL web"],
    "docker rm --force --volumes a b": ["docker rm -fv a b", "docker container remove a b -vf", "docker rm -f a -v b"],
    "docker exec --env A=1 --env B=2 web id": [
        "docker exec -e B=2 -eA=1 web id",
        "docker container exec -e A=1 --env=B=2 web id",
    ],
    "docker exec web ls -la": ["docker exec -- web ls -la", "docker exec --privileged=false -u '' web ls -la"],
    "docker images 'busy*'": ["docker image ls 'busy*'", "docker image list busy\\*"],
    "docker pull busybox:latest": ["docker image pull busybox", "docker pull docker.io/library/busybox:latest"],
    "docker pull --all-tags busybox": ["docker pull -a busybox"],
    "docker run busybox": [
        "docker container run busybox",
        "docker run --pull never -q --disable-content-trust busybox",
        "docker run --pull=missing --rm=false --name '' --restart= docker.io/busybox",
    ],
    "docker run --env A=3 --env B=2 busybox": ["docker run -e A=1 -e B=2 -e A=3 busybox"],
    "docker run --network shop --network-alias web busybox": ["docker run --net shop --net-alias web busybox"],
    "docker run --entrypoint '' busybox": ["docker run --entrypoint= busybox"],
    "docker run --init=false busybox": ["docker run --init --init=F busybox"],
}


@pytest.mark.parametrize(("canonical", "text"), [(c, t) for c, texts in SPELLINGS.items() for t in [c, *texts]])
def test_every_spelling_is_one_operation(canonical: str, text: str):
    op = parse(text)
    assert render(op) == canonical
    assert op == parse(canonical)
    assert operation_digest(op) == operation_digest(parse(canonical))
    assert " ".join(render_argv(op)).split()[0] == "docker"
    assert parse_argv(render_argv(op)) == op


def test_different_operations_have_different_digests():
    digests = {operation_digest(parse(text)) for text in SPELLINGS}
    assert len(digests) == len(SPELLINGS)
    assert all(len(each) == 64 and set(each) <= set("0123456789abcdef") for each in digests)


def test_golden_digest():
    """The bytes under an approval must not move by accident: a change here makes older approvals void."""
    assert (
        operation_digest(parse("docker restart --time 10 web"))
        == "0d3576747760a83f8d0c0410a8deb197995e2fea0ced8bdf230877777b7a02ff"
    )


def test_operations_are_typed_and_complete():
    assert parse("docker restart -t 10 a b") == RestartOperation(time=10, containers=("a", "b"))
    assert parse("docker stop a") == StopOperation(containers=("a",), signal="", time=None)
    assert parse("docker ps") == PsOperation(all=False, filters=(), format="table", last=-1)
    assert parse("docker logs -t web") == LogsOperation(timestamps=True, container="web", tail=-1)
    assert parse("docker inspect -f json web") == InspectOperation(format="json", names=("web",))
    assert parse("docker exec -d -u 1:2 -w //a/b/ web ls -l") == ExecOperation(
        detach=True, user="1:2", workdir="/a/b", container="web", command=("ls", "-l")
    )
    assert parse("docker run -d --name web -m 1g busybox sleep 5") == RunOperation(
        detach=True, name="web", memory=2**30, image="busybox", command=("sleep", "5")
    )


def test_operations_are_frozen_and_closed():
    op = parse("docker restart web")
    with pytest.raises(ValidationError):
        op.verb = "stop"  # type: ignore[misc, assignment]
    with pytest.raises(ValidationError):
        RestartOperation(containers=("web",), force=True)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        RestartOperation(containers=())
    with pytest.raises(ValidationError):
        RestartOperation(containers=("web",), time="10")  # type: ignore[arg-type]
    assert hash(op) == hash(parse("docker container restart web"))


ARGUMENTS = {
    **dict.fromkeys(
        [
            f"docker {v}"
            for v in ("inspect", "logs", "top", "start", "stop", "restart", "kill", "pause", "unpause", "rm")
        ],
        "more arguments",
    ),
    **dict.fromkeys(["docker exec", "docker exec web", "docker run", "docker run -d", "docker pull"], "more arguments"),
    "docker ps web": "one argument too many",
    "docker ps --all false": "one argument too many",
    "docker logs a b": "one argument too many",
    "docker images a b": "one argument too many",
    "docker pull a b": "one argument too many",
}


@pytest.mark.parametrize("text", ARGUMENTS)
def test_arguments_are_counted(text: str):
    with pytest.raises(CommandRefused, match=ARGUMENTS[text]) as refusal:
        parse(text)
    assert refusal.value.code is Code.COMMAND_ARGUMENTS
    assert refusal.value.hint


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_by_name_says_why(name: str):
    with pytest.raises(CommandRefused) as refusal:
        parse(f"docker {name} x")
    assert refusal.value.code is Code.COMMAND_REFUSED
    assert REFUSED[name] in refusal.value.message
    assert refusal.value.details == {"command": name}


UNKNOWN = {
    "docker restrat web": "did you mean docker restart?",
    "docker container restrat web": "did you mean docker container restart?",
    "docker frobnicate": "it knows ps, inspect,",
    "docker container": "it knows ps, inspect,",
    "docker image frobnicate": "it knows ps, inspect,",
    "docker container build": "it knows ps, inspect,",
    "docker image puls": "did you mean docker image pull?",
    "docker qqqqqq ls": "it knows ps, inspect,",
}


@pytest.mark.parametrize("text", UNKNOWN)
def test_an_unknown_command_gets_the_nearest_as_a_hint(text: str):
    with pytest.raises(CommandRefused) as refusal:
        parse(text)
    assert refusal.value.code is Code.COMMAND_UNKNOWN
    assert UNKNOWN[text] in refusal.value.hint


@pytest.mark.parametrize(
    "text", ["docker --help", "docker -x ps", "docker container --help", "docker image -x ls", "docker -"]
)
def test_flags_before_the_command(text: str):
    with pytest.raises(CommandRefused) as refusal:
        parse(text)
    assert refusal.value.code is Code.COMMAND_FLAG


def test_docker_alone_is_no_command():
    with pytest.raises(CommandRefused) as refusal:
        parse("docker")
    assert refusal.value.code is Code.COMMAND_EMPTY


def test_a_bad_value_names_its_flag_and_shows_it():
    with pytest.raises(CommandRefused) as refusal:
        parse("docker run --memory 12x busybox")
    assert refusal.value.code is Code.COMMAND_VALUE
    assert refusal.value.details == {"flag": "--memory"}
    assert refusal.value.message == "--memory '12x': not a size, such as 512m"


@pytest.mark.parametrize(
    "flags",
    [
        "--rm --restart always",
        "-d -a stdout",
        "--no-healthcheck --health-cmd x",
        "--no-healthcheck --health-timeout 1s",
        "--log-driver none --log-opt max-size=1m",
        "--network a1 --network a1",
        "--network a1 --network host",
        "--network-alias a",
        "--network host --network-alias a",
        "--network name=host,alias=a",
        "--network name=a1,alias=a --network-alias b",
        "--network name=a1,ip=1.2.3.4 --ip 1.2.3.5",
        "--network name=a1,ip6=::1 --ip6 ::2",
        "--network name=a1,mac-address=92:d0:c6:0a:29:33 --mac-address 92:d0:c6:0a:29:33",
        "--network name=a1,link-local-ip=169.254.1.1 --link-local-ip 169.254.1.2",
        "--pull always",
        "-a stdin",
        "-a nothing",
    ],
)
def test_what_contradicts_is_refused(flags: str):
    with pytest.raises(CommandRefused) as refusal:
        parse(f"docker run {flags} busybox")
    assert refusal.value.code is Code.COMMAND_VALUE


LOGIN = "user:hunter2"


@pytest.mark.parametrize(
    "text",
    [
        "docker run --name 'DB_PASSWORD=hunter2' app",
        f"docker run https://{LOGIN}@registry/image",
        f"docker pull https://{LOGIN}{'x' * 300}@registry/image",
        "docker ps --password=hunter2",
        "docker ps --password hunter2",
        "docker --token=hunter2 ps",
        "docker compose --token=hunter2 ps",
        "docker login --password hunter2 registry",
        "docker run --memory DB_PASSWORD=hunter2 app",
        f"docker run --publish target=80,https://{LOGIN}-hunter2-hunter2@registry app",
        f"docker run --network name=a,https://{LOGIN}-hunter2-hunter2@registry app",
        f"docker run --mount https://{LOGIN}-hunter2-hunter2@registry app",
        "docker run --volume /a:/b:DB_PASSWORD=hunter2 app",
        "docker stop 'api_key: hunter2'",
        "docker DB_PASSWORD=hunter2",
        "DB_PASSWORD=hunter2 docker ps",
    ],
)
def test_a_refusal_shows_no_secret(text: str):
    with pytest.raises(CommandRefused) as refused:
        parse(text)
    assert "hunter2" not in f"{refused.value} {refused.value.details}"
