"""Record what the real docker client makes of command lines, as vectors for the parser's tests.

    python tests/core/command/record_docker_cli.py [docker]  # reads and rewrites tests/vectors/docker_cli.json

Each case holds an argument vector; the recorder runs the client with it against a stand-in engine that remembers
the requests and performs nothing, and writes down what the client asked for (``null``: it refused by itself). Where
Wingman takes the command line as well, the recorder runs the client with its canonical form too (``canonical``), and
writes down what it asked for then, where that is not the same to the byte (``canonical_requests``). The tests hold the
parser to that without needing the client. ``refused`` is kept as people wrote it: the code by which Wingman refuses
what the client takes.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from wingman_core.command import parse_argv, render_argv
from wingman_core.errors import CommandRefused

VECTORS = Path(__file__).parents[2] / "vectors" / "docker_cli.json"
API_VERSION = "1.50"
ID = "4f66ad9a0b2e0b1f3b8b5c0b4e4c5b0a4f66ad9a0b2e0b1f3b8b5c0b4e4c5b0a"
POINTERS = ("Init", "StopTimeout")
MAPS = (
    *("Annotations", "Config", "DriverOpts", "ExposedPorts", "Labels", "Options", "PortBindings", "StorageOpt"),
    *("Sysctls", "Tmpfs", "Volumes"),
)
"""Whose keys say something also where the values are empty."""
VERBS = (
    *(
        "ps",
        "inspect",
        "container inspect",
        "image inspect",
        "logs",
        "top",
        "stats",
        "start",
        "stop",
        "restart",
        "kill",
    ),
    *("pause", "unpause", "rm", "exec", "run", "images", "pull", "create", "port", "diff", "wait", "rename", "update"),
    *("container prune", "history", "tag", "rmi", "image prune", "volume ls", "volume create", "volume rm"),
    *("volume inspect", "volume prune", "network ls", "network create", "network connect", "network disconnect"),
    *("network rm", "network inspect", "network prune", "info", "version", "system df", "system prune"),
)
QUIET = ("/_ping", "/info", "/version", "/events")
PORTS = {port: [{"HostIp": "127.0.0.1", "HostPort": "8080"}] for port in ("80/tcp", "80/udp", "53/udp")}
CONTAINER = {
    "Id": ID,
    "Name": "/web",
    "Config": {"Tty": False},
    "HostConfig": {},
    "State": {"Running": True},
    "NetworkSettings": {"Ports": PORTS},
}


def pruned(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Leave out what says nothing: empty values and zeros, save where a zero differs from absence."""
    if isinstance(value, dict):
        found = {
            key: {name: pruned(inner) for name, inner in each.items()}
            if key in MAPS and isinstance(each, dict)
            else pruned(each)
            for key, each in value.items()
        }
        return {key: each for key, each in found.items() if key in POINTERS or each not in (None, "", 0, [], {})}
    return [pruned(each) for each in value] if isinstance(value, list) else value


