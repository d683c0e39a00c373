"""The state machine: each refusal by name, quorum by distinct people, and no way out of a final state."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from sys import maxunicode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from wingman_core.approval import (
    Decision,
    Request,
    Status,
    approve,
    cancel,
    decision_digest,
    expire,
    initial,
    person_key,
    reject,
    replay,
    status_at,
)
from wingman_core.characters import INVISIBLE
from wingman_core.errors import ApprovalRefused, CanonicalError, Code

START = datetime(2025, 6, 1, 12, tzinfo=UTC)
END = START + timedelta(hours=1)
PEOPLE = ["Ada", "ADA", " ada ", "\N{FULLWIDTH LATIN CAPITAL LETTER A}da", "A\u200bda", "Ada\u3164", "Grace", "Edsger"]


def request(people: int = 1, **changes: object) -> Request:
    first = initial(
        request_id="apr_1", worker="deploy-bot", requested_by="Barbara", people_needed=people, expires_at=END
    )
    return replace(first, **changes)  # type: ignore[arg-type]


def yes(person: str, at: datetime = START) -> Decision:
    return Decision(person, approve=True, at=at, channel="cli")


def no(person: str, at: datetime = START) -> Decision:
    return Decision(person, approve=False, at=at, channel="telegram", note="not today")


def code_of(step: Callable[[], Request]) -> Code:
    with pytest.raises(ApprovalRefused) as refusal:
        step()
    assert refusal.value.details["id"] == "apr_1"
    assert refusal.value.hint
    return refusal.value.code


def test_nobody_to_ask_means_approved_at_once():
    assert request(0).status is Status.AUTO_APPROVED
    assert request(1).status is Status.PENDING
    with pytest.raises(ValueError, match="negative"):
        request(-1)


def test_one_person_of_one_approves():
    approved = approve(request(), yes("Ada"))
    assert approved.status is Status.APPROVED
    assert approved.approvers == (yes("Ada"),)


def test_two_people_of_two_approve():
    first = approve(request(2), yes("Ada"))
    assert first.status is Status.PENDING
    assert approve(first, yes("Grace")).status is Status.APPROVED


@pytest.mark.parametrize("person", PEOPLE[:6])
def test_one_person_counts_once_in_whatever_spelling(person: str):
    first = approve(request(2), yes("Ada"))
    assert code_of(lambda: approve(first, yes(person))) is Code.APPROVAL_TWICE
    assert code_of(lambda: reject(first, no(person))) is Code.APPROVAL_TWICE


def test_one_rejection_rejects_whoever_approved_before():
    rejected = reject(approve(request(3), yes("Ada")), no("Grace"))
    assert rejected.status is Status.REJECTED
    assert rejected.decisions == (yes("Ada"), no("Grace"))
    assert rejected.approvers == (yes("Ada"),)


@pytest.mark.parametrize("person", ["deploy-bot", "DEPLOY-BOT", "Barbara", " barbara", "Deploy-\u200bbot"])
def test_nobody_decides_on_their_own_request(person: str):
    assert code_of(lambda: approve(request(), yes(person))) is Code.APPROVAL_SELF
    assert code_of(lambda: reject(request(), no(person))) is Code.APPROVAL_SELF


@pytest.mark.parametrize("person", ["deploy-bot", "Barbara", "BARBARA"])
def test_who_asked_can_cancel(person: str):
    assert cancel(request(), person, START).status is Status.CANCELLED


def test_nobody_else_can_cancel():
    assert code_of(lambda: cancel(request(), "Ada", START)) is Code.PERSON_MISMATCH


def test_the_expiry_itself_is_too_late():
    late, last = END, END - timedelta(microseconds=1)
    assert code_of(lambda: approve(request(), yes("Ada", late))) is Code.APPROVAL_EXPIRED
    assert code_of(lambda: reject(request(), no("Ada", late))) is Code.APPROVAL_EXPIRED
    assert code_of(lambda: cancel(request(), "Barbara", late)) is Code.APPROVAL_EXPIRED
    assert approve(request(), yes("Ada", last)).status is Status.APPROVED
    assert (status_at(request(), last), status_at(request(), late)) == (Status.PENDING, Status.EXPIRED)
    assert expire(request(), last) == request()
    assert expire(request(), late) == replace(request(), status=Status.EXPIRED)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PENDING])
def test_a_final_state_is_never_left(status: Status):
    final = request(status=status)
    code = Code.APPROVAL_EXPIRED if status is Status.EXPIRED else Code.APPROVAL_DECIDED
    for step in (
        lambda: approve(final, yes("Ada")),
        lambda: reject(final, no("Ada")),
        lambda: cancel(final, "Barbara", START),
    ):
        with pytest.raises(ApprovalRefused) as refusal:
            step()
        assert refusal.value.code is code
        assert refusal.value.details["status"] == status.value
    assert expire(final, END + timedelta(days=1)) == final


def test_a_decision_that_says_the_opposite_is_a_bug():
    with pytest.raises(ValueError, match="opposite"):
        approve(request(), no("Ada"))
    with pytest.raises(ValueError, match="opposite"):
        reject(request(), yes("Ada"))


@pytest.mark.parametrize("name", ["", " ", "\n", "\u200b\u2060", "\u00a0", "\u3164 \ufe0f"])
def test_a_person_needs_a_name(name: str):
    with pytest.raises(ValueError, match="name"):
        person_key(name)


def test_what_nobody_can_see_is_no_part_of_a_name():
    for character in INVISIBLE:
        assert person_key(f"A{character}da{character}") == person_key("Ada")
        with pytest.raises(ValueError, match="name"):
            person_key(character)


def test_whatever_can_be_seen_is_a_name():
    for point in range(maxunicode + 1):
        character = chr(point)
        if character.isprintable() and not character.isspace() and character not in INVISIBLE:
            assert person_key(character)


@given(st.text(min_size=1))
@example("Y\N{MACRON}")
def test_a_key_is_its_own_key(name: str):
    try:
        key = person_key(name)
    except ValueError:
        return
    assert person_key(key) == person_key(f" {name}\u200d ") == key


class Life(RuleBasedStateMachine):
    """Any people, any steps, any times: compared with what they may do."""

    @initialize(people=st.integers(0, 3))
    def ask(self, people: int) -> None:
        self.request = request(people)
        self.now = START
        self.final: Request | None = None

    def step(self, change: Callable[[], Request]) -> None:
        before = self.request
        try:
            self.request = change()
        except ApprovalRefused:
            assert self.request is before
        else:
            assert before.status is Status.PENDING or self.request == before

    @rule(minutes=st.integers(0, 20))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(person=st.sampled_from([*PEOPLE, "Barbara", "deploy-bot"]))
    def approve(self, person: str) -> None:
        self.step(lambda: approve(self.request, yes(person, self.now)))

    @rule(person=st.sampled_from([*PEOPLE, "Barbara", "deploy-bot"]))
    def reject(self, person: str) -> None:
        self.step(lambda: reject(self.request, no(person, self.now)))

    @rule(person=st.sampled_from(["Ada", "Barbara", "deploy-bot"]))
    def cancel(self, person: str) -> None:
        self.step(lambda: cancel(self.request, person, self.now))

    @invariant()
    def replays(self) -> None:
        undecided = self.request.status in (Status.CANCELLED, Status.EXPIRED)
        status = Status.PENDING if undecided else self.request.status
        assert replay(self.request) == replace(self.request, status=status)

    @rule()
    def expire(self) -> None:
        self.step(lambda: expire(self.request, self.now))

    @invariant()
    def a_final_state_stays(self) -> None:
        if self.final is not None:
            assert self.request == self.final
        elif self.request.status is not Status.PENDING:
            self.final = self.request

    @invariant()
    def decisions_are_of_distinct_others_in_time(self) -> None:
        keys = [person_key(decision.person) for decision in self.request.decisions]
        assert len(set(keys)) == len(keys)
        assert not {"barbara", "deploy-bot"} & set(keys)
        assert all(decision.at < END for decision in self.request.decisions)

    @invariant()
    def the_quorum_is_exact(self) -> None:
        approvals, needed = len(self.request.approvers), self.request.people_needed
        match self.request.status:
            case Status.APPROVED:
                assert approvals == needed > 0
            case Status.AUTO_APPROVED:
                assert approvals == needed == 0
            case Status.REJECTED:
                assert len(self.request.decisions) == approvals + 1
            case Status.PENDING | Status.EXPIRED | Status.CANCELLED:
                assert approvals < needed


TestLife = Life.TestCase

COMMANDS = [("apr_1.0", "a" * 64, "b" * 64), ("apr_1.1", "c" * 64, "d" * 64)]
DECIDED = approve(approve(request(2), yes("Ada")), yes("Grace", START + timedelta(minutes=1)))


def test_the_digest_of_a_decision_is_for_good():
    record = (
        '{"commands":['
        f'{{"approval_id":"apr_1.0","operation_digest":"{"a" * 64}","target_digest":"{"b" * 64}"}},'
        f'{{"approval_id":"apr_1.1","operation_digest":"{"c" * 64}","target_digest":"{"d" * 64}"}}],'
        '"decisions":['
        '{"approve":true,"at":"2025-06-01T12:00:00.000000Z","channel":"cli","note":"","person":"Ada"},'
        '{"approve":true,"at":"2025-06-01T12:01:00.000000Z","channel":"cli","note":"","person":"Grace"}],'
        '"expires_at":"2025-06-01T13:00:00.000000Z","id":"apr_1","people_needed":2,"requested_by":"Barbara",'
        '"status":"APPROVED","worker":"deploy-bot"}'
    )
    digest = hashlib.sha256(b"wingman/decision/v1\0" + record.encode()).hexdigest()
    assert decision_digest(DECIDED, COMMANDS) == digest
    elsewhere = timezone(timedelta(hours=2))
    moved = replace(DECIDED, expires_at=END.astimezone(elsewhere))
    assert decision_digest(moved, COMMANDS) == digest


@pytest.mark.parametrize(
    ("changed", "commands"),
    [
        (replace(DECIDED, id="apr_2"), COMMANDS),
        (replace(DECIDED, worker="else"), COMMANDS),
        (replace(DECIDED, requested_by="else"), COMMANDS),
        (replace(DECIDED, status=Status.REJECTED), COMMANDS),
        (replace(DECIDED, people_needed=1), COMMANDS),
        (replace(DECIDED, expires_at=END + timedelta(microseconds=1)), COMMANDS),
        (replace(DECIDED, decisions=DECIDED.decisions[:1]), COMMANDS),
        (replace(DECIDED, decisions=DECIDED.decisions[::-1]), COMMANDS),
        (replace(DECIDED, decisions=(replace(yes("Ada"), note="sure"), DECIDED.decisions[1])), COMMANDS),
        (replace(DECIDED, decisions=(replace(yes("Ada"), channel="api"), DECIDED.decisions[1])), COMMANDS),
        (replace(DECIDED, decisions=(replace(yes("Ada"), approve=False), DECIDED.decisions[1])), COMMANDS),
        (DECIDED, COMMANDS[:1]),
        (DECIDED, COMMANDS[::-1]),
        (DECIDED, []),
        (DECIDED, [("apr_1.0", "b" * 64, "a" * 64), COMMANDS[1]]),
    ],
)
def test_whatever_is_rewritten_changes_the_digest(changed: Request, commands: list[tuple[str, str, str]]):
    assert decision_digest(changed, commands) != decision_digest(DECIDED, COMMANDS)


def test_a_time_without_a_zone_has_no_digest():
    with pytest.raises(CanonicalError, match="zone"):
        decision_digest(request(expires_at=datetime(2025, 6, 1)), [])  # noqa: DTZ001 - the point of it
