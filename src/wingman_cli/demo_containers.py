"""The demo's containers, as the machine's administrator makes, renames and removes them.

Guarantees: every container and image that was made here is removed by ``clean``, and nothing else is touched.
"""

import threading
from typing import Final
from urllib.parse import quote

from wingman_cli.engine import DockerEngine, EngineSource
from wingman_core.errors import Code, Unavailable

OWN_IMAGE: Final = "wingman-demo/busybox:1"
PULLED_IMAGE: Final = "busybox:stable"
KNOWN_IMAGES: Final = ("busybox", "alpine")
PULL_LIMIT: Final = 120.0
PROGRAM: Final = ["sh", "-c", "echo serving; exec sleep 3600"]


class Containers:
    """Containers on one engine, by name."""

    def __init__(self, engine: DockerEngine) -> None:
        """Act on ``engine``."""
        self._engine = engine
        self._image = ""
        self._made_image = False
        self._made: list[str] = []
        self._lock = threading.Lock()
        self._closed = False

    def find_image(self, source: EngineSource, *, private: bool) -> str:
        """Find or get a small image with a shell; raise ``Unavailable`` where there is none to be had."""
        tags = [tag for image in self._engine.call("GET", "/images/json").json() for tag in image["RepoTags"] or ()]
        known = [tag for tag in tags if tag == OWN_IMAGE or tag.partition(":")[0] in KNOWN_IMAGES]
        if known:
            self._image = known[0]
            return self._image
        self._image = OWN_IMAGE if private else PULLED_IMAGE
        if private:
            source.image(OWN_IMAGE)
        else:
            name, _, tag = PULLED_IMAGE.partition(":")
            self._engine.call("POST", f"/images/create?fromImage={name}&tag={tag}", timeout=PULL_LIMIT)
        self._engine.call("GET", f"/images/{quote(self._image, safe='/')}/json")
        self._made_image = True
        return self._image

    def start(self, name: str) -> str:
        """Create and start a container of that name; return its id."""
        body = {"Image": self._image, "Cmd": PROGRAM, "HostConfig": {"NetworkMode": "none"}}
        with self._lock:
            if self._closed:
                raise Unavailable(Code.ENGINE_UNAVAILABLE, "the demo is being cleaned up", hint="start it again")
            made: str = self._engine.call("POST", f"/containers/create?name={name}", json=body).json()["Id"]
            self._made.append(made)
        self._engine.call("POST", f"/containers/{made}/start")
        return made

    def rename(self, container_id: str, name: str) -> None:
        """Give a container another name."""
        self._engine.call("POST", f"/containers/{container_id}/rename?name={name}")

    def started_at(self, container_id: str) -> str:
        """Return when the container's process was last started, as Docker says it; empty where it does not run."""
        state = self._engine.call("GET", f"/containers/{container_id}/json").json()["State"]
        return str(state["StartedAt"]) if state["Running"] else ""

    def clean(self) -> None:
        """Remove what was made here, and let nothing more be made; what cannot be removed does not stop the rest."""
        with self._lock:
            self._closed = True
        paths = [f"/containers/{container_id}?force=true&v=true" for container_id in reversed(self._made)]
        paths += [f"/images/{quote(self._image, safe='/')}"] if self._made_image else []
        self._made, self._made_image = [], False
        failures = []
        for path in paths:
            try:
                self._engine.call("DELETE", path)
            except Unavailable as error:
                failures.append(error)
        if failures:
            raise failures[0]
