"""A person's word on a request, from a tap or a command to the API and back into words.

Guarantees: what is decided is what was shown: the digest that a tap carries is compared with what the API holds now.
HIGH risk takes two steps by the same person within two minutes. A wish that is delivered twice has one effect, since
it carries its own idempotency key, and one answer: that it was recorded. Whoever comes too late hears who was faster.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from structlog.typing import FilteringBoundLogger

from wingman_bot.api_client import ApiClient
from wingman_bot.buttons import short_digest
from wingman_bot.metrics import Metrics
from wingman_bot.views import Request
from wingman_bot.wording import clock, line, people
from wingman_core.approval import person_key
from wingman_core.errors import Code, Unavailable, WingmanError

SECOND_TAP: Final = 120.0
"""Seconds in which a second step counts."""
REMEMBERED: Final = 1000
Verb = Literal["approve", "reject"]

REFUSALS: Final = {
    Code.APPROVAL_TWICE: "You have decided on this request already; another person is needed.",
    Code.APPROVAL_SELF: "Nobody decides on their own request; another person is needed.",
    Code.APPROVAL_EXPIRED: "Too late: the request has expired. Whoever asked has to ask again.",
    Code.APPROVAL_UNKNOWN: "Wingman knows no such request.",
    Code.PERSON_MISMATCH: "The bot's key does not speak for you: whoever runs Wingman can add you "
    "(wingman keys speaks-for).",
    Code.KEY_INVALID: "The bot's key is no longer good: whoever runs Wingman has to give it a new one.",
    Code.ROLE_MISSING: "The bot's key is not of role service: whoever runs Wingman has to give it another one.",
}
AWAY: Final = "Wingman does not answer. Nothing is known to be decided; try again in a moment."


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a wish: words for the person, and whether it was recorded."""

    text: str
    done: bool


class Decisions:
    """Relays decisions; ``monotonic`` returns seconds that only grow."""

    def __init__(
        self, api: ApiClient, *, monotonic: Callable[[], float], metrics: Metrics, log: FilteringBoundLogger
    ) -> None:
        """Take the collaborators."""
        self._api = api
        self._monotonic = monotonic
        self._metrics = metrics
        self._log = log
        self._armed: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    def arm(self, person: str, request: Request) -> None:
        """Remember a person's first step."""
        key = (person, request.id, short_digest(request))
        self._armed[key] = self._monotonic() + SECOND_TAP
        self._armed.move_to_end(key)
        if len(self._armed) > REMEMBERED:
            self._armed.popitem(last=False)

    def is_armed(self, person: str, request: Request) -> bool:
        """Return whether the person's first step was a moment ago, and for this very content."""
        return self._armed.get((person, request.id, short_digest(request)), 0.0) > self._monotonic()

    def is_first_step(self, person: str, request: Request, *, repeats: bool) -> bool:
        """Return whether an approval is only the first of two steps; ``repeats`` if it repeats the digest.

        Whoever has decided already takes no step: the API gives them the answer to their own wish, or refuses them.
        """
        decided = any(person_key(each.person) == person_key(person) for each in request.decisions)
        return request.is_high and not decided and not (repeats and self.is_armed(person, request))

    def disarm(self, person: str, request: Request) -> None:
        """Forget a person's first step."""
        self._armed.pop((person, request.id, short_digest(request)), None)

    async def decide(self, request: Request, verb: Verb, *, person: str, note: str, once: str) -> Said:
        """Record the word of ``person``; ``once`` names this wish, the same however often it is delivered."""
        try:
            decided = await self._api.decide(request.id, verb, person=person, note=note, once=once)
        except WingmanError as error:
            self._metrics.decided(verb, "unavailable" if isinstance(error, Unavailable) else error.code.value)
            self._log.warning("not_decided", request=request.id, verb=verb, person=person, error=str(error))
            return Said(await self._why_not(error, request.id), done=False)
        self.disarm(person, request)
        self._metrics.decided(verb, "done")
        self._log.info("decided", request=request.id, verb=verb, person=person, status=decided.status)
        return Said(recorded(decided, verb), done=True)

    async def _why_not(self, error: WingmanError, request_id: str) -> str:
        """Return what a refusal means to the person who decided."""
        if isinstance(error, Unavailable):
            return AWAY
        if error.code is Code.APPROVAL_DECIDED:
            return await self._who_was_faster(request_id)
        return REFUSALS.get(error.code, "") or f"{line(error.message)}. {line(error.hint)}"

    async def _who_was_faster(self, request_id: str) -> str:
        try:
            return already(await self._api.request(request_id))
        except WingmanError:
            return "Somebody was faster: the request is decided already."


def recorded(request: Request, verb: Verb) -> str:
    """Return what a decision that counted has led to."""
    if verb == "reject":
        return "Rejected: nothing will run."
    if request.status == "PENDING":
        missing = max(1, request.people_needed - request.people_approved)
        return f"Noted: {request.people_approved} of {request.people_needed}. {people(missing)} more needed."
    return "Approved." if request.commands else "Approved (a sign-off, nothing will run)."


def settled(request: Request, verb: Verb, person: str) -> str:
    """Return what to answer to a wish on a request that is no longer pending: that very wish may have settled it."""
    last = request.decisions[-1] if request.decisions else None
    if last is not None and (last.decision, person_key(last.person)) == (verb, person_key(person)):
        return recorded(request, verb)
    return already(request)


def already(request: Request) -> str:
    """Return what a request that is no longer pending came to, and by whom."""
    last = request.decisions[-1] if request.decisions else None
    if request.status in {"APPROVED", "REJECTED"} and last is not None:
        verb = "rejected" if request.status == "REJECTED" else "approved"
        who = f"{line(last.person)} (through {line(last.channel)})"
        return f"Decided already: {who} {verb} it at {clock(last.decided_at)}."
    match request.status:
        case "EXPIRED":
            return "Too late: the request has expired. Whoever asked has to ask again."
        case "CANCELLED":
            return "Whoever asked has withdrawn the request."
        case "AUTO_APPROVED":
            return "The policy asks nobody for this one."
        case other:
            return f"Decided already: the request is {line(other)}."
