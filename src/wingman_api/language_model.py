"""A language model behind an OpenAI-compatible endpoint: text in, one JSON object out, or nothing.

Guarantees: every wait has a limit, an answer over ``MAX_ANSWER`` bytes or of another form is no answer, and
redirects are not followed. What it says is advice: callers validate it, and none lets it decide.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httpx

MAX_ANSWER: Final = 64 * 1024
CONNECT_SECONDS: Final = 2.0


class LanguageModel(Protocol):
    """What its users need of it."""

    async def answer(self, instructions: str, text: str) -> Mapping[str, Any] | None:
        """Return the JSON object it answers ``text`` with, under ``instructions``; None for no usable answer."""
        ...


@dataclass(frozen=True, slots=True)
class ChatEndpoint:
    """``POST <base>/chat/completions``, as OpenAI documents it and Ollama, vLLM and others serve it."""

    http: httpx.AsyncClient
    model: str

    async def answer(self, instructions: str, text: str) -> Mapping[str, Any] | None:
        """Ask once, at temperature 0, for a JSON object; never raise."""
        asked = {
            "model": self.model,
            "temperature": 0,
            "response_format": {"type": "json_object"},
            "messages": [{"role": "system", "content": instructions}, {"role": "user", "content": text}],
        }
        try:
            async with self.http.stream("POST", "chat/completions", json=asked) as response:
                body = b""
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER:
                        return None
            if response.status_code != httpx.codes.OK:
                return None
            said = json.loads(json.loads(body)["choices"][0]["message"]["content"])
        except (httpx.HTTPError, ValueError, LookupError, TypeError, RecursionError):
            return None
        return said if isinstance(said, dict) else None


@asynccontextmanager
async def open_language_model(url: str, model: str, key: str, seconds: float) -> AsyncIterator[LanguageModel | None]:
    """Yield the model at ``url`` (such as ``http://127.0.0.1:11434/v1``), None where no URL is set.

    ``seconds`` is the limit for each wait; callers that need one for the whole put their own around ``answer``.
    """
    if not url:
        yield None
        return
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
    base = url if url.endswith("/") else f"{url}/"
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=timeout, trust_env=False) as http:
        yield ChatEndpoint(http, model)
