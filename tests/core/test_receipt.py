"""A receipt holds with the public key alone; with any part changed, swapped or dropped it does not."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.approval import DECISION_DOMAIN, Decision, Request, Status, decision_digest, decision_document
from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.canonical import digest
from wingman_core.checkpoint import Checkpoint, origin_of, sign_checkpoint
from wingman_core.claims import Decider
from wingman_core.errors import Code, LogCorrupt
from wingman_core.notes import verifier_key_of
from wingman_core.proofs import inclusion_proof, proof_text
from wingman_core.receipt import FORMAT, check_receipt
from wingman_core.translog import Frontier

ORIGIN = origin_of("test", "log1")
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
KEYS = [verifier_key_of(ORIGIN, PRIVATE)]
AT = datetime(2026, 1, 1, tzinfo=UTC)
ID = f"apr_{'a' * 26}"
SAID_AT = AT - timedelta(seconds=59.75)
ALICE = Decision("alice", approve=True, at=SAID_AT, channel="api")
REQUEST = Request(ID, "agent-7", "agent-7", Status.APPROVED, 1, AT, (ALICE,))


def deciders(*decisions: Decision) -> tuple[Decider, ...]:
    """What a token, and its INTENT, say of the people who approved."""
    return tuple(Decider(name=each.person, at=int(each.at.timestamp()), via=each.channel) for each in decisions)


COMMANDS = [(f"{ID}.0", "a" * 64, "b" * 64), (f"{ID}.1", "c" * 64, "d" * 64)]
INTENT = AuditRecord(
    kind=RecordKind.INTENT,
    environment="test",
    created_at="2026-01-01T00:00:00.000000Z",
    execution_id="exe_1",
    approval_id=COMMANDS[0][0],
    jti="jti-1",
    worker="agent-7",
    command="docker restart web",
    operation_digest=COMMANDS[0][1],
    target_digest=COMMANDS[0][2],
    decision_digest=decision_digest(REQUEST, COMMANDS),
    deciders=deciders(ALICE),
    token_hash="e" * 64,
    client="spiffe://wingman/test/api",
)
RESULT = INTENT.concluded(RecordKind.RESULT, "SUCCEEDED", "2026-01-01T00:00:01.000000Z", exit_code=0, duration_ms=900)
OTHER = replace(INTENT, execution_id="exe_2", approval_id=COMMANDS[1][0], jti="jti-2")
REFUSED = AuditRecord(
    kind=RecordKind.REFUSED, environment="test", created_at="2026-01-01T00:00:02.000000Z", reason="TOKEN_SPENT"
)
STORY = (REFUSED, INTENT, OTHER, RESULT, REFUSED)


def receipt(
    records: tuple[AuditRecord, ...] = STORY, told: tuple[int, ...] = (1, 3), request: Request = REQUEST
) -> dict[str, Any]:
    """The receipt over the records at these positions of a log of ``records``."""
    frontier, nodes = Frontier(), {}
    for index, record in enumerate(records):
        nodes[0, index] = record.leaf_hash()
        frontier, completed = frontier.append(record.leaf_hash())
        nodes |= {(node.level, node.index): node.hash for node in completed}
    note = sign_checkpoint(Checkpoint(ORIGIN, frontier.size, frontier.root()), ORIGIN, PRIVATE)
    return {
        "format": FORMAT,
        "request": json.loads(json.dumps(decision_document(request, COMMANDS))),
        "log": [
            {
                "record": records[index].to_bytes().decode(),
                "proof": proof_text(index, inclusion_proof(index, frontier.size, nodes), note),
            }
            for index in told
        ],
        "shown": {"task_name": "Restart"},
    }


def test_it_proves_what_ran_for_whom_and_who_said_so():
    checked = check_receipt(json.dumps(receipt()), KEYS)
    assert (checked.intent, checked.intent_position) == (INTENT, 1)
    assert (checked.outcome, checked.outcome_position) == (RESULT, 3)
    assert checked.request.decisions[0].person == "alice"
    assert checked.checkpoint.size == len(STORY)


UNKNOWN = INTENT.concluded(RecordKind.RECONCILED, "UNKNOWN", "2026-01-01T00:00:03.000000Z", evidence='{"said":"x"}')
SETTLED = INTENT.concluded(
    RecordKind.SETTLED, "FAILED", "2026-01-02T00:00:00.000000Z", evidence='{"by":"alice","note":"it never ran"}'
)


def test_what_a_person_settled_is_proven_too():
    checked = check_receipt(json.dumps(receipt((INTENT, UNKNOWN, SETTLED), (0, 1, 2))), KEYS)
    assert (checked.outcome, checked.settlement) == (UNKNOWN, SETTLED)


@pytest.mark.parametrize(
    ("story", "told"),
    [((INTENT, UNKNOWN, RESULT), (0, 1, 2)), ((INTENT, RESULT, SETTLED), (0, 1, 2)), ((INTENT, SETTLED), (0, 1))],
)
def test_a_story_that_cannot_be_has_no_receipt(story: tuple[AuditRecord, ...], told: tuple[int, ...]):
    with pytest.raises(LogCorrupt) as refused:
        check_receipt(json.dumps(receipt(story, told)), KEYS)
    assert refused.value.code is Code.RECEIPT_INVALID


def test_an_execution_that_still_runs_has_a_receipt_too():
    checked = check_receipt(json.dumps(receipt(told=(1,))), KEYS)
    assert (checked.outcome, checked.outcome_position) == (None, None)


def test_what_was_shown_is_not_covered():
    changed = receipt() | {"shown": {"task_name": "Something else"}}
    assert check_receipt(json.dumps(changed), KEYS).intent == INTENT


Change = Callable[[dict[str, Any]], object]

CHANGES: dict[str, tuple[Change, str]] = {
    "another decider": (lambda r: r["request"]["decisions"][0].update(person="mallory"), "not the one that the INTENT"),
    "a decision less": (lambda r: r["request"]["decisions"].clear(), "not the one that the INTENT"),
    "another quorum": (lambda r: r["request"].update(people_needed=2), "not the one that the INTENT"),
    "another command": (lambda r: r["request"]["commands"].pop(), "not the one that the INTENT"),
    "the records swapped": (lambda r: r["log"].reverse(), "the first record is no INTENT"),
    "the outcome alone": (lambda r: r["log"].pop(0), "the first record is no INTENT"),
    "the INTENT twice": (lambda r: r["log"].__setitem__(1, r["log"][0]), "the second record is no outcome"),
    "no record": (lambda r: r["log"].clear(), "log"),
    "a third record": (lambda r: r["log"].append(r["log"][1]), "log"),
    "proofs swapped": (
        lambda r: r["log"][0].update(proof=r["log"][1]["proof"]),
        "does not lead to the checkpoint's root",
    ),
    "a field more": (lambda r: r.update(signature="x"), "signature"),
    "a field less": (lambda r: r["request"].pop("status"), "status"),
    "another format": (lambda r: r.update(format="wingman-receipt/2"), "format"),
    "a number for text": (lambda r: r["request"].update(people_needed="1"), "people_needed"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_receipt_does_not_hold(name: str):
    change, reason = CHANGES[name]
    changed = receipt()
    change(changed)
    with pytest.raises(LogCorrupt, match=reason):
        check_receipt(json.dumps(changed), KEYS)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (replace(RESULT, execution_id="exe_2"), "no INTENT waits for this outcome"),
        (replace(RESULT, worker="agent-8"), "not of what INTENT 1 approved"),
        (replace(RESULT, target_digest="f" * 64), "not of what INTENT 1 approved"),
        (replace(RESULT, duration_ms=-1), "less than no time"),
        (REFUSED, "no outcome of the first"),
    ],
)
def test_an_outcome_of_something_else_does_not_hold(outcome: AuditRecord, reason: str):
    with pytest.raises(LogCorrupt, match=reason):
        check_receipt(json.dumps(receipt((REFUSED, INTENT, OTHER, outcome), (1, 3))), KEYS)


@pytest.mark.parametrize(
    "intent",
    [
        replace(INTENT, approval_id=COMMANDS[1][0]),  # the other command's approval
        replace(INTENT, operation_digest="f" * 64),
        replace(INTENT, target_digest="f" * 64),
        replace(INTENT, worker="agent-8"),
    ],
)
def test_what_ran_must_be_what_was_approved(intent: AuditRecord):
    with pytest.raises(LogCorrupt, match="none of the commands that were approved"):
        check_receipt(json.dumps(receipt((intent,), (0,))), KEYS)


BOB = replace(ALICE, person="bob", channel="telegram")
NOBODY = replace(REQUEST, status=Status.AUTO_APPROVED, people_needed=0, decisions=())
AGREED: dict[str, Request] = {
    "one person": REQUEST,
    "two people": replace(REQUEST, people_needed=2, decisions=(ALICE, BOB)),
    "nobody was needed": NOBODY,
}
UNDECIDED: dict[str, tuple[Request, tuple[Decider, ...], str]] = {
    "rejected": (
        replace(REQUEST, status=Status.REJECTED, decisions=(replace(ALICE, approve=False),)),
        (),
        "the request is REJECTED",
    ),
    "nobody decided": (
        replace(REQUEST, status=Status.PENDING, people_needed=2, decisions=()),
        (),
        "the request is PENDING",
    ),
    "expired": (replace(REQUEST, status=Status.EXPIRED, decisions=()), (), "the request is EXPIRED"),
    "cancelled": (replace(REQUEST, status=Status.CANCELLED, decisions=()), (), "the request is CANCELLED"),
    "a rejection called an approval": (
        replace(REQUEST, decisions=(replace(ALICE, approve=False),)),
        (),
        "the decisions make it REJECTED, not APPROVED",
    ),
    "a rejection among approvals": (
        replace(REQUEST, people_needed=2, decisions=(ALICE, replace(BOB, approve=False), replace(BOB, person="carol"))),
        deciders(ALICE, replace(BOB, person="carol")),
        "the request is REJECTED already",
    ),
    "too few people": (
        replace(REQUEST, people_needed=2),
        deciders(ALICE),
        "the decisions make it PENDING, not APPROVED",
    ),
    "one person twice": (
        replace(REQUEST, people_needed=2, decisions=(ALICE, replace(BOB, person="ALICE"))),
        deciders(ALICE, replace(BOB, person="ALICE")),
        "this person has decided",
    ),
    "one's own request": (
        replace(REQUEST, decisions=(replace(ALICE, person="agent-7"),)),
        deciders(replace(ALICE, person="agent-7")),
        "nobody decides on their own request",
    ),
    "a person without a name": (
        replace(REQUEST, decisions=(replace(ALICE, person=" "),)),
        deciders(ALICE),
        "a person needs a name",
    ),
    "decided when it was over": (
        replace(REQUEST, decisions=(replace(ALICE, at=AT),)),
        deciders(replace(ALICE, at=AT)),
        "the request expired",
    ),
    "automatic, though people were needed": (
        replace(REQUEST, status=Status.AUTO_APPROVED, decisions=()),
        (),
        "the decisions make it PENDING, not AUTO_APPROVED",
    ),
    "fewer than nobody": (replace(NOBODY, people_needed=-1), (), "people_needed is negative"),
    "other people in the INTENT": (
        REQUEST,
        deciders(replace(ALICE, person="mallory"), replace(ALICE, person="eve")),
        "names other people",
    ),
    "nobody in the INTENT": (REQUEST, (), "names other people"),
    "somebody in the INTENT of an automatic one": (NOBODY, deciders(ALICE), "names other people"),
    "another time": (REQUEST, deciders(replace(ALICE, at=AT)), "names other people"),
    "another channel": (REQUEST, deciders(replace(ALICE, channel="telegram")), "names other people"),
}


@pytest.mark.parametrize("name", AGREED)
def test_enough_people_or_a_policy_that_asks_nobody(name: str):
    request = AGREED[name]
    # A set has no order: the token may name its people in any.
    said_so = deciders(*reversed(request.approvers))
    intent = replace(INTENT, decision_digest=decision_digest(request, COMMANDS), deciders=said_so)
    checked = check_receipt(json.dumps(receipt((intent,), (0,), request)), KEYS)
    assert checked.request.status == request.status


@pytest.mark.parametrize("name", UNDECIDED)
def test_an_execution_that_no_decision_allows_has_no_receipt(name: str):
    """The log holds what the API claimed: signed, and with the digest of a record that approves nothing (I18)."""
    request, named, reason = UNDECIDED[name]
    intent = replace(INTENT, decision_digest=decision_digest(request, COMMANDS), deciders=named)
    with pytest.raises(LogCorrupt, match=reason) as refused:
        check_receipt(json.dumps(receipt((intent,), (0,), request)), KEYS)
    assert refused.value.code is Code.RECEIPT_INVALID


@pytest.mark.parametrize("text", ["", "soon", "2026-01-01T00:00:00.000000", "2026-01-01T00:00:00Z", "2026-01-01"])
@pytest.mark.parametrize("field", ["expires_at", "at"])
def test_a_time_has_one_form(field: str, text: str):
    changed = receipt((INTENT,), (0,))
    told = changed["request"] if field == "expires_at" else changed["request"]["decisions"][0]
    told[field] = text
    intent = replace(INTENT, decision_digest=digest(DECISION_DOMAIN, changed["request"]))
    changed["log"] = receipt((intent,), (0,))["log"]
    with pytest.raises(LogCorrupt, match="no time"):
        check_receipt(json.dumps(changed), KEYS)


def test_a_stranger_cannot_sign_one():
    with pytest.raises(LogCorrupt):
        check_receipt(json.dumps(receipt()), [verifier_key_of(ORIGIN, Ed25519PrivateKey.generate())])


@pytest.mark.parametrize("text", ["", "[]", "{", "\ud800", "null", "{}" * 3])
def test_what_is_no_receipt_is_refused(text: str):
    with pytest.raises(LogCorrupt) as refused:
        check_receipt(text.encode("utf-8", "surrogatepass"), KEYS)
    assert refused.value.code is Code.RECEIPT_INVALID


@given(st.data())
def test_no_changed_character_of_a_record_is_believed(data: st.DataObject):
    changed = receipt()
    entry = changed["log"][data.draw(st.integers(0, 1))]
    at = data.draw(st.integers(0, len(entry["record"]) - 1))
    other = data.draw(st.characters().filter(lambda character: character != entry["record"][at]))
    entry["record"] = entry["record"][:at] + other + entry["record"][at + 1 :]
    with pytest.raises(LogCorrupt):
        check_receipt(json.dumps(changed), KEYS)
