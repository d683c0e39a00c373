"""What Docker's client has and Wingman refuses by name, with the reason a worker is told."""

from typing import Final

GROUPS: Final = frozenset({"compose", "container", "image", "network", "system", "volume"})
"""Management commands: the verb is the word after."""

ENGINE_FLAGS: Final = frozenset(
    {
        *("-H", "--host", "--context", "--config", "-D", "--debug", "--log-level"),
        *("--tls", "--tlscacert", "--tlscert", "--tlskey", "--tlsverify"),
    }
)
"""Global flags that no command has for itself."""

GLOBAL_FLAGS: Final = ENGINE_FLAGS | {"-c", "-l", "-v", "--version"}
"""All that may stand before the command in Docker."""

_FILES: Final = "it reads or writes files of the machine that Docker's client runs on"
_REGISTRY: Final = "it hands credentials or content to a registry"
_BUILD: Final = "it runs a build from files of the client"
_SWARM: Final = "it changes a cluster, not a container of this host"
_ENGINE: Final = "it changes the engine itself"
_CLIENT: Final = "it concerns Docker's client, not the engine"
_TRUST: Final = "it changes what is trusted"
_INTERACTIVE: Final = "it connects a terminal; nobody sits at one"

REFUSED: Final = {
    "build": _BUILD,
    "builder": _BUILD,
    "buildx": _BUILD,
    "bake": _BUILD,
    "image build": _BUILD,
    "load": _FILES,
    "image load": _FILES,
    "save": _FILES,
    "image save": _FILES,
    "import": _FILES,
    "image import": _FILES,
    "export": _FILES,
    "container export": _FILES,
    "cp": _FILES,
    "container cp": _FILES,
    "commit": "it makes an image of a container's state, secrets included",
    "container commit": "it makes an image of a container's state, secrets included",
    "push": _REGISTRY,
    "image push": _REGISTRY,
    "login": _REGISTRY,
    "logout": _REGISTRY,
    "search": _REGISTRY,
    "manifest": _REGISTRY,
    "events": "its stream has no end; the API's own events tell what Wingman did",
    "system events": "its stream has no end; the API's own events tell what Wingman did",
    "system dial-stdio": "it hands the engine's socket on",
    "volume update": _SWARM,
    "model": "it runs what the engine does not know of",
    "mcp": _CLIENT,
    "ai": _CLIENT,
    "desktop": _CLIENT,
    "debug": _INTERACTIVE,
    "dev": _CLIENT,
    "extension": _CLIENT,
    "feedback": _CLIENT,
    "init": _FILES,
    "offload": _CLIENT,
    "sandbox": _CLIENT,
    "sbom": _CLIENT,
    "scout": _CLIENT,
    "scan": _REGISTRY,
    "app": _CLIENT,
    **dict.fromkeys(
        (f"compose {verb}" for verb in ("attach", "exec", "run", "cp", "events", "watch", "bridge", "publish")),
        "it connects a terminal, copies files of the client, or has no end; docker exec and docker run are served",
    ),
    **dict.fromkeys(
        (f"compose {verb}" for verb in ("build", "push", "commit", "export", "config", "create", "convert")),
        "it reads the project's files, which only the machine that has them can",
    ),
    **dict.fromkeys(
        (f"compose {verb}" for verb in ("scale", "port", "stats", "volumes", "wait", "version", "alpha")),
        "it is not served yet; docker's own verbs on the project's containers are",
    ),
    "docker-compose": "write docker compose",
    "attach": _INTERACTIVE,
    "container attach": _INTERACTIVE,
    "plugin": _ENGINE,
    "context": _CLIENT,
    "help": _CLIENT,
    "completion": _CLIENT,
    "trust": _TRUST,
    "checkpoint": "it is experimental in Docker",
    "swarm": _SWARM,
    "node": _SWARM,
    "service": _SWARM,
    "stack": _SWARM,
    "config": _SWARM,
    "secret": _SWARM,
}
