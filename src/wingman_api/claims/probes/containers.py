"""Claims about containers: what the engine says through the gateway, judged there by policy.

Guarantees: a container that is not there is told from one that may not be seen or could not be asked about; an image
decides only where two references can be compared without a registry.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, assert_never

from wingman_api.claims.probes.seen import Seen, contradicted, judged, unknown
from wingman_api.gateway import Gateway
from wingman_core.assertions import (
    ContainerHealthy,
    ContainerImage,
    ContainerRestarted,
    ContainerRunning,
    ContainerStopped,
)
from wingman_core.command.images import image, is_name_only, qualified, repository
from wingman_core.command.values import BadValue
from wingman_core.errors import Code, WingmanError
from wingman_core.observation import ContainerState

ContainerAssertion = ContainerRunning | ContainerStopped | ContainerHealthy | ContainerImage | ContainerRestarted

NOT_TOLD: Final[Mapping[Code, str]] = {
    Code.POLICY_FORBIDS: "Policy keeps the container from view.",
    Code.POLICY_NEEDS_PEOPLE: "Policy keeps the container from view.",
    Code.TARGET_AMBIGUOUS: "More than one container answers to that name.",
    Code.REQUEST_INVALID: "It is no container's name.",
    Code.ENGINE_UNAVAILABLE: "The Docker engine does not answer.",
    Code.GATEWAY_UNAVAILABLE: "The gateway does not answer.",
    Code.DEADLINE_EXCEEDED: "The Docker engine did not answer in time.",
}
SHORT_ID: Final = re.compile(r"(?:sha256:)?(?P<digits>[0-9a-f]{12,64})", re.ASCII)


def not_told(error: WingmanError) -> str:
    """Return why the gateway told nothing, in words that fit a finding."""
    return NOT_TOLD.get(error.code, "The gateway could not tell.")


async def look_at_container(gateway: Gateway, assertion: ContainerAssertion) -> Seen:
    """Look once; the caller holds the limit."""
    try:
        state = await gateway.observe_state(assertion.container)
    except WingmanError as error:
        if error.code is not Code.TARGET_NOT_FOUND:
            return unknown(not_told(error))
        stopped = isinstance(assertion, ContainerStopped)
        return judged(holds=stopped, words=f"There is no container {assertion.container!a}.")
    return _judge(state, assertion)


def _judge(state: ContainerState, assertion: ContainerAssertion) -> Seen:
    match assertion:
        case ContainerRunning():
            return judged(holds=state.status == "running", words=_is(state))
        case ContainerStopped():
            return judged(holds=state.status not in {"running", "paused", "restarting"}, words=_is(state))
        case ContainerHealthy():
            return _healthy(state)
        case ContainerImage():
            return _made_from(state, assertion.image)
        case ContainerRestarted():
            return _restarted(state, assertion.since)
        case _:
            assert_never(assertion)


def _is(state: ContainerState) -> str:
    code = f" with exit code {state.exit_code}" if state.status in {"exited", "dead"} else ""
    return f"The container {state.name!a} is {state.status}{code}."


def _restarted(state: ContainerState, since: datetime) -> Seen:
    if state.started_at is None:
        return contradicted(f"The container {state.name!a} was never started.")
    words = f"The container {state.name!a} was last started {state.started_at:%Y-%m-%dT%H:%M:%SZ}."
    return judged(holds=state.started_at >= since, words=words)


def _healthy(state: ContainerState) -> Seen:
    if state.status != "running":
        return contradicted(_is(state))
    if state.health == "none":
        return unknown(f"The container {state.name!a} has no health check.")
    return judged(holds=state.health == "healthy", words=f"The health check of {state.name!a} says {state.health}.")


def _made_from(state: ContainerState, claimed: str) -> Seen:
    words = f"The container {state.name!a} was made from {state.image!a}, {state.image_id[:19]}."
    same = _same_image(state, claimed)
    if same is None:
        return unknown(f"{words[:-1]}, which cannot be compared with what is claimed.")
    return judged(holds=same, words=words)


def _same_image(state: ContainerState, claimed: str) -> bool | None:  # noqa: PLR0911 - one return a kind of pair
    """Compare a reference or id with a container's; None where only a registry could."""
    if (match := SHORT_ID.fullmatch(claimed)) and state.image_id.removeprefix("sha256:").startswith(match["digits"]):
        return True
    try:
        wanted, made = image(claimed), image(state.image)
    except BadValue:
        # An id of another length is no reference; what a container was made from may be one.
        return False if match else None
    if qualified(wanted) == qualified(made):
        return True
    if wanted.startswith("sha256:"):
        return False
    if made.startswith("sha256:"):
        return None
    if is_name_only(wanted):
        return repository(wanted) == repository(made)
    if "@" in wanted or "@" in made:
        return None if repository(wanted) == repository(made) else False
    return False
