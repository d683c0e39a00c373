"""Cards: everything that a person needs to decide, cut nowhere in silence."""

# ruff: noqa: ANN401 - a view's values are of any kind

from typing import Any

import pytest
from aiogram.utils.formatting import sizeof
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bot.requests import ID, command, decision, execution, request, target
from wingman_bot.buttons import Tap, Wish, content_digest, keyboard, short_digest
from wingman_bot.cards import LONGEST, MOST_ENTITIES, announcement, card
from wingman_bot.details import details
from wingman_bot.wording import line, lines

WHOLE = f"""⏳ Waits for 1 person, until 2026-03-01 12:15:00 UTC

🟡 MEDIUM risk in TEST: agent-7 asks for Restart the web server
Request {ID}
Digest {short_digest(request())}

Command
docker restart --time 10 web
container web, id {"a" * 64}, image nginx:1.27, digest sha256:{"b" * 64}, project shop, running
Effect: web restarts (lifecycle, can be undone)
Expected time: 0 to 10 s to end: web has 10 s, then killed
Stops: web
Ports drop: 80/tcp
Depend on it: proxy
Policy: 1 person, a person decides [lifecycle]

Risk MEDIUM
effect: MEDIUM, lifecycle

Instruction, as the worker wrote it
┃ It leaks memory."""


def text_of(found: Any, *executions: Any) -> str:
    return card(found, {each.execution_id: each for each in executions}, ["alice", "bob"]).body.text


def test_a_whole_card():
    shown = card(request(), {}, ["alice"])
    assert shown.body.text == WHOLE
    assert shown.document is None
    labels = [[button.text for button in row] for row in shown.buttons.inline_keyboard]
    assert labels == [["Approve", "Reject"], ["Details"]]


def test_every_vote_the_dissent_and_who_was_absent():
    dissent = {"source": "wording", "level": "LOW", "reason": "plain words"}
    risk = {
        "level": "HIGH",
        "votes": [{"source": "history", "level": "HIGH", "reason": "3 false claims"}, dissent],
        "dissent": [dissent],
        "absent": [{"source": "model", "reason": "timed out"}],
    }
    text = text_of(request(risk=risk))
    assert "🔴 HIGH risk in TEST" in text
    assert (
        "Risk HIGH\nhistory: HIGH, 3 false claims\nwording: LOW (dissents), plain words\nmodel: absent, timed out"
        in text
    )


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"people_needed": 2}, ["⏳ Waits for 2 people, until 2026-03-01 12:15:00 UTC"]),
        (
            {"people_needed": 3, "people_approved": 1, "decisions": [decision(note="seen it")]},
            [
                "⏳ Waits for 2 people (1 of 3 so far), until 2026-03-01 12:15:00 UTC",
                "alice approved at 12:00:00 UTC (through service): seen it",
            ],
        ),
        (
            {"status": "APPROVED", "decisions": [decision("bob")]},
            ["✅ Approved", "bob approved at 12:00:00 UTC (through service)"],
        ),
        (
            {"status": "REJECTED", "decisions": [decision("bob", "reject", "no\nway")]},
            ["⛔ Rejected: nothing will run", "bob rejected at 12:00:00 UTC (through service): no\\nway"],
        ),
        ({"status": "EXPIRED"}, ["⌛ Expired at 2026-03-01 12:15:00 UTC: nothing will run"]),
        ({"status": "CANCELLED"}, ["↩️ Withdrawn: nothing will run"]),
        ({"status": "AUTO_APPROVED"}, ["✅ Approved by the policy: nobody needs to be asked"]),
        ({"status": "NEW"}, ["In a state that this bot does not know: NEW"]),
    ],
)
def test_where_a_request_stands_is_what_one_reads_first(changes: dict[str, Any], first: list[str]):
    assert text_of(request(**changes)).split("\n\n")[0].split("\n") == first


