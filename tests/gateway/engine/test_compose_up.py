"""``docker compose up`` and ``pull`` of registered projects, by the real binary on the real engine."""

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil
import pytest

from tests.gateway.engine.conftest import Docker, Ran, perform
from tests.gateway.engine.registry import NAME, serving
from wingman_core.command import parse, render
from wingman_core.errors import Code, CommandRefused, SettingInvalid, TargetRefused, Unavailable
from wingman_core.target import Target, targets_digest
from wingman_core.verdict import Forbidden
from wingman_gateway.engine import Engine, Output, Registered, read_registry
from wingman_gateway.engine.compose_binary import ComposeBinary
from wingman_gateway.engine.compose_up import UP_NOTE
from wingman_gateway.policy import Policy

FILE: Final = """
include: [more/cache.yml]
services:
  db: {image: "{image}", command: [sleep, "1000"], stop_grace_period: 0s, env_file: [db.env]}
  web:
    image: "{image}"
    command: [sleep, "1000${UNIT:-}"]
    stop_grace_period: 0s
    depends_on: [db]
    ports: ["127.0.0.1:0:80"]
    volumes: ["data:/data"]
    healthcheck: {test: "test $$HOME", interval: 1s}
    labels: {team: shop}
volumes: {data: {}}
"""
CACHE: Final = 'services: {cache: {image: "{image}", command: [sleep, "1000"], stop_grace_period: 0s}}\n'
BINARY: Final = Path(shutil.which("docker-compose", path=str(Path(sys.executable).parent)) or "none")
POLICIES: Final = Path(__file__).parents[3] / "src" / "wingman_gateway" / "policies"
LABELS: Final = ("config-hash", "service", "project", "project.working_dir", "depends_on", "container-number", "image")


class Project:
    """A registered project in a directory of its own."""

    def __init__(self, docker: Docker, place: Path) -> None:
        self.docker = docker
        self.name = docker.name("p")
        self.directory = place / "shop"
        (self.directory / "more").mkdir(parents=True)
        self.write("compose.yml", FILE)
        self.write("more/cache.yml", CACHE)
        self.write("db.env", "PASSWORD=a$$b\n")
        self.write(".env", "UNIT=s\n")

    def write(self, file: str, text: str) -> None:
        (self.directory / file).write_text(text.replace("{image}", self.docker.image), encoding="utf-8")

    def services(self, **services: str) -> None:
        """Have these services alone, each of the image and of YAML in flow style."""
        lines = [
            f'  {name}: {{image: "{{image}}", command: [sleep, "1000"], {more}}}' for name, more in services.items()
        ]
        self.write("compose.yml", "services:\n" + "\n".join(lines) + "\n")

    def binary(self, *words: str) -> str:
        """Run the binary on the project's own files."""
        command = [BINARY, "-p", self.name, "-f", self.directory / "compose.yml", *words]
        environment = {"DOCKER_HOST": self.docker.url}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def state(self) -> dict[str, tuple[str, str, dict[str, str]]]:
        """Each service's container: id, state, and what Compose labelled it with."""
        state = {}
        for each in self.docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.name}").split():
            found = json.loads(self.docker("inspect", each))[0]
            labels = found["Config"]["Labels"]
            kept = {name: labels[f"com.docker.compose.{name}"] for name in LABELS}
            state[kept["service"]] = (found["Id"], found["State"]["Status"], kept)
        return state


@pytest.fixture
async def shop(docker: Docker, tmp_path: Path) -> AsyncIterator[Project]:
    project = Project(docker, tmp_path)
    yield project
    for kind, remove in (
        ("ps -aq", ("rm", "-fv")),
        ("network ls -q", ("network", "rm")),
        ("volume ls -q", ("volume", "rm")),
    ):
        if left := docker(*kind.split(), "--filter", f"label=com.docker.compose.project={project.name}").split():
            docker(*remove, *left)