class Engine(ThreadingMixIn, UnixStreamServer):
    """Answers just enough for the client to say what it wants."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        super().__init__(path, Handler)
        self.requests: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Engine
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "client"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        url = urlsplit(self.path)
        path = url.path.removeprefix(f"/v{API_VERSION}")
        if path not in QUIET:
            body = json.loads(raw) if raw else None
            self.server.requests.append(
                {"method": self.command, "path": path, "query": dict(parse_qsl(url.query)), "body": pruned(body)}
            )
        status, answer = self._answer(path)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Api-Version", API_VERSION)
        self.send_header("Ostype", "linux")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 - the base class looks for these names

    def _answer(self, path: str) -> tuple[int, object]:  # noqa: PLR0911 - one answer a path
        if path.endswith("/stats"):
            return 200, {"cpu_stats": {}, "precpu_stats": {}, "memory_stats": {}, "name": "/web", "id": ID}
        if self.command == "GET" and path.startswith("/containers/") and path.endswith("/json"):
            return 200, [] if path == "/containers/json" else CONTAINER
        if path in {"/images/json", "/networks"}:
            return 200, []
        if self.command == "POST" and path.endswith("/prune"):
            return 200, {}
        if path.endswith("/top"):
            return 200, {"Titles": [], "Processes": []}
        if self.command == "GET" and path in QUIET:
            return 200, {"OSType": "linux", "ApiVersion": API_VERSION}
        return 418, {"message": "recorded"}


def record(docker: str, argv: list[str]) -> list[dict[str, Any]] | None:
    """Return what the client asks for; None where it refuses the command line itself."""
    with tempfile.TemporaryDirectory() as directory:
        engine = Engine(f"{directory}/engine")
        thread = threading.Thread(target=engine.serve_forever, args=(0.01,))
        thread.start()
        environment = {"DOCKER_HOST": f"unix://{directory}/engine", "HOME": directory, "PATH": "/usr/bin:/bin"}
        try:
            done = subprocess.run(
                [docker, *argv],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=30,
                check=False,
            )
        finally:
            engine.shutdown()
            engine.server_close()
            thread.join()
        refused = done.returncode != 0 and b"recorded" not in done.stderr
        return None if refused else sorted(engine.requests, key=lambda each: json.dumps(each, sort_keys=True))


def recorded(docker: str, case: dict[str, Any]) -> dict[str, Any]:
    """Return a case with what the client asks for, for the command line as it is and in its canonical form."""
    kept = {name: case[name] for name in ("argv", "refused") if name in case}
    requests = record(docker, case["argv"])
    try:
        canonical = list(render_argv(parse_argv(["docker", *case["argv"]]))[1:])
    except CommandRefused:
        return {**kept, "requests": requests}
    again = record(docker, canonical)
    return {
        **kept,
        "requests": requests,
        "canonical": canonical,
        **({} if again == requests else {"canonical_requests": again}),
    }


def documented_flags(docker: str, verb: str) -> dict[str, dict[str, Any]]:
    """Return the flags in a command's usage: the short spelling, and whether it may stand alone."""
    usage = subprocess.run([docker, *verb.split(), "--help"], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^  (?:-(\w), |    )--([a-z0-9-]+)(?: ([a-z0-9-]+))?(?:  |$)", usage, re.MULTILINE)
    return {name: {"short": short, "switch": not kind} for short, name, kind in rows}


def documented_commands(docker: str) -> list[str]:
    """Return every command of the client's usage, those of its groups with the group's name before them."""
    named: list[str] = []
    for command in _listed(docker):
        within = _listed(docker, command)
        named += [f"{command} {each}" for each in within] if within else [command]
    return named


def _listed(docker: str, *group: str) -> list[str]:
    usage = subprocess.run([docker, *group, "--help"], capture_output=True, text=True, check=True).stdout
    listing = usage.partition("Options:\n")[0] if not group else usage
    sections = re.findall(r"Commands:\n(.*?)(?:\n\n|\Z)", listing, re.DOTALL)
    return sorted(
        {line.split()[0].rstrip("*") for section in sections for line in section.splitlines() if line.strip()}
    )


def main() -> None:
    """Rewrite the vectors."""
    docker = shutil.which(sys.argv[1] if len(sys.argv) > 1 else "docker") or sys.exit("there is no docker client")
    vectors = json.loads(VECTORS.read_text())
    version = subprocess.run([docker, "--version"], capture_output=True, text=True, check=True).stdout
    cases = [recorded(docker, case) for case in vectors["cases"]]
    flags = {verb: documented_flags(docker, verb) for verb in VERBS}
    lines = ",\n".join(json.dumps(case, sort_keys=True) for case in cases)
    VECTORS.write_text(
        f'{{"client": {json.dumps(version.strip())},\n"commands": {json.dumps(documented_commands(docker))},\n'
        f'"flags": {json.dumps(flags)},\n"cases": [\n{lines}\n]}}\n'
    )


if __name__ == "__main__":
    main()
