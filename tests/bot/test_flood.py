"""500 requests within ten seconds, under the limits that Telegram documents, in a group."""

import asyncio
from collections import Counter

from tests.api.conftest import eventually
from tests.bot.running import Office, following
from tests.bot.telegram_server.wire import DOCUMENTED
from tests.bot.virtual_time import VirtualTime
from wingman_bot.bot import Clocks, WingmanBot
from wingman_bot.desk import EDITORS
from wingman_bot.feed import UNSTORED
from wingman_bot.pace import Limits
from wingman_bot.updates import MOST

COUNT = 500
REMOVE = "docker rm --force --volumes web"


class Sizes:
    """How large whatever grows has become."""

    def __init__(self, bot: WingmanBot) -> None:
        self.bot = bot
        self.largest: Counter[str] = Counter()

    def look(self) -> dict[str, int]:
        """How large everything is."""
        bot = self.bot
        own = {"waiting": bot.pace.waiting, "chats": len(bot.pace._chats), "paused": len(bot.pace._paused)}
        own |= {"unstored": bot.ledger.unstored, "notes": len(bot.ledger.notes)}
        own |= {"told": len(bot.gate._told), "answered": len(bot.gate._answered)}
        now = {**own, **bot.desk.sizes(), **bot.updates.sizes()}
        self.largest |= Counter(now)
        return now


async def ask(office: Office, time: VirtualTime) -> float:
    """Have one worker ask for all of it; the seconds that this took."""
    began = time.stops()
    time.passes(began + 10)
    async with await office.api.client("worker") as http:

        async def one(number: int) -> None:
            wish = {"worker_id": "agent-7", "task_name": f"Task {number}", "instruction": "x", "commands": []}
            response = await http.post("/approvals/request", json=wish)
            assert response.status_code == 200, response.text

        for start in range(0, COUNT, 10):
            await asyncio.gather(*(one(number) for number in range(start, start + 10)))
    return time.stops() - began


async def test_all_are_shown_within_the_limits_and_what_is_new_or_decided_does_not_wait(office: Office):
    await office.telegram.limits(DOCUMENTED)
    time = VirtualTime(office.telegram)
    clocks = Clocks(monotonic=time.clock, later=time.later)
    async with office.bot(clocks=clocks, limits=Limits(), WINGMAN_BOT_PENDING_ALERT="5000") as bot:
        bot.updates._bot.session.middleware(time.watched)
        sizes = Sizes(bot)
        async with time.running(sizes.look):
            await following(bot)
            first = await office.asks(task_name="First")
            time.passes(10)
            card = await office.card(first)
            assert await ask(office, time) <= 10
            await known(bot, COUNT + 1)
            assert len(bot.desk._cards) > COUNT - 30, "a group takes few cards in ten seconds"

            # A decision on a card, at once, though nothing else may be sent for now.
            stood = time.stops()
            tap = await office.telegram.taps(office.alice, card, "Approve")
            assert (await office.telegram.answer(tap)).text == "Approved."
            await office.card(first, "✅ Approved")
            assert time.now == stood

            # A new request of high risk, and one of another worker: before all that waits.
            high = await office.asks(commands=[REMOVE], task_name="Urgent")
            other = await office.asks(None, worker_id="agent-9", task_name="Other", commands=[])
            await known(bot, COUNT + 3)
            since = len(await office.telegram.calls())
            time.passes(stood + 300)
            urgent = await office.card(high)
            await office.card(other)
            stood = time.stops()
            sent = [call.parameters["text"] for call in await office.telegram.calls("sendMessage", since=since)]
            places = [next(place for place, text in enumerate(sent) if each in text) for each in (high, other)]
            assert places in ([0, 1], [1, 2]), "at most the card that was being made goes first"
            tap = await office.telegram.taps(office.alice, urgent, "Approve")
            assert "HIGH risk" in ((await office.telegram.answer(tap)).text or "")
            again = await office.telegram.message(office.group, lambda m: any("Yes" in b.text for b in m.buttons))
            tap = await office.telegram.taps(office.alice, again, "Yes, approve")
            assert (await office.telegram.answer(tap)).text == "Approved."
            await office.card(high, "✅ Approved")
            assert time.now == stood
            time.passes(stood + 3)
            asked = await office.says(office.bob, f"/reject {other} no", "Rejected: nothing will run.")
            # It came within three seconds, although cards fill the group for a minute.

            # And all the others in their time.
            time.passes(float("inf"))
            await eventually(lambda: all_shown(bot), 300)
            found = [m for m in await office.telegram.from_bot(office.group) if m.buttons]
            assert len({m.text for m in found}) == len(found) == COUNT + 3
            assert asked.id not in {m.id for m in found}
            assert 60 * COUNT / 20 < time.now < 60 * COUNT / 14, "no faster than allowed, and hardly slower"

        statuses = Counter(call.status for call in await office.telegram.calls())
        assert set(statuses) <= {200, 0}, "no 429 was earned"
        assert_bounded(sizes, shown=len(found))


async def known(bot: WingmanBot, requests: int) -> None:
    """Return once the bot has noted so many requests, those included that it has let go of."""

    async def look() -> bool | None:
        noted = sum(key.startswith("apr_") for key in bot.ledger.notes)
        return True if noted >= requests else None

    await eventually(look, 60)


async def all_shown(bot: WingmanBot) -> bool | None:
    """Whether each request that is not over has its card."""
    return True if bot.desk.waiting == 0 and all("h" in note for note in bot.ledger.notes.values()) else None


def assert_bounded(sizes: Sizes, shown: int) -> None:
    """Nothing has grown beyond what there is to show, and most of it far less."""
    largest, now = sizes.largest, sizes.look()
    assert largest["notes"] <= shown
    assert largest["cards"] <= shown
    assert largest["edits"] <= 2 * shown
    assert largest["queued"] <= shown
    assert largest["busy"] <= EDITORS + 1
    assert largest["waiting"] <= EDITORS + 3, "calls that wait: a card, edits, an answer, an alert"
    assert largest["unstored"] <= UNSTORED + EDITORS + 1
    assert max(largest[each] for each in ("open", "last")) <= MOST
    assert largest["done"] <= 2 * MOST
    assert (largest["chats"], largest["paused"]) == (1, 0)
    assert (largest["told"], largest["answered"], largest["failures"]) == (0, 0, 0)
    assert {now[each] for each in ("cards", "edits", "queued", "busy", "again", "asked_twice", "waiting")} == {0}