@pytest.fixture
async def engine(engine_url: str, shop: Project) -> AsyncIterator[Engine]:
    projects = {shop.name: Registered(directory=shop.directory)}
    connected = await Engine.connect(engine_url, projects=projects, compose_binary=BINARY)
    yield connected
    await connected.close()


async def up(engine: Engine, shop: Project, words: str = "", targets: tuple[Target, ...] | None = None) -> Ran:
    return await perform(engine, f"docker compose -p {shop.name} up {words}".strip(), targets=targets)


async def refused(engine: Engine, shop: Project, verb: str = "up") -> str:
    with pytest.raises(TargetRefused) as error:
        await engine.resolve(parse(f"docker compose -p {shop.name} {verb}"))
    assert error.value.code is Code.TARGET_NOT_FOUND
    return error.value.message


async def test_up_is_what_the_binary_does_on_an_equal_start(engine: Engine, shop: Project) -> None:
    op = parse(f"docker compose -p {shop.name} up")
    before = await engine.resolve(op)
    radius = await engine.blast_radius(op, before)
    assert "creates cache, db, web." in radius.summary
    assert radius.expected_time.startswith("unknown: ")
    assert "Publishes 127.0.0.1:a free port->80/tcp (web)." in radius.summary
    assert "through a shell, as the files have it: web." in radius.summary
    for file in (".env", "compose.yml", "db.env", "more/cache.yml"):
        digest = hashlib.sha256((shop.directory / file).read_bytes()).hexdigest()
        assert f"{file} sha256:{digest}" in radius.summary
    assert before[0].privileges == ()
    began = datetime.now(UTC)
    assert (await engine.testify(op, before, "exe_t", began, {})).outcome == "FAILED"
    ran = await up(engine, shop, targets=before)
    assert ran.code == 0, ran.stderr
    mine = shop.state()
    assert {name: state for name, (_, state, _) in mine.items()} == dict.fromkeys(("cache", "db", "web"), "running")
    testimony = await engine.testify(op, before, "exe_t", began, ran.notes)
    assert testimony.outcome == "SUCCEEDED", testimony.evidence
    # What the binary would have made is exactly this: it finds nothing to do, and so does Wingman.
    shop.binary("up", "-d")
    assert shop.state() == mine
    now = await engine.resolve(op)
    assert "leaves cache, db, web." in (await engine.blast_radius(op, now)).summary
    assert (await up(engine, shop)).code == 0
    assert shop.state() == mine
    assert (await engine.testify(op, now, "exe_t", datetime.now(UTC), ran.notes)).outcome == "UNKNOWN"
    # And the other way round, from an equal start.
    shop.binary("down", "-v")
    shop.binary("up", "-d")
    theirs = shop.state()
    assert {name: labels for name, (_, _, labels) in theirs.items()} == {
        name: kept for name, (_, _, kept) in mine.items()
    }
    assert (await up(engine, shop)).code == 0
    assert shop.state() == theirs
    # One service, anew, and alone.
    op = parse(f"docker compose -p {shop.name} up --force-recreate --no-deps -t 0 web")
    targets = await engine.resolve(op)
    radius = await engine.blast_radius(op, targets)
    assert "recreates web." in radius.summary
    assert len(radius.stops) == 1
    assert any("127.0.0.1:" in port for port in radius.ports_dropped)
    assert (await perform(engine, f"docker compose -p {shop.name} up --force-recreate --no-deps -t 0 web")).code == 0
    assert {name for name, (each, _, _) in shop.state().items() if each != theirs[name][0]} == {"web"}


async def test_what_changed_after_the_approval_is_not_done(engine: Engine, shop: Project) -> None:
    op = parse(f"docker compose -p {shop.name} up")
    approved = await engine.resolve(op)
    for file, text in (("db.env", "PASSWORD=c\n"), (".env", "UNIT=m\n"), ("more/cache.yml", CACHE + "# more\n")):
        shop.write(file, text)
        assert targets_digest(await engine.resolve(op)) != targets_digest(approved), file
        with pytest.raises(TargetRefused) as error:
            await up(engine, shop, targets=approved)
        assert error.value.code is Code.TARGET_CHANGED
        shop.write("db.env", "PASSWORD=a$$b\n")
        shop.write(".env", "UNIT=s\n")
        shop.write("more/cache.yml", CACHE)
    assert shop.state() == {}
    assert targets_digest(await engine.resolve(op)) == targets_digest(approved)


