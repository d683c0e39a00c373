"""What a person reads of a request, its risk and an execution: all of it, however narrow the terminal is."""

import re
from datetime import UTC, datetime

import pytest
from rich.console import RenderableType

from wingman_api.approvals.schemas import CommandView, RequestView, RiskView
from wingman_api.executions.schemas import AuditView, ExecutionView, links
from wingman_api.previews import PreviewView
from wingman_cli.cards import execution_card, pending_list, request_card, risk_line
from wingman_cli.screen import Screen
from wingman_core.risk import Absence, Level, Source, Vote, consensus

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
REQUEST = "apr_dbc7jx2mqvg5s3k2h6t4yw7raa"
EXECUTION = "exe_dbc7jx2mqvg5s3k2h6t4yw7raa"
CONTAINER = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
IMAGE = "sha256:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9"
TASK = "Restart the web server, which has answered nothing since the night, then look at the graphs"
COMMAND = "docker restart --time 10 web"
WORKER = "agent-of-the-night-shift-in-the-second-hall"
DIGESTS = [number * 32 for number in ("1a", "2b", "3c", "4d", "5e")]
WIDTHS = (40, 80, 200)


def target(**changes: object) -> dict[str, object]:
    found = {"kind": "container", "reference": "web", "role": "object", "id": CONTAINER, "name": "web"}
    found |= {"image": "nginx:1.27", "image_digest": IMAGE, "project": "shop", "state": "running"}
    return {**found, "labels": {}, "privileges": [], **changes}


def preview(*targets: dict[str, object]) -> PreviewView:
    nothing = {name: [] for name in ("stops", "ports_dropped", "dependents", "data_lost")}
    return PreviewView.model_validate(
        {
            "canonical_command": COMMAND,
            "operation_digest": DIGESTS[0],
            "targets": targets or [target()],
            "target_digest": DIGESTS[1],
            "facts": {"verb": "restart", "effect": "lifecycle"}
            | {"mounts": ["/etc:/etc"]}
            | {name: [] for name in ("privileges", "shell", "images")},
            "blast_radius": {"summary": "web restarts", "reversible": True, **nothing},
            "verdict": {"outcome": "people", "people": 1, "policies": ["lifecycle"], "reason": "a person decides"},
        }
    )


def request(*targets: dict[str, object]) -> RequestView:
    command = CommandView(
        approval_id=f"{REQUEST}.0",
        command=COMMAND,
        operation_digest=DIGESTS[0],
        target_digest=DIGESTS[1],
        preview=preview(*targets),
        execution_id=None,
    )
    return RequestView.model_validate(
        {"id": REQUEST, "worker_id": WORKER, "requested_by": WORKER, "task_name": TASK, "instruction": "It leaks."}
        | {"environment": "test", "status": "PENDING", "people_needed": 1, "people_approved": 0}
        | {"risk": RiskView.of(consensus([Vote(Source.WORDING, Level.LOW, "ordinary")], []))}
        | {"commands": [command], "decisions": [], "decided_by": None, "note": "", "decision_digest": DIGESTS[2]}
        | {"created_at": NOW, "expires_at": NOW, "decided_at": None}
    )


def execution() -> ExecutionView:
    intent = AuditView(position=7, kind="INTENT", leaf_hash=DIGESTS[4], created_at=NOW)
    return ExecutionView.model_validate(
        {"execution_id": EXECUTION, "approval_id": f"{REQUEST}.0", "worker_id": WORKER, "environment": "test"}
        | {"command": COMMAND, "state": "SUCCEEDED", "exit_code": 0, "duration_ms": 1234, "truncated": False}
        | {"started_by": "", "started_at": NOW, "finished_at": NOW, "evidence": "", "client": "", "checkpoint": ""}
        | dict(zip(("operation_digest", "target_digest", "decision_digest", "output_digest"), DIGESTS, strict=False))
        | {"intent": intent, "result": None, "links": links(EXECUTION, f"{REQUEST}.0")}
    )


def lines(shown: RenderableType, width: int) -> list[str]:
    """What is printed on a terminal so many columns wide."""
    screen = Screen()
    screen.out.width = width
    with screen.out.capture() as output:
        screen.out.print(shown)
    return output.get().splitlines()


def printed(shown: RenderableType, width: int) -> str:
    """The same in one piece, without frames and spaces."""
    return re.sub(r"[^\x21-\x7e…]", "", "".join(lines(shown, width)))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_request_shows_what_it_is_about_in_full(width: int):
    text = printed(request_card(request()), width)
    for part in (
        REQUEST,
        f"{REQUEST}.0",
        WORKER,
        TASK,
        COMMAND,
        f"id{CONTAINER}",
        f"imagedigest{IMAGE}",
        "mounts/etc:/etc",
    ):
        assert part.replace(" ", "") in text
    assert "…" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_an_image_is_shown_by_its_full_id_too(width: int):
    text = printed(request_card(request(target(kind="image", id=IMAGE, image="", image_digest="", state=""))), width)
    assert f"id{IMAGE}" in text


def test_what_does_not_exist_yet_has_no_id():
    text = printed(request_card(request(target(role="new", id="", name="", image_digest="", state=""))), 80)
    assert "web(nothingthereyet)" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_the_list_of_what_waits_cuts_nothing_and_nothing_in_it_looks_like_a_line_of_its_own(width: int):
    forged = request().model_copy(update={"commands": (), "task_name": f"look\n{REQUEST}  LOW\x1b[2J"})
    assert lines(pending_list([request(), forged]), width) == [
        f"{REQUEST}  LOW  0 of 1 people  until 12:00:00 UTC",
        f"  {WORKER}: {COMMAND}",
        f"{REQUEST}  LOW  0 of 1 people  until 12:00:00 UTC",
        f"  {WORKER}: (look\\n{REQUEST}  LOW\\x1b[2J)",
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_receipt_shows_every_digest_in_full(width: int):
    text = printed(execution_card(execution()), width)
    for digest in DIGESTS:
        assert digest in text
    assert EXECUTION in text
    assert "..." not in text


def test_every_vote_and_every_absence_is_named_and_drives_no_terminal():
    votes = [
        Vote(Source.WORDING, Level.LOW, "the wording is ordinary"),
        Vote(Source.LANGUAGE_MODEL, Level.HIGH, "\x1b[2J"),
    ]
    risk = RiskView.of(consensus(votes, [Absence(Source.HISTORY, "no answer within 2 s")]))
    assert risk_line(risk).plain.splitlines() == [
        "HIGH",
        "wording: LOW, the wording is ordinary",
        "language_model: HIGH, \\x1b[2J",
        "history: absent, no answer within 2 s",
    ]
