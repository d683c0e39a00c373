"""One environment's start, step by step, from a clean clone to healthy; and its end.

Guarantees: nothing is built or started before every secret was judged; what exists is kept; a step that fails ends the
start with the failing service's last words, and running ``up`` again goes on from there.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx

from wingman_cli.stack.compose import STOPPED, Compose, states_of
from wingman_cli.stack.deployment import Deployment, hand_over
from wingman_cli.stack.environment import BOT, MIGRATION, SERVICES, Environment
from wingman_cli.stack.keys import make_keys
from wingman_cli.stack.machine import Machine
from wingman_cli.stack.role_settings import require_usable
from wingman_cli.stack.secrets_file import ensure_test_secrets, read, require_strong, services_of, wants_bot
from wingman_core.errors import Code, Unavailable

READY_LIMIT: Final = 240
"""Seconds for a service to become healthy."""
HEALTH_LIMIT: Final = 60.0
POLL: Final = 0.3
ANSWER: Final = 3.0


@dataclass(frozen=True, slots=True)
class Started:
    """What came up."""

    api: str
    bot: bool


class Stack:
    """One environment on one engine."""

    def __init__(
        self, environment: Environment, environ: Mapping[str, str], *, engine: str, tell: Callable[[str], None]
    ) -> None:
        """``engine`` is Docker's address; ``tell`` gets a line for each step."""
        self._environment = environment
        self._environ = environ
        self._engine = engine
        self._tell = tell
        self._machine = Machine(environment, environ, engine)

    def up(self, *, build: bool = True) -> Started:
        """Bring everything up; return once it is healthy."""
        environment = self._environment
        if environment.next_secrets_file.exists():
            self._tell(
                f"A change of passwords was cut off; if the database refuses these, it has the next ones already: "
                f"wingman rotate passwords --env {environment.name} finishes it."
            )
        values = self._prepare()
        self._machine.write(values)
        compose = self.compose()
        if build:
            if _built(compose):  # what runs is to find its files, however long the build takes, and if it fails
                hand_over(environment, compose.docker)
            self._step("building the images (the first time takes minutes)", lambda: _build(compose, values))
        hand_over(environment, compose.docker)
        without_bot = [name for name in SERVICES if name != BOT]
        self._step("starting Postgres, gateway and API", lambda: self._start(compose, without_bot))
        renewed = make_keys(compose, Deployment(environment).instance, values)
        with_bot = wants_bot(values)
        if renewed:
            self._prepare()
            hand_over(environment, compose.docker)
        if with_bot:
            recreate = ("--force-recreate",) if renewed else ()
            self._step("starting the bot", lambda: self._start(compose, [BOT], *recreate))
        else:
            compose("rm", "--stop", "--force", BOT)
        api = self.address()
        self._step("waiting for the API to find everything healthy", lambda: _until_healthy(api))
        return Started(api, with_bot)

    def database_alone(self) -> None:
        """Start Postgres, on an empty volume where there is none, and nothing else."""
        values = self._prepare()
        self._machine.write(values)
        compose = self.compose()
        if not _built(compose):
            self._step("building the images", lambda: _build(compose, values))
        hand_over(self._environment, compose.docker)
        self._step("starting Postgres", lambda: self._start(compose, ["postgres"]))

    def renew(self, services: Sequence[str]) -> None:
        """Hand out what the containers are given now, and make these anew with it, one after another, until healthy."""
        self._prepare()
        compose = self.compose()
        hand_over(self._environment, compose.docker)
        # Whoever starts a service has this one run before it, with the password that its container was made with.
        compose("up", "--no-start", "--no-build", "--no-deps", MIGRATION)
        for service in services:
            self._start(compose, [service], "--force-recreate", "--no-deps")
        _until_healthy(self.address())

    def running(self) -> set[str]:
        """Return the services that have a container that runs, or that the engine starts over and over."""
        return {name for name, state in self.states().items() if state not in STOPPED}

    def require(self, *services: str) -> None:
        """Return if each of these has a container that runs; raise ``Unavailable`` that names those that have none."""
        if missing := sorted(set(services) - self.running()):
            raise Unavailable(
                Code.DATABASE_UNAVAILABLE if "postgres" in missing else Code.GATEWAY_UNAVAILABLE,
                f"{self._environment.title} does not run ({', '.join(missing)})",
                hint=f"make {self._environment.name}-env starts it",
            )

    def states(self) -> dict[str, str]:
        """Return how each service's container is; see ``states_of``."""
        return states_of(self.compose().containers())

    def compose(self) -> Compose:
        """Return the environment's compose project."""
        return Compose(self._environment, self._environ, engine=self._engine)

    def address(self) -> str:
        """Return where the API is published."""
        return self._machine.api

    def stop(self) -> None:
        """Stop the containers, and keep them."""
        self.compose()("stop")

    def down(self, *, volumes: bool) -> None:
        """Stop and remove the containers; the data stay unless ``volumes``."""
        self.compose()("down", *(("--volumes",) if volumes else ()))

    def _prepare(self) -> dict[str, str]:
        """Write what each container is given now; return the secrets that it is made of."""
        _, values = judged_secrets(self._environment)
        Deployment(self._environment).prepare(values, now=datetime.now(UTC))
        return values

    def _start(self, compose: Compose, services: list[str], *options: str) -> None:
        try:
            compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(READY_LIMIT), *options, *services)
        except Unavailable as error:
            words = [error.message, *_last_words(compose, (*services, MIGRATION))]
            hint = f"docker logs {self._environment.container(services[-1])} tells more"
            raise Unavailable(error.code, "\n".join(words), hint=hint) from error

    def _step(self, what: str, do: Callable[[], object]) -> None:
        self._tell(f"{what} ...")
        began = time.monotonic()
        do()
        self._tell(f"  done in {time.monotonic() - began:.0f} s")


