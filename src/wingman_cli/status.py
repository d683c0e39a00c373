"""``wingman status``: whether all is well, in one line each, by the thresholds that the alerts have.

Guarantees: exit code 0 only where everything is well; what could not be looked at is said, and is not well.
Does not: need a key, but to count false claims (the data directory's operator's).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer

from wingman_cli.exits import Exit
from wingman_cli.instance import Instance
from wingman_cli.options import Env, Json, Root
from wingman_cli.screen import Screen
from wingman_cli.session import OPERATOR, Session
from wingman_core.errors import Code, Unavailable

SLOWEST: Final = 1.0
"""Seconds for an answer."""
MOST_PENDING: Final = 10
LEAST_FREE: Final = 0.10
"""Of a disk."""
SHORTEST: Final = timedelta(days=30)
"""For which a certificate has to be good; ``wingman rotate certificates`` makes new ones."""
LIMIT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    name: str
    well: bool
    said: str


def status(
    context: typer.Context,
    *,
    env: Env = "",
    root: Root = Path(),
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only what is not well.")] = False,
    as_json: Json = False,
) -> None:
    """Say what is well and what is not: containers, certificates, health, answers, requests, disk, claims."""
    session: Session = context.obj
    screen = Screen(as_json=as_json)
    found = list(_of_environment(env, root) if env else _of_directory(session))
    if as_json:
        screen.document([{"name": each.name, "well": each.well, "said": each.said} for each in found])
    for each in found:
        if not (quiet and each.well):
            screen.say(f"{'ok ' if each.well else 'NOT'}  {each.name:<14}{each.said}")
    if not all(each.well for each in found):
        raise typer.Exit(Exit.FAILED)


def _of_environment(env: str, root: Path) -> Iterator[Finding]:
    """Yield how an environment of containers is."""
    from wingman_cli.stack.day_two import StackPlace, opened
    from wingman_cli.stack.secrets_file import read, services_of

    place = StackPlace(*opened(env, root, Screen(as_json=True)))
    yield _containers(services_of(read(place.environment.secrets_file)), place.stack.states())
    yield from _certificates(place.instance, datetime.now(UTC))
    yield from _api(place.stack.address(), _operators_key(place.instance), env)


def _of_directory(session: Session) -> Iterator[Finding]:
    """Yield how what runs on a data directory is; raise ``Unavailable`` where nothing does."""
    instance, api = session.instance, session.api
    if not api:
        running = instance.running()
        if running is None:
            raise Unavailable(
                Code.GATEWAY_UNAVAILABLE, f"Wingman is not running on {session.data_dir}", hint="wingman up starts it"
            )
        api = running.api
    yield from _certificates(instance, datetime.now(UTC))
    yield from _api(api, _operators_key(instance), "test")


def _operators_key(instance: Instance) -> str:
    """Return the operator's API key, empty where there is none."""
    path = instance.api_key_file(OPERATOR)
    return path.read_text("ascii").strip() if path.exists() else ""


def _certificates(instance: Instance, now: datetime) -> Iterator[Finding]:
    """Yield for a directory that has certificates how long the first of them to end is good for."""
    from cryptography import x509

    ends = [
        (x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc, path.name)
        for path in instance.pki.glob("*.crt")
    ]
    if ends:
        end, name = min(ends)
        yield Finding("certificates", end - now >= SHORTEST, f"{name} is good for {(end - now).days} days")


def _containers(wanted: Sequence[str], states: Mapping[str, str]) -> Finding:
    """Return whether each service that an environment has is healthy."""
    found = {name: states.get(name, "missing") for name in wanted}
    unwell = ", ".join(f"{name} {state}" for name, state in found.items() if state != "healthy")
    return Finding("containers", not unwell, unwell or f"{len(found)} healthy")


def _api(address: str, key: str, name: str) -> Iterator[Finding]:
    """Yield what the API says of itself and of what it stands on."""
    with httpx.Client(base_url=address, timeout=LIMIT, trust_env=False) as http:
        looks: Mapping[str, Callable[[httpx.Client], Iterator[Finding]]] = {
            "health": _health,
            "metrics": _metrics,
            "claims": lambda one: _claims(one, key, name),
        }
        for what, look in looks.items():
            try:
                yield from look(http)
            except (httpx.HTTPError, ValueError, KeyError) as error:
                yield Finding(what, well=False, said=f"{address} does not answer as it should ({type(error).__name__})")


def _health(http: httpx.Client) -> Iterator[Finding]:
    began = time.monotonic()
    said = http.get("/health").json()
    took = time.monotonic() - began
    parts = ", ".join(f"{part} {state}" for part, state in said["components"].items() if state != "healthy")
    yield Finding("health", said["status"] == "healthy", said["status"] + (f": {parts}" if parts else ""))
    yield Finding("answers", took <= SLOWEST, f"in {took * 1000:.0f} ms")


def _metrics(http: httpx.Client) -> Iterator[Finding]:
    from prometheus_client.parser import text_string_to_metric_families

    pending, free = 0.0, None
    for family in text_string_to_metric_families(http.get("/metrics").raise_for_status().text):
        for sample in family.samples:
            pending += sample.value if sample.name == "wingman_approvals_pending" else 0
            free = sample.value if sample.name == "wingman_disk_free_ratio" else free
    yield Finding("pending", pending <= MOST_PENDING, f"{pending:.0f} wait for people")
    said = "unknown" if free is None else f"{free:.0%} free where claims are kept"
    yield Finding("disk", free is not None and free >= LEAST_FREE, said)


def _claims(http: httpx.Client, key: str, name: str) -> Iterator[Finding]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    answer = http.get("/stats", params={"range": "1h"}, headers=headers)
    false = int(answer.raise_for_status().json()["verdicts"]["FALSE"])
    yield Finding("claims", not (false and name == "prd"), f"{false} false in the last hour")
