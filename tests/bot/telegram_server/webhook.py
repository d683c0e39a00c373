"""Delivery to a webhook: https://core.telegram.org/bots/api#setwebhook.

One update at a time and in order, each until it is answered with 2xx; the secret goes along in its header. A method in
the answer's body is called, and its outcome told to nobody. Telegram wants HTTPS; a loopback address may do without, as
with a Bot API server run with ``--local``.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from tests.bot.telegram_server.parameters import Parameters, add_parts
from tests.bot.telegram_server.refusal import Refusal, bad_request
from tests.bot.telegram_server.state import State
from tests.bot.telegram_server.updates import WEBHOOK_CAME

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
SECRET = re.compile(r"[A-Za-z0-9_-]*")
LONGEST_SECRET = 256
DEFAULT_CONNECTIONS, MOST_CONNECTIONS = 40, 100
ANSWER_SECONDS = 60
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.1, 5.0
"""Telegram retries "a reasonable amount of attempts" and says no more; here without end, at a growing pace."""

Caller = Callable[[str, Parameters], Awaitable[object]]


@dataclass
class Webhook:
    """Where updates go, and the task that takes them there."""

    state: State
    url: str = ""
    secret: str = ""
    connections: int = 0
    last_error: tuple[int, str] | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def set(self, parameters: Parameters, call: Caller) -> None:
        """Take the parameters of setWebhook; an empty address ends it. Raises a 400 refusal."""
        url, secret = parameters.text("url"), parameters.text("secret_token")
        if url:
            _check(url)
        if len(secret) > LONGEST_SECRET:
            raise bad_request("secret token is too long")
        if not SECRET.fullmatch(secret):
            raise bad_request("secret token contains unallowed characters")
        await self.end()
        if parameters.flag("drop_pending_updates"):
            self.state.updates.pending.clear()
        if url:
            self.url, self.secret = url, secret
            wanted = parameters.number("max_connections", DEFAULT_CONNECTIONS)
            self.connections = min(max(wanted, 1), MOST_CONNECTIONS)
            self.state.updates.end_poll(WEBHOOK_CAME)
            self.task = asyncio.create_task(self._deliver(call))

    async def end(self) -> None:
        """Deliver no more."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
        self.url, self.secret, self.connections, self.last_error, self.task = "", "", 0, None, None

    def as_telegram(self) -> dict[str, Any]:
        """A WebhookInfo object."""
        updates = self.state.updates
        body: dict[str, Any] = {
            "url": self.url,
            "has_custom_certificate": False,
            "pending_update_count": len(updates.pending),
        }
        if self.last_error is not None:
            body["last_error_date"], body["last_error_message"] = self.last_error
        if self.url:
            body["max_connections"] = self.connections
            body["ip_address"] = urlsplit(self.url).hostname
        if updates.allowed:
            body["allowed_updates"] = list(updates.allowed)
        return body

    async def _deliver(self, call: Caller) -> None:
        updates = self.state.updates
        pause = FIRST_RETRY_SECONDS
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                updates.arrived.clear()
                if not updates.pending:
                    await updates.arrived.wait()
                await self.state.open.wait()
                if not updates.pending:
                    continue
                update_id, update = next(iter(updates.pending.items()))
                error = await self._post(session, update, call)
                if error is None:
                    updates.pending.pop(update_id, None)
                    pause = FIRST_RETRY_SECONDS
                    self.state.changes.changed()
                    continue
                self.last_error = (int(self.state.clock.now()), error)
                self.state.changes.changed()
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_RETRY_SECONDS)

    async def _post(self, session: aiohttp.ClientSession, update: dict[str, Any], call: Caller) -> str | None:
        headers = {SECRET_HEADER: self.secret} if self.secret else {}
        try:
            async with session.post(self.url, json=update, headers=headers, allow_redirects=False) as answer:
                if not 200 <= answer.status < 300:
                    return f"Wrong response from the webhook: {answer.status} {answer.reason}"
                method, parameters = await _asked_for(answer)
        except TimeoutError:
            return "Read timeout expired"
        except aiohttp.ClientError as error:
            return f"Connection failed: {type(error).__name__}"
        if method:
            with suppress(Refusal):
                await call(method, parameters)
        return None


def _check(url: str) -> None:
    place = urlsplit(url)
    if place.scheme not in ("http", "https") or not place.hostname:
        raise bad_request("invalid webhook URL specified")
    if place.scheme == "http" and not _loopback(place.hostname):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _asked_for(answer: aiohttp.ClientResponse) -> tuple[str, Parameters]:
    """The method in the body of an answer, empty where there is none; what cannot be read asks for nothing."""
    found = Parameters()
    if answer.content_type == "application/json":
        with suppress(ValueError):
            body = await answer.json()
            found.values = body if isinstance(body, dict) else {}
    elif answer.content_type == "multipart/form-data":
        with suppress(Refusal, ValueError):
            await add_parts(found, aiohttp.MultipartReader(answer.headers, answer.content))
    return str(found.values.pop("method", "")), found
