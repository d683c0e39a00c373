"""Which of a network's subnets an address or a range lies in."""

import ipaddress
from collections.abc import Sequence

from wingman_core.command.values import BadValue

Range = ipaddress.IPv4Network | ipaddress.IPv6Network


def subnet_of(subnets: Sequence[Range], place: str) -> Range:
    """Return the subnet that holds an address or a whole range; raise ``BadValue`` where none does."""
    wanted = ipaddress.ip_network(place)
    for subnet in subnets:
        if wanted.network_address in subnet and wanted.broadcast_address in subnet:
            return subnet
    raise BadValue(f"{place} lies in no --subnet")
