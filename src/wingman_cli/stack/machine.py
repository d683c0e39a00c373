"""What compose must know of the machine, in the ``.env`` beside the compose files, which it reads by itself.

Guarantees: what the shell once said is remembered; the socket and its group are looked at anew each time; one
environment changes nothing of the other's; no secret is in it.
"""

import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from wingman_cli.pki import write_atomically
from wingman_cli.stack.environment import PORTS, Environment
from wingman_cli.stack.secrets_file import env_lines, wants_bot
from wingman_core.errors import Code, SettingInvalid

FACTS: Final = (
    "WINGMAN_PYTHON_IMAGE",
    "WINGMAN_POSTGRES_IMAGE",
    "WINGMAN_TEST_PORT",
    "WINGMAN_PRD_PORT",
)
"""What the shell may say of this machine; it is remembered."""
SOCKET: Final = "WINGMAN_DOCKER_SOCKET"
GROUP: Final = "WINGMAN_DOCKER_GID"
PROFILES: Final = "COMPOSE_PROFILES"
HEAD: Final = "# Facts of this machine, written by wingman stack up; compose reads them by itself.\n"


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that an environment is on."""

    environment: Environment
    environ: Mapping[str, str]
    """What the shell says."""
    engine: str
    """Docker's address."""

    @property
    def api(self) -> str:
        """Where the environment's API is published."""
        port = self._facts().get(self.environment.port_variable) or PORTS[self.environment.name]
        return f"http://127.0.0.1:{port}"

    def write(self, values: Mapping[str, str]) -> None:
        """Write the file; ``values`` are the secrets, which say whether there is a bot.

        Raises ``SettingInvalid`` for an engine without a socket that a group may write to.
        """
        socket = _socket(self.engine)
        facts = {**self._facts(), SOCKET: str(socket), GROUP: _group(socket), PROFILES: self._profiles(values)}
        write_atomically(self.environment.machine_file, (HEAD + env_lines(facts)).encode("utf-8"), 0o644)

    def _facts(self) -> dict[str, str]:
        """Return what the shell says, or said before."""
        before = self._before()
        known = {name: self.environ.get(name) or before.get(name, "") for name in FACTS}
        return {name: value for name, value in known.items() if value}

    def _profiles(self, values: Mapping[str, str]) -> str:
        """Return which environments have a bot: this one as its secrets say, the other as it was."""
        own = self.environment.bot_profile
        others = set(filter(None, self._before().get(PROFILES, "").split(","))) - {own}
        return ",".join(sorted(others | ({own} if wants_bot(values) else set())))

    def _before(self) -> dict[str, str]:
        path = self.environment.machine_file
        return {name: value or "" for name, value in (dotenv_values(path) if path.exists() else {}).items()}


def _socket(engine: str) -> Path:
    """Return the path that the gateway's container gets; raise ``SettingInvalid`` for an engine without a socket."""
    scheme, _, path = engine.partition("://")
    if scheme != "unix":
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"the gateway is given a socket, and {engine} is none",
            hint="run this on the engine's own machine, with WINGMAN_DOCKER_HOST=unix:///path/to/docker.sock",
        )
    # Docker Desktop and its like: the socket here stands for one inside their virtual machine, which has this name.
    return Path(path) if sys.platform == "linux" else Path("/var/run/docker.sock")


def _group(socket: Path) -> str:
    """Return the group that may use the socket, as containers see it."""
    if sys.platform != "linux":
        return "0"
    found = socket.stat()
    if not found.st_mode & stat.S_IWGRP:
        raise SettingInvalid(
            Code.SETTING_INVALID,
            f"no group may write to {socket}",
            hint="start the engine with a group (--group docker)",
        )
    return str(found.st_gid)
