"""The containers of a deployment as ``inspect`` describes them, and what an engine says of all it has."""

from typing import Any

from wingman_gateway.engine.fleet import Fleet

CONFIG = "/srv/wingman/config/test"
GATEWAY = "execution-gateway"
ROLES = {GATEWAY: "gateway", "api": "api", "telegram-bot": "bot", "postgres": "postgres"}


def bind(source: str, target: str) -> dict[str, str]:
    return {"Type": "bind", "Source": source, "Destination": target}


def container(name: str, service: str = "", *, created: str = "2030-01-01", **host: object) -> dict[str, Any]:
    """One container as ``inspect`` describes it, as the compose files make it."""
    labels = {"com.docker.compose.project": "wingman-test", "com.docker.compose.service": service} if service else {}
    return {
        "Id": name * 20,
        "Name": f"/{name}",
        "Created": created,
        "State": {"Running": True},
        "Config": {"Labels": labels, "Env": ["PATH=/bin", "EMPTY="], "User": "10001:10001"},
        "HostConfig": {
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "NetworkMode": "wingman-test_data",
            **host,
        },
        "Mounts": [bind(f"{CONFIG}/{ROLES[service]}", "/run/wingman")] if service in ROLES else [],
        "NetworkSettings": {"Networks": {"wingman-test_data": {}} if service else {"bridge": {}}},
    }


def stack() -> dict[str, dict[str, Any]]:
    """The four containers of a deployment that is as it should be, by service."""
    found = {service: container(service, service) for service in ROLES}
    found[GATEWAY]["Mounts"] += [
        bind("/var/run/docker.sock", "/var/run/docker.sock"),
        bind(f"{CONFIG}/policies", "/etc/wingman/policies"),
        bind(f"{CONFIG}/token-keys", "/etc/wingman/token-keys"),
        {"Type": "volume", "Name": "wingman-test_journal", "Source": "/var/lib/docker/volumes/j/_data"},
    ]
    found[GATEWAY]["HostConfig"]["GroupAdd"] = ["998"]
    found["api"]["HostConfig"]["PortBindings"] = {"8100/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8101"}]}
    return found


def fleet(*containers: dict[str, Any], volumes: tuple[dict[str, Any], ...] = ()) -> Fleet:
    labels = {"com.docker.compose.project": "wingman-test"}
    networks = ({"Name": "wingman-test_data", "Labels": labels}, {"Name": "bridge", "Labels": None})
    return Fleet(
        containers, networks, ({"Name": "wingman-test_journal", "Labels": labels}, *volumes), "/var/lib/docker"
    )