async def test_a_file_that_changes_once_it_is_read_does_not_matter(engine: Engine, shop: Project) -> None:
    op = parse(f"docker compose -p {shop.name} up")
    approved = await engine.resolve(op)

    async def note(key: str, _value: str) -> None:
        assert key == UP_NOTE  # the last thing before the binary starts
        shop.services(evil="privileged: true")

    events = [event async for event in engine.execute(op, approved, "exe_t", note)]
    assert getattr(events[-1], "code", None) == 0
    assert set(shop.state()) == {"cache", "db", "web"}
    # By now the files are others: what they no longer have is an orphan, shown and removed where that is asked for.
    shop.services(web="stop_grace_period: 0s")
    op = parse(f"docker compose -p {shop.name} up --remove-orphans")
    targets = await engine.resolve(op)
    radius = await engine.blast_radius(op, targets)
    assert f"removes {shop.name}-cache-1, {shop.name}-db-1." in radius.summary
    assert (await perform(engine, f"docker compose -p {shop.name} up --remove-orphans", targets=targets)).code == 0
    assert set(shop.state()) == {"web"}


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"compose.yml": 'services: {a: {image: "{image}", env_file: /etc/hostname}}'}, "not a plain path"),
        ({"compose.yml": 'services: {a: {image: "{image}", env_file: [{path: ../out.env}]}}'}, "leads out"),
        ({"compose.yml": 'services: {a: {image: "{image}", env_file: "${HOME}/x"}}'}, "not a plain path"),
        ({"compose.yml": 'services: {a: {image: "{image}", env_file: link.env}}'}, "symbolic link"),
        ({"compose.yml": 'services: {a: {image: "{image}", label_file: linked/out.env}}'}, "symbolic link"),
        ({"compose.yml": "include: [{path: more/cache.yml, project_directory: /etc}]"}, "project_directory"),
        ({"compose.yml": "include: ['oci://registry/app']"}, "there is no file"),
        ({"compose.yml": "include: [{path: more/cache.yml, env_file: no.env}]"}, "there is no file"),
        ({"compose.yml": "services: {a: {extends: {file: ../x.yml, service: a}}}"}, "leads out"),
        ({"compose.yml": "services: {a: {extends: {file: more/no.yml, service: a}}}"}, "there is no file"),
        ({"compose.yml": "services: [: :"}, "is no YAML"),
        ({"compose.yml": 'services: {a: {image: "{image}", build: .}}'}, "nothing is built here"),
        ({"compose.yml": "services: {a: {image: 'no/such:image', pull_policy: never}}"}, "it is never pulled"),
        ({"compose.yml": "services: {a: {image: '--evil'}}"}, "is no image"),
        ({"compose.yml": "services: {a: {imagine: x}}"}, "imagine"),
        ({"db.env": "x" * (1 << 20) + "y"}, "at most 1024 KiB"),
    ],
)
async def test_files_that_cannot_be_used(
    files: dict[str, str], reason: str, engine: Engine, shop: Project, tmp_path: Path
) -> None:
    (tmp_path / "out.env").write_text("SECRET=x\n", encoding="utf-8")
    (shop.directory / "link.env").symlink_to(tmp_path / "out.env")
    (shop.directory / "linked").symlink_to(tmp_path)
    for file, text in files.items():
        shop.write(file, text)
    assert reason in await refused(engine, shop)


async def test_what_may_be_missing_and_what_extends_is_read(engine: Engine, shop: Project) -> None:
    shop.write("more/base.yml", 'services: {a: {image: "{image}", env_file: own.env, privileged: !reset true}}')
    shop.write("more/own.env", "A=1\n")
    shop.write(
        "compose.yml",
        "services: {b: {extends: {file: more/base.yml, service: a}, env_file: [{path: no.env, required: false}]}}",
    )
    op = parse(f"docker compose -p {shop.name} up --no-recreate")
    summary = (await engine.blast_radius(op, await engine.resolve(op))).summary
    assert "creates b." in summary
    assert "more/own.env sha256:" in summary


