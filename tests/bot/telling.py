"""Stories of a bot that is killed between every two steps of a delivery and of a decision, and started again.

No event is missed, no request has two cards, no decision is made twice. Each story is told again and again, killed one
step later each time, until it ends by itself; and the life after a death is killed at the same step, too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

from tests.api.conftest import eventually
from tests.api.fake_gateway import people
from tests.bot.killing import Trap, mortal
from tests.bot.running import Office, following
from tests.bot.telegram_server.wire import Message, Person

RESTART = "docker restart --time 5 web"
REMOVE = "docker rm --force --volumes web"
DEATHS = 2
"""In one telling."""


class Telling:
    """One story of one request, told over the deaths of bots."""

    def __init__(self, office: Office, at: int, *, from_the_start: bool) -> None:
        self.office = office
        self.at = at
        self.from_the_start = from_the_start
        self.kills: list[str] = []
        self.trap = Trap(None)

    async def tell(self, story: Callable[["Telling"], Awaitable[str]]) -> str:
        """Tell it; a bot that dies has a successor at once."""
        task: asyncio.Task[str] | None = None
        while task is None or not task.done():
            self.trap = Trap(self.at if len(self.kills) < DEATHS else None, is_set=self.from_the_start)
            async with mortal(self.office, self.trap) as bot:
                if not self.from_the_start:
                    await following(bot)
                    self.trap.is_set = True
                task = task or asyncio.create_task(self._told(story))
                death = asyncio.create_task(self.trap.dead.wait())
                await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
                death.cancel()
                with suppress(asyncio.CancelledError):
                    await death
                if self.trap.dead.is_set():
                    self.kills.append(self.trap.steps[-1])
        return await task

    async def _told(self, story: Callable[["Telling"], Awaitable[str]]) -> str:
        async with asyncio.timeout(240):
            return await story(self)

    async def approves(self, person: Person, request_id: str, enough: str) -> None:
        """Tap whatever approves until the card says enough."""
        while True:
            card = await self.office.card(request_id, seconds=90)
            if enough in card.text:
                return
            again = [button for button in card.buttons if button.text.startswith("Yes, approve")]
            label = "Yes, approve" if again else "Approve"
            with suppress(AssertionError):  # the card is another one already
                tap = await self.office.telegram.taps(person, card, label)
                await self.office.telegram.answer(tap, seconds=90)  # every tap is answered, whoever died meanwhile
            if label == "Yes, approve" or "Approve" in [b.text for b in card.buttons]:
                await self._changed(request_id, card)

    async def _changed(self, request_id: str, before: Message) -> None:
        """Wait for the card to say something else, but not for ever: an edit may find nothing to change."""
        with suppress(TimeoutError):
            await self.office.telegram.message(
                self.office.group,
                lambda m: bool(m.buttons) and request_id in m.text and len(m.versions) > len(before.versions),
                seconds=0.5,
            )


Story = Callable[[Telling], Awaitable[str]]


async def simple(telling: Telling) -> str:
    """One person approves; it runs."""
    office = telling.office
    request_id = await office.asks(task_name=f"simple {telling.at}")
    await telling.approves(office.alice, request_id, "✅ Approved")
    assert (await office.api.execute(request_id)).status_code == 202
    await office.card(request_id, "🏁 Finished", seconds=90)
    return request_id


async def twice(telling: Telling) -> str:
    """HIGH risk: two taps of one person."""
    office = telling.office
    request_id = await office.asks(task_name=f"twice {telling.at}", commands=[REMOVE])
    await telling.approves(office.alice, request_id, "✅ Approved")
    return request_id


async def quorum(telling: Telling) -> str:
    """Two people."""
    office = telling.office
    office.api.gateway.verdicts[RESTART] = people(2)
    request_id = await office.asks(task_name=f"quorum {telling.at}")
    await telling.approves(office.alice, request_id, "(1 of 2 so far)")
    await telling.approves(office.bob, request_id, "✅ Approved")
    return request_id


async def long(telling: Telling) -> str:
    """A card with a document, decided elsewhere."""
    office = telling.office
    request_id = await office.asks(task_name=f"long {telling.at}", instruction="word " * 2000)
    await office.telegram.message(
        office.group, lambda m: bool(m.document and m.buttons and request_id in m.text), seconds=30
    )
    assert (await office.api.decide("bob", request_id, "reject")).status_code == 200
    await office.telegram.message(office.group, lambda m: request_id in m.text and "⛔ Rejected" in m.text, seconds=90)
    return request_id


async def renewed(telling: Telling) -> str:
    """A card with a document whose request changes, decided elsewhere."""
    office, before, after = telling.office, "word " * 2000, "another " * 1500
    request_id = await office.asks(task_name=f"renewed {telling.at}", instruction=before)

    def is_file(message: Message) -> bool:
        return bool(message.document and message.buttons and request_id in message.text)

    def is_renewed(message: Message) -> bool:
        return is_file(message) and message.id > first.id

    shown = first = await office.telegram.message(office.group, is_file, seconds=90)
    for statement in (
        "ALTER TABLE approval_request DISABLE TRIGGER USER",
        f"UPDATE approval_request SET instruction = '{after}' WHERE id = '{request_id}'",
        "ALTER TABLE approval_request ENABLE TRIGGER USER",
    ):
        await office.api.sql(statement, role="wingman_owner")
    while shown.document is None or after.strip() not in shown.document.content.decode():
        with suppress(AssertionError):  # its buttons are gone already
            tap = await office.telegram.taps(office.alice, shown, "Approve")
            await office.telegram.answer(tap, seconds=90)
        with suppress(TimeoutError):
            shown = await office.telegram.message(office.group, is_renewed, seconds=0.5)
    assert (await office.api.decide("bob", request_id, "reject")).status_code == 200
    await office.telegram.message(office.group, lambda m: request_id in m.text and "⛔ Rejected" in m.text, seconds=90)
    return request_id


async def typed(telling: Telling) -> str:
    """A command."""
    office = telling.office
    request_id = await office.asks(task_name=f"typed {telling.at}")
    await office.card(request_id, seconds=90)  # what ended before it was announced gets none
    await office.telegram.says(office.alice, office.group, f"/reject {request_id} not on a Friday")
    await office.card(request_id, "⛔ Rejected", seconds=90)
    return request_id


async def killed_at_every_step(office: Office, story: Story, least: int):
    """Tell a story until nobody is killed in it; at least so many kills."""
    async with office.bot() as bot:  # the first look at everything is another story
        await following(bot)
    kills: list[str] = []
    for at in count():
        await office.telegram.forget(office.group)
        telling = Telling(office, at, from_the_start=story is simple)
        request_id = await telling.tell(story)
        cards = await office.cards(request_id)
        assert len(cards) == {renewed: 2}.get(story, 1), (at, telling.kills)
        assert sum(bool(card.buttons) for card in cards) == 1, (at, telling.kills)
        view: dict[str, Any] = (await office.api.call("operator", "GET", f"/approvals/{request_id}")).json()
        decided = [decision["person"] for decision in view["decisions"]]
        assert len(set(decided)) == len(decided) == {quorum: 2}.get(story, 1), (at, telling.kills)
        kills += telling.kills
        if not telling.kills:
            break
    assert len(kills) >= least, kills
    async with office.bot() as bot:  # the last one ended with the story, before it had told how far it was
        await following(bot)
        await eventually(partial(_all_heard, office))


async def _all_heard(office: Office) -> bool | None:
    """True once the bot's cursor is at the newest event, or at the one before that, which may be its own doing."""
    consumer = (await office.api.call("bot", "GET", "/events/consumers/telegram")).json()
    newest = (await office.api.sql("SELECT last FROM event_head"))[0]["last"]
    return True if newest - consumer["cursor"] <= 1 else None
