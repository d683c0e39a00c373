"""A language model behind an OpenAI-compatible endpoint, over real HTTP, that answers what a test says."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class FakeModel:
    """Answers every question with ``content`` as the message, or with ``raw``."""

    url: str
    content: str = '{"parts": []}'
    status: int = 200
    raw: bytes | None = None
    """Instead of a chat completion."""
    gate: asyncio.Event | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    authorization: list[str] = field(default_factory=list)

    def says(self, *parts: list[dict[str, Any]]) -> None:
        """Answer with these assertions for part 1, 2, ..."""
        said = [{"part": n, "assertions": assertions} for n, assertions in enumerate(parts, start=1)]
        self.content = json.dumps({"parts": said})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = await reader.readexactly(int(headers["content-length"]))
        self.asked.append({"path": head.split(" ")[1], **json.loads(body)})
        self.authorization.append(headers.get("authorization", ""))
        if self.gate is not None:
            await self.gate.wait()
        answer = self.raw if self.raw is not None else self._completion()
        lines = f"HTTP/1.1 {self.status} X\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n"
        writer.write(lines.encode("ascii") + b"Connection: close\r\n\r\n" + answer)
        with suppress(ConnectionError):  # whoever asked has heard enough
            await writer.drain()
        writer.close()

    def _completion(self) -> bytes:
        return json.dumps({"choices": [{"message": {"role": "assistant", "content": self.content}}]}).encode()


@asynccontextmanager
async def serve_model() -> AsyncIterator[FakeModel]:
    """Serve a model on a free port."""
    model = FakeModel("")
    server = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    model.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield model
    finally:
        if model.gate is not None:
            model.gate.set()
        server.close()
        await server.wait_closed()