PRIVILEGED: Final = {
    "privileged: true": "a: --privileged",
    "cap_add: [NET_ADMIN]": "a: capability CAP_NET_ADMIN",
    "pid: host": "a: pid namespace of host",
    "network_mode: host": "a: network namespace of host",
    "userns_mode: host": "a: userns namespace of host",
    "user: '00:5'": "a: user 00:5",
    "volumes: ['/var/run/docker.sock:/s']": "a: Docker socket in /var/run/docker.sock",
    "volumes: ['./x:/x']": "a: bind mount of {directory}/x",
    "volumes: [{type: image, source: '{image}', target: /x}]": "a: a mount of type image",
    "devices: ['/dev/fuse']": "a: the option devices",
    "security_opt: ['apparmor=unconfined']": "a: security option apparmor=unconfined",
    "use_api_socket: true": "a: ",
    "gpus: all": "a: the option gpus",
    "runtime: other": "a: runtime other",
    "cgroup_parent: /x": "a: cgroup /x",
    "tmpfs: ['/x:dev']": "a: tmpfs option dev on /x",
    "sysctls: {kernel.core_pattern: x}": "a: --sysctl=kernel.core_pattern=x, which is refused",
    "ulimits: {rtprio: {soft: 1, hard: 2}}": "a: scheduling before others by ulimit rtprio",
    "oom_score_adj: -5": "a: killed later than others",
    "logging: {driver: syslog, options: {env: x}}": "a: log driver syslog",
    "environment: {DOCKER_HOST: x}": "a: engine's address in DOCKER_HOST",
    "environment: {NVIDIA_VISIBLE_DEVICES: all}": "a: devices of the host by NVIDIA_VISIBLE_DEVICES",
    "working_dir: /proc/self/fd/7": "a: working directory /proc/self/fd/7",
    "volumes: ['/proc/sys']": "a: a mount over /proc/sys",
    "volumes: [{type: tmpfs, target: /sys}]": "a: a mount over /sys",
    "labels: {wingman.role: gateway}": "a: --label=wingman.role=, which is refused",
    "post_start: [{command: [id], user: root}]": "a: the option post_start",
    "deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}": "a: the option deploy.resources",
    "networks: {n: {driver_opts: {x: y}}}": "a: options of the driver in network n",
}


@pytest.mark.parametrize("option", PRIVILEGED)
async def test_a_privileged_service_is_forbidden(option: str, engine: Engine, shop: Project) -> None:
    networks = "networks: {n: {}}\n" if "networks" in option else ""
    text = f'services: {{a: {{image: "{{image}}", {option}}}}}\n{networks}'
    shop.write("compose.yml", text)
    op = parse(f"docker compose -p {shop.name} up")
    targets = await engine.resolve(op)
    wanted = PRIVILEGED[option].replace("{directory}", str(shop.directory))
    assert any(line.startswith(wanted) for line in targets[0].privileges), targets[0].privileges
    verdict = Policy.load(POLICIES, "test").verdict(op, targets, "worker")
    assert isinstance(verdict, Forbidden)
    assert "no-privileged-project" in verdict.policies


