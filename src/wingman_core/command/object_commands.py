"""The rows of the command table for volumes, networks and the engine as a whole.

Source: docker/cli v28.2.2 ``cli/command/volume``, ``network`` and ``system``. Stricter than those where they ignore
what they do not know, and where a flag is for a swarm.
"""

import ipaddress
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any, Final, cast

from wingman_core.command import object_operations as objects
from wingman_core.command.filters import (
    filter_set,
    network_filter,
    prune_filter,
    volume_filter,
    volume_prune_filter,
)
from wingman_core.command.flags import Flag, FlagTable
from wingman_core.command.network import PREDEFINED_NETWORKS, link, show_link
from wingman_core.command.quantities import signed_decimal
from wingman_core.command.subnets import Range, subnet_of
from wingman_core.command.tables import (
    FORCE,
    LIST_FORMAT,
    NO_TRUNC,
    OBJECT_FORMAT,
    QUIET,
    Command,
    Fields,
    Positional,
    by_name,
    distinct_names,
    once,
    prune_rules,
    refused,
    setting,
    several,
    switch,
    unique,
)
from wingman_core.command.values import (
    BadValue,
    address,
    address_v4,
    address_v6,
    container,
    host,
    label,
    matching,
    new_name,
    optional,
    pair,
    show_pair,
)

_SWARM: Final = "it is for a swarm"
_DRIVER: Final = matching(r"[a-zA-Z0-9][a-zA-Z0-9_./:@-]*", "a driver's name")
_SWARM_VOLUME_WORDS: Final = """
    availability group limit-bytes required-bytes scope secret sharing topology-preferred topology-required type
"""
_NAME: Final = Positional("name", new_name)
_VOLUMES: Final = Positional("volumes", new_name, many=True)
_NETWORK: Final = Positional("network", container)


def _filters(read: Callable[[str], object], short: str = "") -> Flag:
    return several("filter", "filters", read, filter_set, short, show=show_pair)


def _subnet(text: str) -> str:
    """Read a range of addresses; host bits are cleared, as the engine clears them."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise BadValue("not a range of addresses, such as 172.28.0.0/16") from None


def _overlap(one: Range, other: Range) -> bool:
    return one.version == other.version and one.overlaps(other)


def _aux(text: str) -> tuple[str, str]:
    name, place = pair(text)
    return host(name), address(place)


def _listed(name: str, field: str, read: Callable[[str], object], show: Callable[[Any], str] = str) -> Flag:
    """Return a flag of pflag's StringSlice: several values may stand in one word, with commas between."""

    def read_all(text: str) -> tuple[object, ...]:
        if '"' in text:
            raise BadValue("quotes are not served here")
        return tuple(map(read, text.split(",")))

    def gather(values: tuple[tuple[object, ...], ...]) -> tuple[object, ...]:
        found = tuple(each for value in values for each in value)
        if len(set(found)) < len(found):
            raise BadValue("the same twice")
        return found

    return Flag(name, field, read_all, show, gather=gather)


def _volume_create_rules(fields: Fields) -> None:
    """``--name`` is the old way to say the name."""
    name = fields.pop("name_flag", "")
    if name and fields.get("name"):
        raise BadValue("the name stands twice")
    if name:
        fields["name"] = name


def _networks_rules(fields: Fields) -> None:
    once(fields, "networks")


def _volumes_rules(fields: Fields) -> None:
    once(fields, "volumes")


def _network_create_rules(fields: Fields) -> None:
    """Hold addresses to the subnets that they must lie in (docker/cli ``createIPAMConfig``)."""
    if fields["name"] in PREDEFINED_NETWORKS:
        raise BadValue("the engine has a network of that name by itself")
    subnets = tuple(map(ipaddress.ip_network, cast("tuple[str, ...]", fields.get("subnets", ()))))
    if any(_overlap(one, other) for one, other in combinations(subnets, 2)):
        raise BadValue("subnets that overlap")
    _check_places(subnets, "ip-range", cast("tuple[str, ...]", fields.get("ip_ranges", ())))
    _check_places(subnets, "gateway", cast("tuple[str, ...]", fields.get("gateways", ())))
    for _, place in cast("tuple[tuple[str, str], ...]", fields.get("aux_addresses", ())):
        subnet_of(subnets, place)


def _check_places(subnets: Sequence[Range], flag: str, places: Sequence[str]) -> None:
    homes = [subnet_of(subnets, place) for place in places]
    if len(set(homes)) < len(homes):
        raise BadValue(f"more than one --{flag} in a subnet")


def _connect_rules(fields: Fields) -> None:
    if fields["network"] == "host":
        raise BadValue("no container can be connected to the host's network")


