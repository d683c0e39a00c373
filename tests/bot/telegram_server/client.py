"""The server as tests see it: start it, act as people, look at what the bot did, order faults.

    async with telegram_server() as telegram:
        alice = await telegram.person("Alice")
        chat = await telegram.starts(alice)
        await telegram.says(alice, chat, "/pending")
        card = await telegram.message(chat, lambda m: "docker restart" in m.text)
        tap = await telegram.taps(alice, card, "Approve")
        assert (await telegram.answer(tap)).text == "Approved"

Nothing sleeps to wait: ``until`` and what is built on it look again whenever something has changed.
"""

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter

from tests.bot.telegram_server import wire
from tests.bot.telegram_server.wire import Call, Chat, Commands, Limits, Message, Person, Tap

REPOSITORY = Path(__file__).parent.parent.parent.parent
SECONDS = 60.0
"""How long a test waits for something unless it says otherwise."""

MESSAGES, CALLS, COMMANDS = TypeAdapter(list[Message]), TypeAdapter(list[Call]), TypeAdapter(list[Commands])
PENDING = TypeAdapter(list[dict[str, Any]])

Seen = TypeVar("Seen")
Model = TypeVar("Model", bound=wire.Wire)


class Telegram:
    """A running server; ``url`` is what ``TelegramAPIServer.from_base`` takes, ``token`` the one bot's."""

    def __init__(self, url: str, token: str, http: httpx.AsyncClient) -> None:
        self.url = url
        self.token = token
        self._http = http
        self._firsts: dict[int, int] = {}
        """The first message of a chat that is looked at, where that is not all."""

    async def reset(self) -> None:
        """Forget everything, as if the server had just started; cheaper than a server for each test."""
        self._firsts.clear()
        await self._do("reset", 0)

    # People and chats.

    async def person(self, name: str, *, username: str | None = None, language: str | None = None) -> Person:
        """A new user, whom the bot does not know."""
        asked = wire.NewPerson(first_name=name, username=username, language_code=language)
        return await self._made(Person, "people", asked)

    async def starts(self, person: Person) -> Chat:
        """Their private chat with the bot, where it may write from now on; says nothing in it."""
        return await self._made(Chat, "starts", person.id)

    async def group(self, title: str, *people: Person, supergroup: bool = False) -> Chat:
        """A group with the bot and these people in it."""
        asked = wire.NewGroup(title=title, people=tuple(p.id for p in people), supergroup=supergroup)
        return await self._made(Chat, "groups", asked)

    async def bars(self, chat: Chat) -> None:
        """The person blocks the bot, or the group removes it."""
        await self._do("standing", wire.Standing(chat_id=chat.id, allowed=False))

    async def takes_back(self, chat: Chat) -> None:
        """The opposite of ``bars``."""
        await self._do("standing", wire.Standing(chat_id=chat.id, allowed=True))

    async def upgrades(self, group: Chat) -> Chat:
        """A basic group becomes a supergroup with another id."""
        return await self._made(Chat, "upgrade", group.id)

    # What people do.

    async def says(self, person: Person, chat: Chat, text: str, *, reply_to: Message | None = None) -> Message:
        """Someone writes in a chat; commands and mentions become entities as in any client."""
        reply = None if reply_to is None else reply_to.id
        return await self._made(
            Message, "says", wire.Saying(person_id=person.id, chat_id=chat.id, text=text, reply_to=reply)
        )

    async def taps(
        self,
        person: Person,
        message: Message,
        label: str | None = None,
        *,
        data: str | None = None,
        chat: Chat | None = None,
        inaccessible: bool = False,
    ) -> Tap:
        """Someone taps the button whose text contains ``label``.

        ``data`` sends another payload, whether or not a button carries it; ``chat`` taps "there" instead, membership
        or not; ``inaccessible`` leaves the message's content out of the query, as Telegram does for old ones.
        """
        if data is None:
            assert label is not None, "say which button, or which data"
            data = message.button(label).callback_data
            assert data is not None, f"the button {label!r} has no payload"
        chat_id = message.chat_id if chat is None else chat.id
        asked = wire.Tapping(
            person_id=person.id, chat_id=chat_id, message_id=message.id, data=data, inaccessible=inaccessible
        )
        return await self._made(Tap, "taps", asked)

    async def taps_again(self, tap: Tap) -> Tap:
        """The same callback query comes a second time, under a new update id."""
        return await self._made(Tap, f"taps/{tap.id}/again", 0)

    async def forwards(self, person: Person, message: Message, to: Chat) -> Message:
        """Someone forwards a message; its payload buttons stay behind."""
        asked = wire.Forwarding(person_id=person.id, chat_id=message.chat_id, message_id=message.id, to_chat_id=to.id)
        return await self._made(Message, "forwards", asked)

    async def happens(self, person: Person, kind: str, what: dict[str, Any]) -> None:
        """Someone does what no method here knows; the bot gets an update that has it as it is."""
        await self._do("happenings", wire.Happening(person_id=person.id, kind=kind, what=what))

    # What is there.

    async def messages(self, chat: Chat, *, deleted: bool = False) -> list[Message]:
        """The messages of a chat in the order they came, deleted ones only if asked for."""
        first = self._firsts.get(chat.id, 0)
        found = MESSAGES.validate_json(await self._get(f"chats/{chat.id}/messages?from={first}"))
        return [message for message in found if deleted or not message.deleted]

    async def forget(self, chat: Chat) -> None:
        """Look at no message from before now: each look reads all that there are."""
        if found := await self.messages(chat, deleted=True):
            self._firsts[chat.id] = found[-1].id + 1

    async def from_bot(self, chat: Chat) -> list[Message]:
        """Those of the bot."""
        return [message for message in await self.messages(chat) if message.sender_id == self.bot_id]

    async def calls(self, *methods: str, since: int = 0) -> list[Call]:
        """The bot's calls from a number on; without ``methods`` all but getUpdates."""
        found = CALLS.validate_json(await self._get(f"calls?from={since}"))
        wanted = {method.lower() for method in methods}
        return [c for c in found if (c.method.lower() in wanted if wanted else c.method.lower() != "getupdates")]

    async def commands(self) -> list[Commands]:
        """What setMyCommands has set."""
        return COMMANDS.validate_json(await self._get("commands"))

    async def pending(self) -> list[dict[str, Any]]:
        """The updates that the bot has not confirmed."""
        return PENDING.validate_json(await self._get("pending"))

    async def tap(self, tap: Tap) -> Tap:
        """A tap as it is now, with its answer."""
        return Tap.model_validate_json(await self._get(f"taps/{tap.id}"))

    @property
    def bot_id(self) -> int:
        """The bot's user id."""
        return int(self.token.partition(":")[0])

    # Waiting.

    async def until(
        self, look: Callable[[], Awaitable[Seen]], fits: Callable[[Seen], Any] = bool, *, seconds: float = SECONDS
    ) -> Seen:
        """Look, and look again at each change, until what is seen ``fits``; TimeoutError says what was seen last."""
        seen: list[Seen] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    number = int(await self._get("changes?after=-1"))
                    seen[:] = [await look()]
                    if fits(seen[0]):
                        return seen[0]
                    await self._get(f"changes?after={number}&seconds={seconds}")
        except TimeoutError:
            raise TimeoutError(f"nothing fitted within {seconds} s; seen last: {seen}") from None

    async def message(self, chat: Chat, fits: Callable[[Message], Any] = bool, *, seconds: float = SECONDS) -> Message:
        """The newest message of the bot that fits, waited for."""

        async def look() -> list[Message]:
            return await self.from_bot(chat)

        found = await self.until(look, lambda seen: any(fits(message) for message in seen), seconds=seconds)
        return [message for message in found if fits(message)][-1]

    async def answer(self, tap: Tap, *, seconds: float = SECONDS) -> wire.Answer:
        """What the tapper is told, waited for."""
        answered = await self.until(lambda: self.tap(tap), lambda seen: seen.answer is not None, seconds=seconds)
        assert answered.answer is not None
        return answered.answer

    async def called(self, method: str, times: int = 1, *, since: int = 0, seconds: float = SECONDS) -> list[Call]:
        """The calls of a method, once there are so many that have ended."""

        async def look() -> list[Call]:
            return [call for call in await self.calls(method, since=since) if call.ended is not None]

        return await self.until(look, lambda seen: len(seen) >= times, seconds=seconds)

    async def confirmed(self, *, seconds: float = SECONDS) -> None:
        """The bot has taken every update and confirmed it."""
        await self.until(self.pending, lambda seen: not seen, seconds=seconds)

    # Trouble.

    async def too_many(self, retry_after: int, method: str | None = None, times: int | None = 1) -> None:
        """The next calls are answered 429."""
        description = f"Too Many Requests: retry after {retry_after}"
        fault = wire.Fault(kind="answer", status=429, description=description, retry_after=retry_after)
        await self.order(wire.Order(fault=fault, method=method, times=times))

    async def fails(
        self,
        status: int = 502,
        method: str | None = None,
        times: int | None = 1,
        *,
        after: bool = False,
        page: bool = False,
    ) -> None:
        """The next calls are answered 5xx, in JSON or as a proxy's ``page``; ``after`` they took effect."""
        fault = wire.Fault(kind="page" if page else "answer", status=status)
        await self.order(wire.Order(fault=fault, method=method, times=times, after=after))

    async def drops(self, method: str | None = None, times: int | None = 1, *, after: bool = False) -> None:
        """The connection of the next calls is reset; ``after`` they took effect."""
        await self.order(wire.Order(fault=wire.Fault(kind="drop"), method=method, times=times, after=after))

    async def hangs(
        self, seconds: float, method: str | None = None, times: int | None = 1, *, after: bool = False
    ) -> None:
        """The next calls take so long, before or ``after`` taking effect; who hangs up changes nothing."""
        fault = wire.Fault(kind="hang", seconds=seconds)
        await self.order(wire.Order(fault=fault, method=method, times=times, after=after))

    async def holds(self, method: str, times: int | None = 1, *, after: bool = False) -> None:
        """The next calls are held, before or ``after`` taking effect, until ``releases``."""
        await self.order(wire.Order(fault=wire.Fault(kind="hold"), method=method, times=times, after=after))

    async def held(self, method: str, *, since: int = 0, seconds: float = SECONDS) -> Call:
        """The newest call of a method that has not been answered, waited for."""

        async def look() -> list[Call]:
            return [call for call in await self.calls(method, since=since) if call.ended is None]

        return (await self.until(look, seconds=seconds))[-1]

    async def releases(self) -> None:
        """The calls that are held go on."""
        await self._do("release", 0)

    async def refuses(
        self,
        method: str | None,
        status: int = 404,
        description: str = "Not Found: method not found",
        *,
        times: int | None = None,
        having: str | None = None,
        saying: str = "",
    ) -> None:
        """Calls are refused, until ``obliges`` unless ``times`` says otherwise; which of them: see ``Order``."""
        fault = wire.Fault(kind="answer", status=status, description=description)
        await self.order(wire.Order(fault=fault, method=method, times=times, having=having, saying=saying))

    async def refuses_parse_mode(self) -> None:
        """Any parse mode is refused from now on."""
        await self.refuses(None, 400, "Bad Request: unsupported parse_mode", having="parse_mode")

    async def order(self, order: wire.Order) -> None:
        """Any fault."""
        await self._do("orders", order)

    async def obliges(self) -> None:
        """Forget every fault that was ordered."""
        (await self._http.delete("/control/orders")).raise_for_status()

    async def limits(self, limits: Limits = wire.DOCUMENTED) -> None:
        """Turn flood control on, or off with ``Limits()``; counts anew."""
        await self._do("limits", limits, "PUT")

    async def query_seconds(self, seconds: float) -> None:
        """How long callback queries can be answered; 0 makes all of them stale."""
        await self._do("query-seconds", wire.Passing(seconds=seconds), "PUT")

    async def passes(self, seconds: float) -> None:
        """Time passes at once: taps grow stale, messages old, flood windows empty."""
        await self._do("passes", wire.Passing(seconds=seconds))

    async def revoke(self) -> str:
        """Have the bot's token be another one, as @BotFather does; return it."""
        self.token = f"{self.bot_id}:AA{secrets.token_urlsafe(24)}"
        _content(await self._http.post("/control/token", content=self.token))
        return self.token

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Nothing is answered or delivered; what is asked meanwhile is answered afterwards."""
        await self._do("pause", 0)
        try:
            yield
        finally:
            await self._do("resume", 0)

    async def _made(self, model: type[Model], path: str, asked: wire.Wire | int) -> Model:
        return model.model_validate_json(await self._do(path, asked))

    async def _do(self, path: str, asked: wire.Wire | int, verb: str = "POST") -> bytes:
        body = str(asked) if isinstance(asked, int) else asked.model_dump_json()
        return _content(await self._http.request(verb, f"/control/{path}", content=body))

    async def _get(self, path: str) -> bytes:
        return _content(await self._http.get(f"/control/{path}"))


def _content(answer: httpx.Response) -> bytes:
    assert answer.is_success, f"the server says {answer.status_code}: {answer.text}"
    return answer.content


@asynccontextmanager
async def telegram_server(
    *, token: str | None = None, port: int = 0, host: str = "127.0.0.1"
) -> AsyncIterator[Telegram]:
    """Start a server in a process of its own; it ends with the block, at the latest with this process."""
    arguments = ["--host", host, "--port", str(port), *([] if token is None else ["--token", token])]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bot.telegram_server",
        *arguments,
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        async with asyncio.timeout(30):
            line = await process.stdout.readline()
        assert line, "the server ended before it listened"
        said = json.loads(line)
        async with httpx.AsyncClient(base_url=said["url"], timeout=150, trust_env=False) as http:
            yield Telegram(said["url"], said["token"], http)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
