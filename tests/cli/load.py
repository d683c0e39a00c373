"""Clients that ask, run and read without a pause, and send again what was not answered."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.cli.running import until

PATIENCE = 120.0
PAUSE = 0.2
AGAIN = {429, 500, 502, 503, 504}
FINAL = {"SUCCEEDED", "FAILED", "TIMED_OUT", "UNKNOWN", "CANCELLED"}


@dataclass
class Load:
    """What became of everything that was sent."""

    api: str
    key: Callable[[], str]
    """The API key, read for each story: it may be replaced, too."""
    done: int = 0
    again: int = 0
    """Requests that were sent again, and then answered."""
    lost: list[str] = field(default_factory=list)
    """Whatever no repetition cured."""
    over: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    """Set once something was done."""

    def on(self, seconds: float) -> None:
        """Return once something more was done."""
        before, deadline = self.done, time.monotonic() + seconds
        while self.done == before and time.monotonic() < deadline:
            self.over.wait(PAUSE)

    def story(self, http: httpx.Client) -> None:
        """A read is asked for, run, and seen to its end; one that the gateway's stop cut off is asked for again."""
        for _ in range(3):
            wish = {"worker_id": "load", "task_name": "look", "instruction": "look", "commands": ["docker ps"]}
            asked = self.send(http, "POST", "/approvals/request", wish)
            started = self.send(http, "POST", "/executions", {"approval_id": asked["request"]["id"]})
            seen = self.send(http, "GET", f"/executions/{started['execution_id']}")
            deadline = time.monotonic() + PATIENCE
            while seen["state"] not in FINAL and time.monotonic() < deadline:
                seen = self.send(http, "GET", f"/executions/{started['execution_id']}")
            if seen["state"] == "SUCCEEDED":
                self.done += 1
                self.began.set()
                return
            self.again += 1
        raise AssertionError(f"an execution ended as {seen}")

    def send(
        self, http: httpx.Client, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Send one request, and the same again while it is not answered."""
        headers = {"Authorization": f"Bearer {self.key()}", "Idempotency-Key": str(uuid.uuid4())}
        deadline, tries = time.monotonic() + PATIENCE, 0
        while True:
            tries += 1
            try:
                answer = http.request(method, path, json=body, headers=headers)
                if answer.status_code not in AGAIN:
                    break
                said = answer.text
            except httpx.TransportError as error:
                said = repr(error)
            assert time.monotonic() < deadline, f"{method} {path} is not answered: {said}"
            self.over.wait(PAUSE)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        self.again += tries - 1
        found: dict[str, Any] = answer.json()
        return found

    def run(self) -> None:
        """Tell stories until it is over."""
        with httpx.Client(base_url=self.api, timeout=30, trust_env=False) as http:
            while not self.over.is_set():
                try:
                    self.story(http)
                except AssertionError as error:
                    self.lost.append(str(error))


@contextmanager
def under_load(api: str, key: Callable[[], str], *, clients: int = 2) -> Iterator[Load]:
    """Have clients at work, for as long as the context lasts."""
    load = Load(api, key)
    threads = [threading.Thread(target=load.run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.over.set()
        for thread in threads:
            thread.join(PATIENCE + 30)


def replaced_key(api: str, keys: Callable[..., str]) -> Load:
    """Replace a worker's key while its clients work, as docs/day-two.md has it; return what became of their work.

    ``keys`` runs ``wingman keys`` and returns what it prints.
    """
    old = json.loads(keys("create", "load", "--role", "worker", "--json"))
    in_use = str(old["key"])
    with under_load(api, lambda: in_use) as load:
        assert load.began.wait(60)
        new = json.loads(keys("rotate", old["id"], "--overlap", "1h", "--json"))
        assert [who(api, each["key"]) for each in (old, new)] == [(200, "load"), (200, "load")], "both are taken"
        in_use = str(new["key"])
        load.on(60)
        keys("revoke", old["id"])
        until(lambda: who(api, old["key"]) == (401, "KEY_INVALID"), 10)
        told = load.done
        load.on(60)
    assert who(api, new["key"]) == (200, "load")
    assert load.done > told > 0, "it went on before and after"
    return load


def who(api: str, key: str) -> tuple[int, str]:
    """Ask the API whose key it is: the status, and the person or the error's code."""
    answer = httpx.get(f"{api}/whoami", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    said = answer.json()
    return answer.status_code, str(said["person"] if answer.is_success else said["code"])
