"""What ``run`` connects: ``--publish``, ``--expose``, ``--network``, ``--add-host`` and ``--link``.

Sources: docker/cli v28.2.2 ``opts/network.go``, ``opts/hosts.go``, go-connections ``nat``. Stricter than those where
they ignore what they do not know (``--publish mode=...``, ``80/tcp/x``, ``1-2-3``).
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

from wingman_core.command.frozen import Frozen
from wingman_core.command.lexer import shown
from wingman_core.command.quantities import signed_decimal
from wingman_core.command.values import BadValue, address, address_v4, address_v6, container, host, mac_address, pair

PREDEFINED_NETWORKS: Final = frozenset({"default", "bridge", "host", "none"})
_CONTAINER_MODE: Final = "container:"
_MAX_PORT: Final = 65535
_PORTS: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_PUBLISHED: Final = re.compile(r"(?:(?:(?P<ip>.*):)?(?P<host>[0-9-]*):)?(?P<port>[0-9-]+)(?:/(?P<protocol>[a-zA-Z]+))?")
# docker/cli asks whether \w+=\w+(,\w+=\w+)* occurs anywhere; that is the case exactly when this does.
_LONG_NETWORK: Final = re.compile(r"\w=\w", re.ASCII)

Protocol = Literal["tcp", "udp", "sctp"]


class Port(Frozen):
    """A container's port, or a range of them, and where on the host it appears."""

    first: int
    last: int
    protocol: Protocol = "tcp"
    host_ip: str = ""
    """Empty: every address of the host."""
    host_first: int = 0
    """0: the engine picks a free port."""
    host_last: int = 0

    def bindings(self) -> tuple[tuple[str, str, str], ...]:
        """Return (``80/tcp``, host address, host port or range or empty) for each port of the container."""
        return tuple(
            (f"{port}/{self.protocol}", self.host_ip, self._host_port(port - self.first))
            for port in range(self.first, self.last + 1)
        )

    def _host_port(self, offset: int) -> str:
        if not self.host_first:
            return ""
        if self.first == self.last and self.host_first != self.host_last:
            return f"{self.host_first}-{self.host_last}"
        return str(self.host_first + offset)


class Exposed(Frozen):
    """A port, or a range of them, that is documented but not published."""

    first: int
    last: int
    protocol: Protocol = "tcp"


class Network(Frozen):
    """One ``--network``: a network's name or id, a predefined mode, or ``container:<name>``."""

    name: str
    aliases: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
    mac_address: str = ""
    link_local_ips: tuple[str, ...] = ()
    driver_options: tuple[tuple[str, str], ...] = ()
    gateway_priority: int = 0

    @property
    def container(self) -> str:
        """The container whose network it joins, or empty."""
        return container_of(self.name)

    @property
    def is_user_defined(self) -> bool:
        """Whether it is a network that somebody created."""
        return not self.container and self.name not in PREDEFINED_NETWORKS


def container_of(mode: str) -> str:
    """Return the container in a namespace mode ``container:<name>``, or empty."""
    return mode.removeprefix(_CONTAINER_MODE) if mode.startswith(_CONTAINER_MODE) else ""


def namespace(*words: str, of_container: bool = False) -> Callable[[str], str]:
    """Return a reader of a namespace mode: one of ``words``, empty, or where allowed ``container:<name>``."""

    def read(text: str) -> str:
        if text == "" or text in words:
            return text
        if of_container and text.startswith(_CONTAINER_MODE):
            return _CONTAINER_MODE + container(container_of(text))
        raise BadValue("must be one of " + ", ".join([*words, *(["container:<name>"] if of_container else [])]))

    return read


def port(text: str) -> Port:
    """Read ``--publish``: ``[[ip:]host:]port[/protocol]`` or ``published=8080,target=80,protocol=tcp``."""
    if "=" in text:
        text = _long_port(text)
    match = _PUBLISHED.fullmatch(text)
    if match is None:
        raise BadValue("not a published port, such as 127.0.0.1:8080:80")
    first, last = _range(match["port"])
    free_port = not match["host"] or (match["host"] == "0" and first == last)
    host_first, host_last = (0, 0) if free_port else _range(match["host"])
    if host_first and last != first and host_last - host_first != last - first:
        raise BadValue("ranges of different lengths")
    return Port(
        first=first,
        last=last,
        protocol=_protocol(match["protocol"]),
        host_ip=_host_ip(match["ip"]) if match["ip"] else "",
        host_first=host_first,
        host_last=host_last,
    )


def show_port(value: Port) -> str:
    """Write ``ip:host:port/protocol``, the protocol unless it is tcp."""
    host_ports = _show_range(value.host_first, value.host_last) if value.host_first else ""
    ip = f"[{value.host_ip}]" if ":" in value.host_ip else value.host_ip
    place = f"{ip}:{host_ports}:" if ip else f"{host_ports}:" if host_ports else ""
    return place + show_exposed(Exposed(first=value.first, last=value.last, protocol=value.protocol))


