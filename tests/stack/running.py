"""An environment from outside: its commands, its containers, its API, as an operator reaches them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from wingman_cli.instance import Instance
from wingman_cli.stack.environment import PORTS, Environment

BIN = Path(sys.executable).parent
NOT_AN_OPERATORS = ("WINGMAN_", "DOCKER_", "MAKE", "MFLAGS")
"""How variables begin that the test's own caller has set; a make called by another says which directory it enters."""


class Stack:
    """One environment of one clone."""

    def __init__(self, clone: Path, machine: dict[str, str], name: str) -> None:
        self.environment = Environment.of(name, clone)
        self.clone = clone
        self.secrets_file = self.environment.secrets_file
        self.said = ""
        """What the first start printed."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(NOT_AN_OPERATORS)}
        self.environ = clean | machine | {"DOCKER_HOST": machine["WINGMAN_DOCKER_HOST"], "COLUMNS": "200"}
        self.port = int(machine.get(self.environment.port_variable, PORTS[name]))
        self.api = f"http://127.0.0.1:{self.port}"
        self.instance = Instance(self.environment.config, name)

    def run(self, *command: str | Path, code: int = 0, stdin: str = "", limit: float = 600) -> str:
        """Run a program in the clone; return all that it printed, once its exit code is the expected one."""
        done = subprocess.run(
            command,
            cwd=self.clone,
            env=self.environ,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit,
            check=False,
        )
        assert done.returncode == code, (command, done.returncode, done.stdout)
        return done.stdout

    def make(self, target: str, *variables: str, code: int = 0) -> str:
        """Run ``make target`` as the guide has it."""
        return self.run("make", "--no-print-directory", target, *variables, code=code)

    def compose(self, *arguments: str, code: int = 0) -> str:
        """Run plain compose, with nothing but the file and the project's name."""
        environment = self.environment
        file = environment.compose_file.relative_to(self.clone)
        return self.run(BIN / "docker-compose", "-f", file, "-p", environment.project, *arguments, code=code)

    def docker(self, *arguments: str, code: int = 0, stdin: str = "") -> str:
        """Run docker on the engine."""
        return self.run("docker", *arguments, code=code, stdin=stdin)

    def wingman(self, *arguments: str, code: int = 0) -> str:
        """Run wingman against this environment's API, as its operator unless ``--as`` says otherwise."""
        where = ("--api", self.api, "--data-dir", str(self.environment.config))
        identity = () if "--as" in arguments else ("--as", "operator")
        return self.run(BIN / "wingman", *where, *identity, *arguments, code=code)

    def inside(self, service: str, *command: str, user: str = "", code: int = 0, stdin: str = "") -> str:
        """Run a program in a service's container."""
        options = ("--interactive", *(("--user", user) if user else ()))
        return self.docker("exec", *options, self.environment.container(service), *command, code=code, stdin=stdin)

    def inspected(self, service: str) -> dict[str, Any]:
        """What the engine says of a service's container."""
        (found,) = json.loads(self.docker("inspect", self.environment.container(service)))
        assert isinstance(found, dict)
        return found
