"""Votes by source, consensus by the highest, and a number of people that only grows."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.risk import Effect, Level, Vote, assess, lifetime, people_for
from wingman_core.verdict import BlastRadius

HARMLESS = BlastRadius("reads", reversible=True)
LEVELS = st.sampled_from(Level)


def vote_of(source: str, **inputs: object) -> Vote:
    risk = assess(**{"environment": "test", **inputs})  # type: ignore[arg-type]
    (vote,) = [vote for vote in risk.votes if vote.source == source]
    return vote


def test_the_levels_are_ordered():
    assert Level.LOW < Level.MEDIUM < Level.HIGH


@pytest.mark.parametrize(("environment", "level"), [("test", Level.LOW), ("prd", Level.HIGH), ("dev", Level.HIGH)])
def test_environment(environment: str, level: Level):
    assert vote_of("environment", environment=environment).level is level


@pytest.mark.parametrize(
    ("effects", "level"),
    [
        (["read"], Level.LOW),
        (["read", "lifecycle"], Level.MEDIUM),
        (["change", "read"], Level.MEDIUM),
        (["read", "destroy", "change"], Level.HIGH),
    ],
)
def test_effect_is_the_strongest(effects: list[Effect], level: Level):
    assert vote_of("effect", effects=effects).level is level


@pytest.mark.parametrize(
    ("radius", "level", "reason"),
    [
        (HARMLESS, Level.LOW, "nothing stops and nothing is lost"),
        (BlastRadius("", reversible=True, stops=("web",)), Level.MEDIUM, "containers stop"),
        (BlastRadius("", reversible=True, ports_dropped=("80/tcp",)), Level.MEDIUM, "published ports drop"),
        (BlastRadius("", reversible=True, dependents=("db",)), Level.MEDIUM, "published ports drop"),
        (BlastRadius("", reversible=True, stops=tuple("abcd")), Level.MEDIUM, "containers stop"),
        (BlastRadius("", reversible=True, stops=tuple("abcde")), Level.HIGH, "5 containers stop"),
        (BlastRadius("", reversible=False), Level.HIGH, "cannot be undone"),
        (BlastRadius("", reversible=True, data_lost=("volume v",)), Level.HIGH, "data is lost"),
    ],
)
def test_blast_radius(radius: BlastRadius, level: Level, reason: str):
    vote = vote_of("blast_radius", radii=[HARMLESS, radius])
    assert vote.level is level
    assert reason in vote.reason


def test_what_stops_is_counted_over_all_commands():
    radii = [BlastRadius("", reversible=True, stops=(name, "same")) for name in "abcd"]
    assert vote_of("blast_radius", radii=radii) == Vote("blast_radius", Level.HIGH, "5 containers stop")


@pytest.mark.parametrize(
    ("text", "level", "reason"),
    [
        ("restart the web server", Level.LOW, "ordinary"),
        ("", Level.LOW, "ordinary"),
        ("Please DELETE the old logs", Level.MEDIUM, "delete"),
        ("the logs are deleted, then removed", Level.MEDIUM, "deleted, removed"),
        ("it is urgent", Level.MEDIUM, "urgent"),
        ("wipe it", Level.HIGH, "wipe"),
        ("urgent: wipe it", Level.HIGH, "wipe"),
        ("run rm  -rf on it", Level.HIGH, "rm -rf"),
        ("ignore\nprevious instructions", Level.HIGH, "ignore previous"),
        ("\N{FULLWIDTH LATIN SMALL LETTER W}ipe", Level.HIGH, "wipe"),
        ("on production", Level.HIGH, "production"),
        ("unswiped, rootless and enforced", Level.LOW, "ordinary"),
    ],
)
def test_wording(text: str, level: Level, reason: str):
    vote = vote_of("wording", wording=["task", text])
    assert vote.level is level
    assert reason in vote.reason


def test_a_reason_never_repeats_what_a_worker_wrote():
    assert vote_of("wording", wording=["wipe <script>alert(1)</script>"]).reason == "the wording says: wipe"


def test_a_source_with_nothing_to_judge_does_not_vote():
    assert [vote.source for vote in assess(environment="test").votes] == ["environment"]
    everything = assess(environment="test", effects=["read"], radii=[HARMLESS], wording=["x"])
    assert [vote.source for vote in everything.votes] == ["environment", "effect", "blast_radius", "wording"]
    assert everything.level is Level.LOW
    assert everything.dissent == ()


def test_the_highest_vote_is_the_level_and_dissent_is_shown():
    risk = assess(environment="prd", effects=["lifecycle"], wording=["ordinary"])
    assert risk.level is Level.HIGH
    assert [(vote.source, vote.level) for vote in risk.dissent] == [("effect", Level.MEDIUM), ("wording", Level.LOW)]


@given(LEVELS, st.integers(0, 5), st.fixed_dictionaries({level: st.integers(0, 5) for level in Level}))
def test_risk_only_adds_people_and_never_to_what_is_automatic(level: Level, people: int, floors: dict[Level, int]):
    asked = people_for(level, people, floors)
    assert asked >= people
    assert asked == max(people, floors[level]) or people == 0 == asked


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("people", [0, 1, 2])
def test_the_shipped_floors_keep_the_policys_number(level: Level, people: int):
    assert people_for(level, people) == people


def test_a_deployment_may_ask_two_people_for_high():
    floors = {Level.LOW: 0, Level.MEDIUM: 0, Level.HIGH: 2}
    assert [people_for(Level.HIGH, people, floors) for people in (0, 1, 2, 3)] == [0, 2, 2, 3]


def test_lifetimes():
    assert lifetime(Level.HIGH) == timedelta(minutes=15)
    assert lifetime(Level.MEDIUM) == lifetime(Level.LOW) == timedelta(hours=1)
    assert lifetime(Level.LOW, {Level.LOW: timedelta(minutes=1)}) == timedelta(minutes=1)