def judged_secrets(environment: Environment) -> tuple[bool, dict[str, str]]:
    """Return whether TEST's secrets were made just now, and all variables; raise ``SettingInvalid`` for a bad one."""
    first = environment.name == "test" and ensure_test_secrets(environment.secrets_file)
    values = read(environment.secrets_file)
    require_strong(environment, values)
    require_usable(environment, values)
    if wants_bot(values):
        from wingman_bot.settings import load

        load({**values, "WINGMAN_API_URL": "http://api:8100", "WINGMAN_API_KEY_FILE": "api.key"})
    return first, values


def _until_healthy(api: str) -> None:
    """Return once ``GET /health`` says so; raise ``Unavailable`` with what it says after a minute."""
    deadline, said = time.monotonic() + HEALTH_LIMIT, "nothing"
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{api}/health", timeout=ANSWER, trust_env=False)
            said = answer.text
            if answer.json().get("status") == "healthy":
                return
        except (httpx.HTTPError, ValueError) as error:
            said = str(error) or type(error).__name__
        time.sleep(POLL)
    raise Unavailable(Code.GATEWAY_UNAVAILABLE, f"{api}/health says {said}", hint="see the services' logs")


def _build(compose: Compose, values: Mapping[str, str]) -> None:
    """Build the images of the services that the environment has."""
    compose("build", "--quiet", *(name for name in services_of(values) if name != "postgres"))


def _built(compose: Compose) -> bool:
    """Return whether there is an image to hand files over with."""
    try:
        compose.docker(["image", "inspect", "--format", "{{.Id}}", "wingman-api"])
    except Unavailable:
        return False
    return True


def _last_words(compose: Compose, services: tuple[str, ...]) -> list[str]:
    """Return for each service that is not well its name and what it printed last."""
    try:
        rows = compose.containers()
    except (Unavailable, ValueError):
        return []
    unwell = [
        row["Service"]
        for row in rows
        if row["Service"] in services and (row["Health"] not in {"", "healthy"} or row["ExitCode"])
    ]
    return [compose("logs", "--no-color", "--tail", "5", name).strip() for name in unwell]
