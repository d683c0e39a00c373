"""Typed operations on images, volumes, networks and the engine as a whole."""

from typing import Literal

from wingman_core.command.frozen import Format, Frozen, Names, Pairs


class ImagesOperation(Frozen):
    """``docker images``: list images."""

    verb: Literal["images"] = "images"
    all: bool = False
    digests: bool = False
    filters: Pairs = ()
    format: Literal["table", "json"] = "table"
    no_trunc: bool = False
    quiet: bool = False
    repository: str = ""
    """A reference, or a pattern of one; empty for all."""


class PullOperation(Frozen):
    """``docker pull``."""

    verb: Literal["pull"] = "pull"
    all_tags: bool = False
    platform: str = ""
    quiet: bool = False
    image: str
    """With tag or digest, unless all tags are pulled."""


class HistoryOperation(Frozen):
    """``docker history``: the layers of an image, and what made them."""

    verb: Literal["history"] = "history"
    format: Format = "table"
    human: bool = True
    no_trunc: bool = False
    quiet: bool = False
    image: str


class TagOperation(Frozen):
    """``docker tag``: one more name for an image; a name that another image has moves."""

    verb: Literal["tag"] = "tag"
    source: str
    target: str
    """With a tag."""


class RmiOperation(Frozen):
    """``docker rmi``: take names off images, and delete those that have none left."""

    verb: Literal["rmi"] = "rmi"
    force: bool = False
    no_prune: bool = False
    images: Names


class VolumeLsOperation(Frozen):
    """``docker volume ls``."""

    verb: Literal["volume ls"] = "volume ls"
    filters: Pairs = ()
    format: Format = "table"
    quiet: bool = False


class VolumeCreateOperation(Frozen):
    """``docker volume create``."""

    verb: Literal["volume create"] = "volume create"
    driver: str = "local"
    labels: Pairs = ()
    options: Pairs = ()
    name: str = ""
    """Empty: the engine makes a name."""


class VolumeRmOperation(Frozen):
    """``docker volume rm``."""

    verb: Literal["volume rm"] = "volume rm"
    force: bool = False
    volumes: Names


class NetworkLsOperation(Frozen):
    """``docker network ls``."""

    verb: Literal["network ls"] = "network ls"
    filters: Pairs = ()
    format: Format = "table"
    no_trunc: bool = False
    quiet: bool = False


class NetworkCreateOperation(Frozen):
    """``docker network create``."""

    verb: Literal["network create"] = "network create"
    attachable: bool = False
    aux_addresses: Pairs = ()
    driver: str = "bridge"
    gateways: tuple[str, ...] = ()
    internal: bool = False
    ip_ranges: tuple[str, ...] = ()
    ipam_driver: str = "default"
    ipam_options: Pairs = ()
    ipv6: bool = False
    labels: Pairs = ()
    options: Pairs = ()
    subnets: tuple[str, ...] = ()
    name: str


class NetworkConnectOperation(Frozen):
    """``docker network connect``."""

    verb: Literal["network connect"] = "network connect"
    aliases: tuple[str, ...] = ()
    driver_options: Pairs = ()
    gateway_priority: int = 0
    ip: str = ""
    ip6: str = ""
    link_local_ips: tuple[str, ...] = ()
    links: Pairs = ()
    """Container and alias."""
    network: str
    container: str


class NetworkDisconnectOperation(Frozen):
    """``docker network disconnect``."""

    verb: Literal["network disconnect"] = "network disconnect"
    force: bool = False
    network: str
    container: str


class NetworkRmOperation(Frozen):
    """``docker network rm``."""

    verb: Literal["network rm"] = "network rm"
    force: bool = False
    networks: Names


class InfoOperation(Frozen):
    """``docker info``: what the engine says of itself."""

    verb: Literal["info"] = "info"
    format: Literal["", "json"] = ""


class VersionOperation(Frozen):
    """``docker version``: what the engine consists of."""

    verb: Literal["version"] = "version"
    format: Literal["", "json"] = ""


class SystemDfOperation(Frozen):
    """``docker system df``: what takes how much space."""

    verb: Literal["system df"] = "system df"
    format: Format = "table"


class Prune(Frozen):
    """``docker ... prune``: remove what nothing uses.

    What that is now is resolved before anybody approves, and exactly that is removed.
    """

    force: Literal[True] = True
    """Without it Docker asks at the terminal whether to go on; the approval is that answer, so it is always given."""
    filters: Pairs = ()
    """``until``, ``label`` and ``label!``."""


class ContainerPruneOperation(Prune):
    """``docker container prune``: what does not run."""

    verb: Literal["container prune"] = "container prune"


class ImagePruneOperation(Prune):
    """``docker image prune``: what has no name, and no container."""

    verb: Literal["image prune"] = "image prune"
    all: bool = False
    """Also what has a name."""


class NetworkPruneOperation(Prune):
    """``docker network prune``: what no running container is on."""

    verb: Literal["network prune"] = "network prune"


class VolumePruneOperation(Prune):
    """``docker volume prune``: anonymous volumes of no container."""

    verb: Literal["volume prune"] = "volume prune"
    all: bool = False
    """Also those with a name."""


class SystemPruneOperation(Prune):
    """``docker system prune``: stopped containers, then the networks, images and build cache that nothing uses."""

    verb: Literal["system prune"] = "system prune"
    all: bool = False
    """Also images with a name."""
    volumes: bool = False
    """Also anonymous volumes."""


PruneOperation = (
    ContainerPruneOperation | ImagePruneOperation | NetworkPruneOperation | VolumePruneOperation | SystemPruneOperation
)

ObjectOperation = (
    ImagesOperation
    | PullOperation
    | HistoryOperation
    | TagOperation
    | RmiOperation
    | VolumeLsOperation
    | VolumeCreateOperation
    | VolumeRmOperation
    | NetworkLsOperation
    | NetworkCreateOperation
    | NetworkConnectOperation
    | NetworkDisconnectOperation
    | NetworkRmOperation
    | InfoOperation
    | VersionOperation
    | SystemDfOperation
    | PruneOperation
)