async def test_objects_of_the_model_are_judged(engine: Engine, shop: Project) -> None:
    shop.write(
        "compose.yml",
        """
services:
  a:
    image: "{image}"
    container_name: wingman-api-1
    labels: {wingman.role: api}
    networks: [lan, out]
    volumes: ["disguised:/x"]
    configs: [c, f]
    ulimits: {nofile: 100}
    deploy: {resources: {limits: {memory: 64M}}}
networks:
  lan: {driver: macvlan, ipam: {driver: other}}
  out: {external: true, name: host}
volumes: {disguised: {driver: local, driver_opts: {type: none, o: bind, device: /etc}}}
configs: {c: {content: "x"}, f: {file: db.env}}
""",
    )
    op = parse(f"docker compose -p {shop.name} up")
    targets = await engine.resolve(op)
    lines = "\n".join(targets[0].privileges)
    for part in ("network driver macvlan", "an address driver", "network namespace of host", "volume option o=bind"):
        assert part in lines
    assert f"a: bind mount of {shop.directory}/db.env" in lines
    (new,) = [target for target in targets if target.reference.role == "new"]
    assert (new.name, dict(new.labels)["wingman.role"]) == ("wingman-api-1", "api")
    assert {target.reference.kind for target in targets} == {"project", "image", "container", "network", "volume"}


async def test_a_name_that_a_container_would_get_is_judged_also_where_it_replaces_another(
    engine: Engine, shop: Project
) -> None:
    shop.services(a="labels: {team: shop}")
    assert (await up(engine, shop)).code == 0
    shop.services(a="container_name: wingman-api-test")
    op = parse(f"docker compose -p {shop.name} up")
    targets = await engine.resolve(op)
    assert [each.name for each in targets if each.reference.role == "new"] == ["wingman-api-test"]
    verdict = Policy.load(POLICIES, "test").verdict(op, targets, "worker")
    assert isinstance(verdict, Forbidden)
    assert "wingman-container" in verdict.policies


async def test_pull_fetches_what_was_resolved(engine: Engine, shop: Project, docker: Docker) -> None:
    async with serving() as registry:
        digest = registry.push("1", "one")
        image = f"{registry.address}/{NAME}:1"
        shop.write("compose.yml", f"services: {{a: {{image: '{image}'}}, b: {{image: '{image}', depends_on: [a]}}}}")
        command = f"docker compose -p {shop.name} pull"
        op = parse(command)
        targets = await engine.resolve(op)
        assert [target.image_digest for target in targets[1:]] == [digest]
        radius = await engine.blast_radius(op, targets)
        assert f"Fetches {image} ({digest})." in radius.summary
        assert (await engine.testify(op, targets, "exe_t", datetime.now(UTC), {})).outcome == "FAILED"
        registry.push("1", "two")  # the tag moves on; what was approved is what comes
        assert (await perform(engine, command, targets=targets)).code == 0
        assert digest in docker("inspect", "--format", "{{.RepoDigests}}", image)
        assert (await engine.testify(op, targets, "exe_t", datetime.now(UTC), {})).outcome == "SUCCEEDED"
        missing = parse(f"{command} --policy missing --include-deps b")
        assert [target.reference.role for target in (await engine.resolve(missing))[1:]] == ["peer"]
        docker("rmi", image)
        # up fetches what is missing, and nothing comes up where that fails.
        registry.broken = True
        ran = await up(engine, shop)
        assert (ran.code, shop.state()) == (1, {})
        assert (await perform(engine, f"{command} --ignore-pull-failures --quiet")).code == 0


async def test_a_fetched_image_that_reaches_for_the_host_is_not_started(
    engine: Engine, shop: Project, docker: Docker
) -> None:
    async with serving() as registry:
        registry.push("1", "one", WorkingDir="/proc/self/fd/7")
        image = f"{registry.address}/{NAME}:1"
        shop.write("compose.yml", f"services: {{a: {{image: '{image}'}}}}")
        ran = await up(engine, shop)
        assert (ran.code, shop.state()) == (1, {})
        assert f"the image has working directory /proc/self/fd/7: {image}; nothing is started" in ran.stderr
        # Now that it is there, nobody is asked.
        op = parse(f"docker compose -p {shop.name} up")
        assert isinstance(Policy.load(POLICIES, "test").verdict(op, await engine.resolve(op), "worker"), Forbidden)
        docker("rmi", image)


