"""Options that a network's driver takes, of the network and of one container's end of it.

Fails towards present (I4): what is listed as harmless is a closed list, everything else counts.
"""

from collections.abc import Iterator
from typing import Final

from wingman_core.command.frozen import Pairs

_HARMLESS_WORDS: Final = """
    com.docker.network.bridge.enable_icc com.docker.network.bridge.enable_ip_masquerade
    com.docker.network.container_iface_prefix com.docker.network.driver.mtu com.docker.network.endpoint.ifname
"""
_HARMLESS: Final = frozenset(_HARMLESS_WORDS.split())


def network_options(options: Pairs) -> Iterator[str]:
    """Yield each option that reaches for the host."""
    yield from (f"network option {name}={value}" for name, value in options if name not in _HARMLESS)