@pytest.mark.parametrize(
    ("state", "changes", "said"),
    [
        ("RUNNING", {}, "▶️ Running since 12:00:00 UTC"),
        ("SUCCEEDED", {"exit_code": 0, "duration_ms": 1234}, "🏁 Finished with exit code 0 in 1.23 s"),
        ("FAILED", {"exit_code": 7, "duration_ms": 10}, "❌ Failed with exit code 7 in 0.01 s"),
        ("TIMED_OUT", {"duration_ms": 60000}, "⏱ Timed out in 60.00 s"),
        ("UNKNOWN", {}, "❓ Outcome unknown: nobody saw how it ended; a person has to look"),
    ],
)
def test_how_a_command_ran(state: str, changes: dict[str, Any], said: str):
    ran = {**command(), "execution_id": "exe_1"}
    approved = request(status="APPROVED", decisions=[decision()], commands=[ran])
    assert text_of(approved, execution(state, **changes)).split("\n")[:2] == ["✅ Approved", said]
    both = approved.model_copy(update={"commands": (*approved.commands, *request().commands)})
    assert f"\nCommand 1: {said}\n" in text_of(both, execution(state, **changes))


def test_a_sign_off_says_that_nothing_will_run():
    assert "\n\nNo command: a sign-off, nothing will run\n\n" in text_of(request(commands=[]))


def test_what_a_command_touches():
    preview = {
        "targets": [
            target(role="new", id="", name="", reference="job", image="", image_digest="", project="", state=""),
            target(role="fetch", kind="image", id="", name="", reference="web:2", image="", project="", state=""),
            target(name="web-1", privileges=["docker socket mounted"]),
        ],
        "facts": {
            "effect": "destroy",
            "privileges": ["--privileged"],
            "shell": ["sh -c"],
            "mounts": ["/etc:/etc"],
        },
        "blast_radius": {
            "summary": "",
            "reversible": False,
            "stops": [],
            "ports_dropped": [],
            "dependents": [],
            "data_lost": ["volume db"],
        },
    }
    text = text_of(request(commands=[command(**preview)]))
    for each in (
        "container job (new: does not exist yet)",
        f"image web:2 (fetch: does not exist yet), digest sha256:{'b' * 64}",
        f"container web = web-1, id {'a' * 64}, image nginx:1.27, digest sha256:{'b' * 64}, project shop, running",
        "Effect: (destroy, cannot be undone)",
        "Data lost: volume db",
        "Privileges: --privileged, docker socket mounted",
        "Runs a shell: sh -c",
        "Mounts: /etc:/etc",
    ):
        assert f"\n{each}\n" in text


def test_many_objects_are_all_in_the_document_by_their_full_ids():
    ids = [f"{number:064x}" for number in range(1, 41)]
    shown = card(request(commands=[command(targets=[target(id=each) for each in ids])]), {}, ["alice"])
    assert sizeof(shown.body.text) <= LONGEST
    assert shown.document is not None
    whole = shown.document.data.decode()
    assert all(f", id {each}, image nginx:1.27, digest sha256:{'b' * 64}," in whole for each in ids)


def test_who_asked_where_that_is_another():
    assert f"Request {ID}, asked by ci\nDigest" in text_of(request(requested_by="ci"))


def test_the_announcement_is_one_short_line():
    piece = announcement(request(task_name="x\n" * 100))
    assert "\n" not in piece.text
    assert piece.text.startswith(f"🟡 Request {ID} of agent-7: x\\n")
    assert len(piece.text) < 250


def test_a_digest_is_of_all_that_a_decision_is_about():
    base = content_digest(request())
    others = [
        request(worker_id="agent-8"),
        request(requested_by="ci"),
        request(task_name="x"),
        request(instruction="x"),
        request(environment="prd"),
        request(level="HIGH"),
        request(people_needed=2),
        request(commands=[command(text="docker restart web")]),
        request(commands=[{**command(), "target_digest": "e" * 64}]),
        request(commands=[{**command(), "operation_digest": "e" * 64}]),
        request(commands=[command(blast_radius={**command()["preview"]["blast_radius"], "reversible": False})]),
        request(commands=[command(blast_radius={**command()["preview"]["blast_radius"], "data_lost": ["db"]})]),
        request(commands=[command(verdict={**command()["preview"]["verdict"], "policies": []})]),
        request(commands=[command(verdict={**command()["preview"]["verdict"], "people": 2})]),
        request(commands=[command(targets=[target(image_digest="")])]),
        request(risk={"level": "MEDIUM", "votes": [], "dissent": [], "absent": []}),
        request(commands=[command(), command(1)]),
        request(commands=[]),
    ]
    digests = [content_digest(each) for each in others]
    assert len({base, *digests}) == len(others) + 1
    assert content_digest(request(status="APPROVED", people_approved=1, decisions=[decision()])) == base


