"""Which Docker engine ``up`` and ``demo`` use, and how a machine without one gets one.

Guarantees: an engine is only taken after it answered; one is only installed or started when asked for; one that
was started here is stopped here. Does not: run any worker's command (that is the gateway's alone).
"""

import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import httpx

from wingman_cli.options import Choice
from wingman_core.errors import Code, Unavailable

DEFAULT_ADDRESS: Final = "unix:///var/run/docker.sock"
SCRIPT: Final = Path(__file__).resolve().parents[2] / "tools" / "engine.sh"
KNOCK: Final = 5.0
SCRIPT_LIMIT: Final = 600.0
"""Seconds; the first start may install packages."""
SCRIPT_GRACE: Final = 60.0
"""Seconds for a script that was asked to end; it lets a package manager finish first."""


@dataclass(frozen=True, slots=True)
class Found:
    """An engine that answered, or why there is none."""

    address: str
    version: str = ""
    """Empty where no engine answers."""
    started: bool = False
    """A private engine that this command started, and stops."""
    private: bool = False
    reason: str = ""


class DockerEngine:
    """The machine administrator's view of an engine; a context manager that closes its connection."""

    def __init__(self, address: str, *, timeout: float = 10.0) -> None:
        """Take ``unix:///path``, ``tcp://host:port`` or ``http://host:port``; ``timeout`` in seconds."""
        scheme, _, rest = address.partition("://")
        self.address: Final = address
        self._socket = rest if scheme == "unix" else ""
        transport = httpx.HTTPTransport(uds=rest) if scheme == "unix" else None
        base = "http://engine" if scheme == "unix" else f"http://{rest}"
        self._http = httpx.Client(transport=transport, base_url=base, timeout=timeout, trust_env=False)

    def version(self) -> str:
        """Return the engine's version; raise ``Unavailable`` where nothing answers."""
        return str(self.call("GET", "/version").json().get("Version", "unknown"))

    def call(self, method: str, path: str, *, json: object = None, timeout: float | None = None) -> httpx.Response:
        """Make one Engine API call; raise ``Unavailable`` where it fails, with the engine's own words."""
        try:
            self._knock()
            response = self._http.request(
                method, path, json=json, timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout
            )
        except (httpx.HTTPError, OSError) as error:
            raise Unavailable(
                Code.ENGINE_UNAVAILABLE,
                f"no Docker engine answers at {self.address}: {error or type(error).__name__}",
                hint="start one (tools/engine.sh start), or set WINGMAN_DOCKER_HOST",
            ) from error
        if response.is_error:
            raise Unavailable(
                Code.ENGINE_REFUSED, f"the engine refused {method} {path}: {response.text.strip()[:300]!a}"
            )
        return response

    def _knock(self) -> None:
        """Connect once and hang up: the HTTP library leaves a socket open where a Unix one does not answer."""
        if self._socket:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(KNOCK)
                probe.connect(self._socket)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EngineSource:
    """Finds an engine: the configured one, the machine's, a private one that runs, or one to start."""

    def __init__(
        self, environ: Mapping[str, str], *, script: Path = SCRIPT, default_address: str = DEFAULT_ADDRESS
    ) -> None:
        """``environ`` may name ``WINGMAN_DOCKER_HOST``, which is then the only candidate."""
        self._configured = environ.get("WINGMAN_DOCKER_HOST", "")
        self._script = script
        self._default = default_address

    def find(self, choice: Choice, *, ask: Callable[[str], bool], tell: Callable[[str], None]) -> Found:
        """Return an engine that answers, or the address that was tried and why there is none."""
        first = self._configured or self._default
        tried = _probe(first)
        if tried.version or self._configured:
            return tried
        if not self._script.exists():
            return tried
        status = self._run("status")
        if status.returncode == 0:
            return _probe(status.stdout.strip(), private=True)
        question = "No Docker engine answers. Start a private one (installs Debian's docker.io if it is missing)?"
        if choice is Choice.NONE or (choice is Choice.ASK and not ask(question)):
            return tried
        tell("no Docker engine answers; starting a private one (the first time takes a minute)")
        begun = self._run("start")
        if begun.returncode != 0:
            return Found(first, reason=_last_words(begun.stderr) or "tools/engine.sh could not start an engine")
        return _probe(begun.stdout.strip(), private=True, started=True)

    def image(self, reference: str) -> None:
        """Put a small image under ``reference`` on the private engine; raise ``Unavailable`` where there is none."""
        made = self._run("image", reference)
        if made.returncode != 0:
            raise Unavailable(Code.ENGINE_REFUSED, f"no image for the demo: {_last_words(made.stderr)}")

    def stop(self, found: Found) -> None:
        """Stop the private engine if it was started here."""
        if found.started:
            self._run("stop")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script; one that is not awaited to its end is asked to end, and takes back what it began."""
        try:
            script = subprocess.Popen(
                [str(self._script), *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,  # Ctrl-C reaches us alone
            )
        except OSError as error:
            return subprocess.CompletedProcess(arguments, 1, "", f"engine: {error}")
        try:
            out, err = script.communicate(timeout=SCRIPT_LIMIT)
        except subprocess.TimeoutExpired as error:
            _end(script)
            return subprocess.CompletedProcess(arguments, 1, "", f"engine: {error}")
        except BaseException:
            _end(script)
            raise
        return subprocess.CompletedProcess(arguments, script.returncode, out, err)


def _end(script: "subprocess.Popen[str]") -> None:
    """Ask a script to end; after a while kill it, which leaves a package manager to finish on its own."""
    script.terminate()
    try:
        script.communicate(timeout=SCRIPT_GRACE)
    except subprocess.TimeoutExpired:
        script.kill()
        for pipe in (script.stdout, script.stderr):  # what the script ran holds their other ends
            if pipe is not None:
                pipe.close()
        script.wait()


def _probe(address: str, *, private: bool = False, started: bool = False) -> Found:
    with DockerEngine(address, timeout=5.0) as engine:
        try:
            return Found(address, version=engine.version(), private=private, started=started)
        except Unavailable as error:
            return Found(address, private=private, started=started, reason=error.message)


def _last_words(text: str) -> str:
    lines = [line.removeprefix("engine: ").strip() for line in text.strip().splitlines()]
    return "; ".join(lines[-2:])