async def test_what_is_not_registered_is_refused(engine: Engine, engine_url: str, shop: Project) -> None:
    with pytest.raises(TargetRefused, match="no project 'other'") as error:
        await engine.resolve(parse("docker compose -p other up"))
    assert "WINGMAN_COMPOSE_PROJECTS" in error.value.hint
    with pytest.raises(TargetRefused, match="no service 'none'"):
        await engine.resolve(parse(f"docker compose -p {shop.name} up none"))
    bare = await Engine.connect(engine_url)
    assert "no Compose projects" in await refused(bare, shop, "pull")
    await bare.close()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[shop", "cannot be read"),
        ("[shop]", "directory"),
        ("[Shop]\ndirectory = '{0}'", "is no name"),
        ("[shop]\ndirectory = 'shop'", "without links"),
        ("[shop]\ndirectory = '{0}/link'", "without links"),
        ("[shop]\ndirectory = '{0}'\nfiles = ['none.yml']", "no file none.yml"),
        ("[shop]\ndirectory = '{0}'\nfiles = []", "files"),
        ("[shop]\ndirectory = '{0}'\nfile = 'x'", "file"),
    ],
)
def test_a_registry_that_cannot_be_served(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    registry = tmp_path / "projects.toml"
    registry.write_text(text.replace("{0}", str(tmp_path)), encoding="utf-8")
    with pytest.raises(SettingInvalid, match=reason):
        read_registry(registry, BINARY)


def test_a_registry_needs_the_binary(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").touch()
    registry = tmp_path / "projects.toml"
    registry.write_text(f"[shop]\ndirectory = '{tmp_path}'\n", encoding="utf-8")
    assert read_registry(registry, BINARY)["shop"].files == ("compose.yml",)
    with pytest.raises(SettingInvalid, match="WINGMAN_COMPOSE_BINARY"):
        read_registry(registry, tmp_path / "none")


@pytest.mark.parametrize("how", ["closed", "at the limit"])
async def test_the_binary_knows_nothing_of_the_gateway_and_ends_with_all_its_processes(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "not-for-others")
    script = tmp_path / "compose"
    script.write_text(
        "#!/bin/sh\n/usr/bin/env\n/bin/sleep 1000 &\necho pids=$$,$!\nexec /bin/sleep 1000\n", encoding="utf-8"
    )
    script.chmod(0o700)
    said = b""
    events = ComposeBinary(script, "unix:///engine.sock").perform("up", model=b"{}")
    async for event in events:
        assert isinstance(event, Output)
        said += event.data
        if b"pids=" in said and said.endswith(b"\n"):
            break
    if how == "closed":
        await events.aclose()
    else:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(events)
    lines = dict(line.split("=", 1) for line in said.decode().splitlines())
    assert lines["DOCKER_HOST"] == "unix:///engine.sock"
    assert set(lines) - {"PWD", "SHLVL", "_", "OLDPWD"} == {"DOCKER_HOST", "DOCKER_CONFIG", "HOME", "pids"}
    for pid in lines["pids"].split(","):
        assert not psutil.pid_exists(int(pid)) or psutil.Process(int(pid)).status() == psutil.STATUS_ZOMBIE


async def test_a_binary_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be started"):
        await ComposeBinary(tmp_path / "none", "unix:///engine.sock").ask(tmp_path, "config")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("-f other.yml {0} up", "the gateway's registry"),
        ("--env-file x {0} up", "the gateway's registry"),
        ("--profile x {0} up", "the gateway's registry"),
        ("{0} up --build", "nothing is built"),
        ("{0} up -V", "it loses data"),
        ("{0} up --watch", "always detached"),
        ("{0} up --pull sometimes", "must be one of"),
        ("{0} up --force-recreate --no-recreate", "contradict"),
        ("up", "which project is not said"),
    ],
)
def test_flags_that_are_refused(words: str, reason: str) -> None:
    with pytest.raises(CommandRefused, match=reason):
        parse(f"docker compose {words.format('-p shop')}")


def test_up_is_always_detached_and_has_one_spelling() -> None:
    op = parse("docker compose -p shop up -d=false --no-build --wait-timeout 5 --pull policy -t 3 web db")
    assert render(op) == "docker compose --project-name shop up --detach --timeout 3 db web"
    assert parse(render(op)) == op
