"""Claims about containers, by what the gateway tells or refuses to tell."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.claims.probes.conftest import FakeGateway
from wingman_api.claims.probes.containers import ContainerAssertion, look_at_container
from wingman_core.assertions import (
    ContainerHealthy,
    ContainerImage,
    ContainerRestarted,
    ContainerRunning,
    ContainerStopped,
)
from wingman_core.errors import Code, PolicyRefused, TargetRefused, Unavailable, WingmanError
from wingman_core.observation import ContainerState

STARTED = datetime(2030, 1, 1, tzinfo=UTC)
ID = "c0ffee" + "0" * 58
WEB = ContainerState("web", "running", 0, STARTED, 0, "shop/web:2", f"sha256:{ID}", "healthy")
SECOND = timedelta(seconds=1)

CASES: list[tuple[ContainerAssertion, dict[str, object], str]] = [
    (ContainerRunning(container="web"), {}, "confirmed"),
    (ContainerRunning(container="web"), {"status": "paused"}, "contradicted"),
    (ContainerRunning(container="web"), {"status": "restarting"}, "contradicted"),
    (ContainerRunning(container="web"), {"status": "exited", "exit_code": 3}, "contradicted"),
    (ContainerRunning(container="none"), {}, "contradicted"),
    (ContainerStopped(container="web"), {}, "contradicted"),
    (ContainerStopped(container="web"), {"status": "paused"}, "contradicted"),
    (ContainerStopped(container="web"), {"status": "restarting"}, "contradicted"),
    (ContainerStopped(container="web"), {"status": "exited"}, "confirmed"),
    (ContainerStopped(container="web"), {"status": "created"}, "confirmed"),
    (ContainerStopped(container="web"), {"status": "dead"}, "confirmed"),
    (ContainerStopped(container="none"), {}, "confirmed"),
    (ContainerHealthy(container="web"), {}, "confirmed"),
    (ContainerHealthy(container="web"), {"health": "starting"}, "contradicted"),
    (ContainerHealthy(container="web"), {"health": "unhealthy"}, "contradicted"),
    (ContainerHealthy(container="web"), {"health": "none"}, "unknown"),
    (ContainerHealthy(container="web"), {"status": "exited"}, "contradicted"),
    (ContainerHealthy(container="none"), {}, "contradicted"),
    (ContainerRestarted(container="web", since=STARTED), {}, "confirmed"),
    (ContainerRestarted(container="web", since=STARTED + SECOND), {}, "contradicted"),
    (ContainerRestarted(container="web", since=STARTED), {"started_at": None}, "contradicted"),
    (ContainerRestarted(container="none", since=STARTED), {}, "contradicted"),
]
IMAGES = [
    ("shop/web:2", "shop/web:2", "confirmed"),
    ("docker.io/shop/web:2", "shop/web:2", "confirmed"),
    ("shop/web", "shop/web:2", "confirmed"),
    ("shop/web:latest", "shop/web", "confirmed"),
    ("shop/web:latest", "shop/web:2", "contradicted"),
    ("shop/web:3", "shop/web:2", "contradicted"),
    ("shop/api", "shop/web:2", "contradicted"),
    ("web", "shop/web:2", "contradicted"),
    (f"sha256:{ID}", "shop/web:2", "confirmed"),
    (ID, "shop/web:2", "confirmed"),
    (ID[:12], "shop/web:2", "confirmed"),
    ("0" * 64, "shop/web:2", "contradicted"),
    ("0" * 12, "shop/web:2", "contradicted"),
    (f"sha256:{'0' * 12}", "shop/web:2", "contradicted"),
    ("shop/web:2", f"sha256:{ID}", "unknown"),
    (f"shop/web@sha256:{ID}", "shop/web:2", "unknown"),
    (f"shop/api@sha256:{ID}", "shop/web:2", "contradicted"),
    ("shop/web:2", f"shop/web@sha256:{ID}", "unknown"),
    (f"shop/web@sha256:{ID}", f"shop/web@sha256:{ID}", "confirmed"),
    ("Shop/Web:2", "shop/web:2", "unknown"),
    ("shop/web:2", "", "unknown"),
]


@pytest.mark.parametrize(("assertion", "changes", "outcome"), CASES)
async def test_what_is_said(
    gateway: FakeGateway, assertion: ContainerAssertion, changes: dict[str, object], outcome: str
):
    gateway.states["web"] = replace(WEB, **changes)
    assert (await look_at_container(gateway, assertion)).outcome == outcome


@pytest.mark.parametrize(("claimed", "made", "outcome"), IMAGES)
async def test_images(gateway: FakeGateway, claimed: str, made: str, outcome: str):
    gateway.states["web"] = replace(WEB, image=made)
    assert (await look_at_container(gateway, ContainerImage(container="web", image=claimed))).outcome == outcome


@pytest.mark.parametrize(
    "error",
    [
        PolicyRefused(Code.POLICY_FORBIDS, "This is one of Wingman's own containers: hunter2"),
        PolicyRefused(Code.POLICY_NEEDS_PEOPLE, "hunter2"),
        TargetRefused(Code.TARGET_AMBIGUOUS, "hunter2"),
        Unavailable(Code.ENGINE_UNAVAILABLE, "hunter2"),
        Unavailable(Code.GATEWAY_UNAVAILABLE, "hunter2"),
        WingmanError(Code.REQUEST_INVALID, "hunter2"),
        WingmanError(Code.INTERNAL, "hunter2"),
        WingmanError(Code.CALLER_ROLE, "hunter2"),
    ],
    ids=lambda error: str(error.code),
)
async def test_what_the_gateway_does_not_tell_is_unknown(gateway: FakeGateway, error: WingmanError):
    gateway.states["web"] = error
    for assertion in (ContainerRunning(container="web"), ContainerStopped(container="web")):
        seen = await look_at_container(gateway, assertion)
        assert seen.outcome == "unknown"
        assert "hunter2" not in seen.words