_PRUNE: Final = (_filters(prune_filter), FORCE)

VOLUME_COMMANDS: Final = (
    Command(
        objects.VolumeLsOperation,
        ("volume ls", "volume list"),
        FlagTable(
            (
                _filters(volume_filter, "f"),
                LIST_FORMAT,
                QUIET,
                refused("cluster", _SWARM, switch=True),
            )
        ),
    ),
    Command(
        objects.VolumeCreateOperation,
        ("volume create",),
        FlagTable(
            (
                setting("driver", "driver", _DRIVER, "d"),
                several("label", "labels", label, by_name, show=show_pair),
                setting("name", "name_flag", optional(new_name)),
                several("opt", "options", pair, by_name, "o", show=show_pair),
                *(refused(name, _SWARM) for name in _SWARM_VOLUME_WORDS.split()),
            )
        ),
        (Positional("name", new_name, least=0),),
        rules=_volume_create_rules,
    ),
    Command(
        objects.VolumeRmOperation,
        ("volume rm", "volume remove"),
        FlagTable((switch("force", "force", "f"),)),
        (_VOLUMES,),
        rules=_volumes_rules,
    ),
    Command(
        objects.VolumePruneOperation,
        ("volume prune",),
        FlagTable((switch("all", "all", "a"), _filters(volume_prune_filter), FORCE)),
        rules=prune_rules,
    ),
)

NETWORK_COMMANDS: Final = (
    Command(
        objects.NetworkLsOperation,
        ("network ls", "network list"),
        FlagTable((_filters(network_filter, "f"), LIST_FORMAT, NO_TRUNC, QUIET)),
    ),
    Command(
        objects.NetworkCreateOperation,
        ("network create",),
        FlagTable(
            (
                switch("attachable", "attachable"),
                several("aux-address", "aux_addresses", _aux, distinct_names, show=show_pair),
                refused("config-from", _SWARM),
                refused("config-only", _SWARM, switch=True),
                setting("driver", "driver", _DRIVER, "d"),
                _listed("gateway", "gateways", address),
                refused("ingress", _SWARM, switch=True),
                switch("internal", "internal"),
                _listed("ip-range", "ip_ranges", _subnet),
                setting("ipam-driver", "ipam_driver", _DRIVER),
                several("ipam-opt", "ipam_options", pair, by_name, show=show_pair),
                refused("ipv4", "every network here has IPv4", switch=True),
                switch("ipv6", "ipv6"),
                several("label", "labels", label, by_name, show=show_pair),
                several("opt", "options", pair, by_name, "o", show=show_pair),
                refused("scope", _SWARM),
                _listed("subnet", "subnets", _subnet),
            )
        ),
        (Positional("name", container),),
        rules=_network_create_rules,
    ),
    Command(
        objects.NetworkConnectOperation,
        ("network connect",),
        FlagTable(
            (
                _listed("alias", "aliases", host),
                _listed("driver-opt", "driver_options", pair, show_pair),
                setting("gw-priority", "gateway_priority", signed_decimal),
                setting("ip", "ip", optional(address_v4)),
                setting("ip6", "ip6", optional(address_v6)),
                several("link", "links", link, unique(show_link), show=show_link),
                _listed("link-local-ip", "link_local_ips", address),
            )
        ),
        (_NETWORK, Positional("container", container)),
        rules=_connect_rules,
    ),
    Command(
        objects.NetworkDisconnectOperation,
        ("network disconnect",),
        FlagTable((switch("force", "force", "f"),)),
        (_NETWORK, Positional("container", container)),
    ),
    Command(
        objects.NetworkRmOperation,
        ("network rm", "network remove"),
        FlagTable((switch("force", "force", "f"),)),
        (Positional("networks", container, many=True),),
        rules=_networks_rules,
    ),
    Command(objects.NetworkPruneOperation, ("network prune",), FlagTable(_PRUNE), rules=prune_rules),
)

SYSTEM_COMMANDS: Final = (
    Command(objects.InfoOperation, ("info", "system info"), FlagTable((OBJECT_FORMAT,))),
    Command(objects.VersionOperation, ("version",), FlagTable((OBJECT_FORMAT,))),
    Command(
        objects.SystemDfOperation,
        ("system df",),
        FlagTable(
            (
                LIST_FORMAT,
                refused(
                    "verbose",
                    "each object's size is in docker images, ps --size and volume inspect",
                    "v",
                    switch=True,
                ),
            )
        ),
    ),
    Command(
        objects.SystemPruneOperation,
        ("system prune",),
        FlagTable((switch("all", "all", "a"), *_PRUNE, switch("volumes", "volumes"))),
        rules=prune_rules,
    ),
)
