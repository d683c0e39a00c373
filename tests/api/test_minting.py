"""What is minted, and until when: an approval that nobody used lapses."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wingman_api.approvals.record import Command, Record
from wingman_api.executions.minting import APPROVAL_LIFE, Mint, Signer
from wingman_cli.pki import create_token_key
from wingman_core.approval import Decision, Request, Status
from wingman_core.errors import ApprovalRefused, Code
from wingman_core.risk import Level, Risk

DECIDED = datetime(2026, 1, 1, tzinfo=UTC)
ID = f"apr_{'a' * 26}"
COMMAND = Command(f"{ID}.0", "docker restart web", "0" * 64, "1" * 64, "{}")


def record(status: Status) -> Record:
    request = Request(
        ID, "agent", "agent", status, 1, DECIDED, (Decision("Alice", approve=True, at=DECIDED, channel="rest"),)
    )
    return Record(request, "test", "t", "i", (COMMAND,), Risk(Level.LOW, ()), None, DECIDED, DECIDED)


def token(at: datetime, place: Path, status: Status = Status.APPROVED) -> dict[str, object]:
    kid = create_token_key(place / "token.pem", place / "public")
    signer = Signer((place / "token.pem").read_text(), kid, "3" * 64, 60)
    mint = Mint(signer, environment="test", now=lambda: at, new_id=lambda: "j" * 26)
    payload = mint.token(record(status), COMMAND, token_id=mint.token_id()).split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return claims


def test_a_token_says_who_decided_and_what_it_is_bound_to(tmp_path: Path):
    claims = token(DECIDED, tmp_path)
    assert (claims["apr"], claims["op"], claims["tgt"]) == (f"{ID}.0", "0" * 64, "1" * 64)
    assert claims["by"] == [{"name": "Alice", "at": int(DECIDED.timestamp()), "via": "rest"}]
    assert claims["dec"] == record(Status.APPROVED).decision_digest
    assert claims["dec"] != replace(record(Status.APPROVED), request=record(Status.REJECTED).request).decision_digest


def test_an_approval_that_nobody_used_lapses(tmp_path: Path):
    assert token(DECIDED + APPROVAL_LIFE - timedelta(seconds=1), tmp_path)
    for status in (Status.APPROVED, Status.AUTO_APPROVED):
        with pytest.raises(ApprovalRefused) as refused:
            token(DECIDED + APPROVAL_LIFE, tmp_path, status)
        assert refused.value.code is Code.APPROVAL_EXPIRED


@pytest.mark.parametrize("status", [Status.REJECTED, Status.CANCELLED, Status.EXPIRED, Status.PENDING])
def test_nothing_is_minted_without_an_approval(tmp_path: Path, status: Status):
    with pytest.raises(ApprovalRefused):
        token(DECIDED, tmp_path, status)