def exposed(text: str) -> Exposed:
    """Read ``--expose``: ``port[-port][/protocol]``."""
    numbers, slash, protocol = text.partition("/")
    first, last = _range(numbers)
    return Exposed(first=first, last=last, protocol=_protocol(protocol if slash else None))


def show_exposed(value: Exposed) -> str:
    """Write ``port/protocol``, the protocol unless it is tcp."""
    suffix = "" if value.protocol == "tcp" else f"/{value.protocol}"
    return _show_range(value.first, value.last) + suffix


def network(text: str) -> Network:
    """Read ``--network``; the long form ``name=...,alias=...`` is lower-cased, as Docker does."""
    if _LONG_NETWORK.search(text) is None:
        return Network(name=_network_name(text))
    if not text.isascii() or '"' in text:
        raise BadValue("quotes and other characters than ASCII are not served inside --network")
    fields: dict[str, object] = {}
    lists: dict[str, list[str]] = {"aliases": [], "link_local_ips": []}
    options: dict[str, str] = {}
    for part in text.lower().split(","):
        field, value = _network_field(part)
        if field in lists and isinstance(value, str):
            lists[field].append(value)
        elif isinstance(value, tuple):
            options.update([value])
        else:
            fields[field] = value
    if "name" not in fields:
        raise BadValue("name is required")
    fields |= {name: tuple(sorted(set(found))) for name, found in lists.items()}
    return Network.model_validate(fields | {"driver_options": tuple(sorted(options.items()))})


def _network_field(part: str) -> tuple[str, object]:
    key, equals, value = part.partition("=")
    field, read = _NETWORK_FIELDS.get(key.strip(" "), ("", None))
    if read is None or not equals:
        raise BadValue(f"{shown(key)} is no field of --network, or has no value")
    return field, read(value.strip(" "))


def show_network(value: Network) -> str:
    """Write the bare name, or the long form where there is more to say."""
    more = [
        *(f"alias={alias}" for alias in value.aliases),
        *(f"driver-opt={name}={option}" for name, option in value.driver_options),
        *([f"gw-priority={value.gateway_priority}"] if value.gateway_priority else []),
        *([f"ip={value.ip}"] if value.ip else []),
        *([f"ip6={value.ip6}"] if value.ip6 else []),
        *(f"link-local-ip={ip}" for ip in value.link_local_ips),
        *([f"mac-address={value.mac_address}"] if value.mac_address else []),
    ]
    return ",".join([f"name={value.name}", *more]) if more else value.name


def extra_host(text: str) -> tuple[str, str]:
    """Read ``--add-host name:ip`` (or ``name=ip``) as name and address, or ``host-gateway``."""
    name, _, place = text.partition("=" if "=" in text else ":")
    if place.startswith("[") and place.endswith("]"):
        place = place[1:-1]
    return host(name), place if place == "host-gateway" else address(place)


def show_extra_host(value: tuple[str, str]) -> str:
    """Write ``name:ip``."""
    return ":".join(value)


def link(text: str) -> tuple[str, str]:
    """Read ``--link container[:alias]`` as container and alias."""
    name, colon, alias = text.partition(":")
    return container(name), container(alias) if colon else name


def show_link(value: tuple[str, str]) -> str:
    """Write ``container:alias``."""
    return ":".join(value)


def _network_name(text: str) -> str:
    if text.startswith(_CONTAINER_MODE):
        return _CONTAINER_MODE + container(container_of(text))
    try:
        return container(text)
    except BadValue:
        raise BadValue("not a network's name or id") from None


def _driver_option(text: str) -> tuple[str, str]:
    if "=" not in text:
        raise BadValue("a driver option is name=value")
    return pair(text)


def _long_port(text: str) -> str:
    fields = {"protocol": "tcp", "published": ""}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if key not in {"published", "target", "protocol"} or not equals:
            raise BadValue(f"{shown(part)} is no field of --publish")
        fields[key] = value
    if ":" in fields["published"] or "target" not in fields:
        raise BadValue("target is required, and published is a port")
    return f"{fields['published']}:{fields['target']}/{fields['protocol']}"


def _range(text: str) -> tuple[int, int]:
    match = _PORTS.fullmatch(text)
    if match is None:
        raise BadValue("not a port or a range of ports")
    first = int(match[1])
    last = int(match[2]) if match[2] else first
    if not 1 <= first <= last <= _MAX_PORT:
        raise BadValue("ports are from 1 to 65535, ranges ascend")
    return first, last


def _show_range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _protocol(text: str | None) -> Protocol:
    match text.lower() if text is not None else "tcp":
        case "tcp":
            return "tcp"
        case "udp":
            return "udp"
        case "sctp":
            return "sctp"
        case _:
            raise BadValue("the protocol is tcp, udp or sctp")


def _host_ip(text: str) -> str:
    return address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)


_NETWORK_FIELDS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "name": ("name", _network_name),
    "alias": ("aliases", host),
    "ip": ("ip", address_v4),
    "ip6": ("ip6", address_v6),
    "mac-address": ("mac_address", mac_address),
    "link-local-ip": ("link_local_ips", address),
    "driver-opt": ("driver_options", _driver_option),
    "gw-priority": ("gateway_priority", signed_decimal),
}
