"""Calls of the Bot API in each of the ways that its documentation lists, and what comes back."""

import json
from dataclasses import dataclass
from typing import Any

import httpx

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """An answer that keeps to the documented shape: ``ok`` with a result, or an error code and a description."""

    status: int
    body: dict[str, Any]

    @property
    def result(self) -> Any:  # noqa: ANN401 - any JSON
        """Of a call that worked."""
        assert self.status == 200, self.body
        assert self.body["ok"] is True
        return self.body["result"]

    @property
    def refusal(self) -> tuple[int, str]:
        """Code and description of a call that did not."""
        assert self.body["ok"] is False, self.body
        assert self.body["error_code"] == self.status
        return self.status, self.body["description"]


@dataclass(frozen=True)
class Raw:
    """Speaks to ``/bot<token>/``."""

    http: httpx.AsyncClient

    async def __call__(self, method: str, **parameters: object) -> Reply:
        """As a JSON body."""
        return _reply(await self.http.post(method, content=json.dumps(parameters), headers=JSON))

    async def form(self, method: str, **parameters: object) -> Reply:
        """URL-encoded; objects as JSON text."""
        return _reply(await self.http.post(method, data=_flat(parameters)))

    async def query(self, method: str, **parameters: object) -> Reply:
        """In the address, by GET."""
        return _reply(await self.http.get(method, params=_flat(parameters)))

    async def multipart(self, method: str, files: dict[str, tuple[str, bytes]], **parameters: object) -> Reply:
        """Multipart, with files by field: name and content."""
        return _reply(await self.http.post(method, data=_flat(parameters), files=files))


def _flat(parameters: dict[str, object]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()}


def _reply(answer: httpx.Response) -> Reply:
    return Reply(answer.status_code, answer.json())
