"""Docker and its Compose, as programs: found, called with an argument vector, and their last words when they fail.

Guarantees: no secret is ever an argument; what a program says is shown only where it failed. Does not: reach the Docker
engine by itself.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wingman_cli.stack.environment import Environment
from wingman_core.errors import Code, SettingInvalid, Unavailable

STOPPED: Final = frozenset({"created", "exited", "dead", "removing"})
"""What the engine calls a container that does not run, and that it does not start by itself."""
LAST_LINES: Final = 12
GRACE: Final = 5.0
"""Seconds for the last of what a program said to arrive."""
LIMIT: Final = 1800.0
"""Seconds; a first build fetches everything."""

Heard = Callable[[str], bool]


class Compose:
    """One environment's compose project."""

    def __init__(self, environment: Environment, environ: Mapping[str, str], *, engine: str) -> None:
        """``engine`` is where Docker answers; ``environ`` is what the programs inherit but for Wingman's own."""
        self._environment = environment
        kept = {name: value for name, value in environ.items() if not name.startswith(("WINGMAN_", "COMPOSE_"))}
        # One build at a time: where BuildKit is missing, two at once would make the same layers twice.
        self._environ = {**kept, "DOCKER_HOST": engine, "COMPOSE_PARALLEL_LIMIT": "1"}
        self._program = find_compose(self._environ)

    def __call__(self, *arguments: str, heard: Heard = lambda _line: False) -> str:
        """Run compose on the project, a bot that may be there included; return its output.

        ``heard`` gets each line of its standard error as it comes, and says whether it has dealt with it. Raises
        ``Unavailable`` with its last words.
        """
        environment = self._environment
        files = ("--file", str(environment.compose_file), "--profile", environment.bot_profile)
        return self._run([*self._program, *files, "--project-name", environment.project, *arguments], heard)

    def containers(self) -> list[dict[str, Any]]:
        """Return what compose says of each container, whether or not it runs."""
        return [json.loads(line) for line in self("ps", "--all", "--format", "json").splitlines()]

    @property
    def environ(self) -> Mapping[str, str]:
        """What the programs inherit."""
        return self._environ

    def docker(self, arguments: list[str]) -> str:
        """Run docker itself, like ``__call__``."""
        return self._run([_docker(self._environ), *arguments], lambda _line: False)

    def _run(self, command: list[str], heard: Heard) -> str:
        said: list[str] = []
        reading, writing = os.pipe()
        listener = threading.Thread(target=_listen, args=(reading, heard, said), daemon=True)
        listener.start()
        try:
            done = subprocess.run(
                command,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=writing,
                text=True,
                timeout=LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(
                Code.ENGINE_UNAVAILABLE, f"{_named(command)} did not end within {LIMIT:.0f} s", hint="see its logs"
            ) from error
        finally:
            os.close(writing)
        listener.join(GRACE)
        if done.returncode != 0:
            words = (said or done.stdout.strip().splitlines())[-LAST_LINES:]
            raise Unavailable(Code.ENGINE_REFUSED, f"{_named(command)} failed:\n" + "\n".join(words))
        return done.stdout


def states_of(containers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return for each service the health of a container that runs, else its state as the engine has it."""
    return {each["Service"]: (each["State"] == "running" and each["Health"]) or each["State"] for each in containers}


def _listen(descriptor: int, heard: Heard, said: list[str]) -> None:
    """Read lines to the end; keep in ``said`` those that nobody has dealt with."""
    with open(descriptor, encoding="utf-8", errors="replace") as lines:
        said.extend(line for line in map(str.rstrip, lines) if line and not heard(line))


def find_compose(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return how Compose is called here: as docker's plugin, or by itself; raise ``SettingInvalid`` without one."""
    beside = Path(sys.executable).with_name("docker-compose")
    docker = shutil.which("docker")
    if docker is not None:
        asked = [docker, "compose", "version"]
        if subprocess.run(asked, env=dict(environ), capture_output=True, check=False, timeout=60).returncode == 0:
            return (docker, "compose")
    alone = str(beside) if os.access(beside, os.X_OK) else shutil.which("docker-compose")
    if alone is None:
        raise SettingInvalid(
            Code.SETTING_INVALID, "there is no Docker Compose here", hint="install docker-compose-plugin, or make setup"
        )
    return (alone,)


def _docker(environ: Mapping[str, str]) -> str:
    found = shutil.which("docker", path=environ.get("PATH"))
    if found is None:
        raise SettingInvalid(Code.SETTING_INVALID, "there is no docker program here", hint="install Docker's client")
    return found


def _named(command: list[str]) -> str:
    """Return the words of a command that say what it is, without files and projects."""
    rest = command[command.index("--project-name") + 2 :] if "--project-name" in command else command[1:]
    return " ".join(("compose" if "--project-name" in command else "docker", *rest[:2]))