def test_buttons_carry_what_is_meant_in_at_most_64_bytes():
    for twice in (False, True):
        for row in keyboard(request(level="HIGH"), asked_twice=twice).inline_keyboard:
            for button in row:
                assert button.callback_data is not None
                assert len(button.callback_data.encode()) <= 64
                tap = Tap.unpack(button.callback_data)
                assert (tap.request, tap.digest) == (ID, short_digest(request(level="HIGH")))
                assert (tap.wish is Wish.CONFIRM) is button.text.startswith("Yes, approve")


def test_the_second_tap_repeats_the_digest():
    again = keyboard(request(level="HIGH"), asked_twice=True).inline_keyboard[0][0]
    assert again.text == f"Yes, approve {short_digest(request(level='HIGH'))}"


def test_a_seal_changes_with_what_is_seen_alone():
    same = card(request(), {}, ["alice"]).seal
    assert card(request(), {}, ["alice"]).seal == same
    assert card(request(status="EXPIRED"), {}, ["alice"]).seal != same
    assert card(request(), {}, ["alice"], asked_twice=True).seal != same
    assert card(request(), {}, ["alice"], has_document=True).seal != same


def test_only_what_waits_needs_a_document():
    long = "x" * 10_000
    assert card(request(instruction=long), {}, []).document is not None
    over = card(request(instruction=long, status="EXPIRED"), {}, [])
    assert (over.document, over.is_cut) == (None, True)
    assert not card(request(status="EXPIRED"), {}, []).is_cut
    assert f"/show {ID}" in over.body.text
    assert card(request(instruction=long, status="EXPIRED"), {}, [], has_document=True).document is not None


@settings(max_examples=60, deadline=None)
@given(
    instruction=st.text(max_size=6000),
    task=st.text(min_size=1, max_size=200),
    commands=st.lists(st.text(min_size=1, max_size=4096), max_size=16),
    notes=st.lists(st.text(max_size=2000), max_size=3),
    items=st.lists(st.text(max_size=300), max_size=40),
)
def test_whatever_is_asked_a_card_fits_and_its_document_has_all(
    instruction: str, task: str, commands: list[str], notes: list[str], items: list[str]
):
    radius = {
        "summary": "".join(items)[:500],
        "reversible": False,
        "stops": items,
        "ports_dropped": items,
        "dependents": [],
        "data_lost": items,
    }
    found = request(
        instruction=instruction,
        task_name=task,
        commands=[command(n, text, blast_radius=radius) for n, text in enumerate(commands)],
        decisions=[decision(f"p{n}", note=note) for n, note in enumerate(notes)],
        people_needed=9,
    )
    shown = card(found, {}, ["alice"])
    assert sizeof(shown.body.text) <= LONGEST
    assert len(shown.body.entities) <= MOST_ENTITIES
    whole = shown.body.text if shown.document is None else shown.document.data.decode()
    assert whole.endswith(lines(instruction))
    assert all(line(text) in whole for text in commands)
    if shown.document is not None:
        assert "Too long for one message" in shown.body.text or "Nothing of it fits here" in shown.body.text
    assert shown.body.text.startswith("⏳ Waits for 9 people")


def test_details_have_everything_exact():
    history = [{"at": "2026-03-01T12:00:00Z", "event": "requested", "actor": "agent-7", "note": "why\u202e"}]
    ran = {**command(), "execution_id": "exe_1"}
    text = details(request(commands=[ran], history=history)).text
    for part in (content_digest(request()), "a" * 64, "b" * 64, "c" * 64, "d" * 64, "label team=web", "exe_1"):
        assert part in text
    assert "2026-03-01 12:00:00 UTC requested by agent-7: why\\u202e" in text
