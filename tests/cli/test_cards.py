"""What a person reads of a request's risk."""

from wingman_api.approvals.schemas import RiskView
from wingman_cli.cards import risk_line
from wingman_core.risk import Absence, Level, Source, Vote, consensus


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
