"""The whole way of an observation: a probe, the API's client, a gateway with the real policies, a real engine."""

import asyncio

import pytest

from tests.gateway.conftest import Serve, eventually
from tests.gateway.engine.conftest import Docker
from wingman_api.claims.probes.containers import look_at_container
from wingman_api.claims.probes.processes import Processes
from wingman_api.claims.probes.threads import open_threads
from wingman_api.gateway_client import GatewayClient
from wingman_core.assertions import (
    ContainerImage,
    ContainerRunning,
    ContainerStopped,
    ProcessGone,
    ProcessRunning,
)
from wingman_core.errors import Code, WingmanError
from wingman_gateway.engine import Engine


async def test_claims_about_containers_on_a_real_engine(serve: Serve, engine: Engine, docker: Docker):
    script = "echo x >/made; sleep 1000 & exec tail -f /dev/null"
    name = await asyncio.to_thread(docker.run, command=("sh", "-c", script))
    own = await asyncio.to_thread(docker.run, "--label", "wingman.role=gateway")
    async with serve(engine) as served, served.channel() as channel, open_threads() as threads:
        client = GatewayClient(channel, "test")
        processes = Processes(client, threads, machine=False)

        async def begun() -> bool:
            return (await processes.look(ProcessRunning(name="tail", container=name))).outcome == "confirmed"

        await eventually(begun)
        for claim, outcome in (
            (ContainerRunning(container=name), "confirmed"),
            (ContainerStopped(container=name), "contradicted"),
            (ContainerStopped(container=docker.name()), "confirmed"),
            (ContainerImage(container=name, image=docker.image), "confirmed"),
            (ContainerRunning(container=own), "unknown"),
            (ContainerStopped(container=own), "unknown"),
        ):
            assert (await look_at_container(client, claim)).outcome == outcome, claim
        assert (await processes.look(ProcessGone(name="nginx", container=name))).outcome == "confirmed"
        assert (await processes.look(ProcessRunning(name="tail"))).outcome == "confirmed"
        assert (await processes.look(ProcessRunning(name="sleep", container=own))).outcome == "unknown"
        assert not (await client.observe_processes()).complete
        assert (await client.observe_path(name, "/made")).kind == "file"
        with pytest.raises(WingmanError) as refused:
            await client.observe_path(own, "/etc")
        assert refused.value.code is Code.POLICY_FORBIDS
