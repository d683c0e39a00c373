"""Claims about ports: what listens, on whatever address, without touching it."""

import socket

import pytest

from wingman_api.claims.probes.ports import look_at_port
from wingman_api.claims.probes.threads import Threads
from wingman_core.assertions import PortClosed, PortListening


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])  # noqa: S104 - briefly
async def test_a_listening_socket_is_seen_and_not_connected_to(threads: Threads, address: str):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        port = listener.getsockname()[1]
        assert (await look_at_port(threads, PortListening(port=port), machine=True)).outcome == "confirmed"
        assert (await look_at_port(threads, PortClosed(port=port), machine=True)).outcome == "contradicted"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (await look_at_port(threads, PortListening(port=port), machine=True)).outcome == "contradicted"
    assert (await look_at_port(threads, PortClosed(port=port), machine=True)).outcome == "confirmed"


async def test_a_bound_or_connected_port_does_not_listen(threads: Threads):
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        port = client.getsockname()[1]
        assert (await look_at_port(threads, PortListening(port=port), machine=True)).outcome == "contradicted"


async def test_from_within_a_container_the_machines_ports_are_not_seen(threads: Threads):
    for assertion in (PortListening(port=80), PortClosed(port=80)):
        assert (await look_at_port(threads, assertion, machine=False)).outcome == "unknown"
