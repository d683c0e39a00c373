"""Consensus by the highest vote, and a number of people that only grows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingman_core.risk import BEYOND_POLICY, FLOORS, Absence, Level, Source, Vote, consensus, people_for

LEVELS = st.sampled_from(Level)
VOTES = st.lists(st.builds(Vote, st.sampled_from(Source), LEVELS, st.just("")), min_size=1, max_size=8)


def vote(source: Source, level: Level) -> Vote:
    return Vote(source, level, "")


def test_the_levels_are_ordered():
    assert Level.LOW < Level.MEDIUM < Level.HIGH


def test_the_highest_vote_is_the_level_and_dissent_is_shown():
    votes = [vote(Source.WORDING, Level.LOW), vote(Source.ENVIRONMENT, Level.HIGH), vote(Source.EFFECT, Level.MEDIUM)]
    risk = consensus(votes, [Absence(Source.CLAIMS, "late")])
    assert risk.level is Level.HIGH
    assert risk.votes == tuple(votes)
    assert risk.dissent == (votes[0], votes[2])
    assert risk.absent == (Absence(Source.CLAIMS, "late"),)


def test_without_a_vote_there_is_no_consensus():
    with pytest.raises(ValueError, match="empty"):
        consensus([])


def test_where_all_agree_nobody_dissents():
    assert consensus([vote(Source.WORDING, Level.MEDIUM), vote(Source.EFFECT, Level.MEDIUM)]).dissent == ()


@given(VOTES, VOTES)
def test_another_vote_never_lowers_the_level(votes: list[Vote], more: list[Vote]):
    assert consensus([*votes, *more]).level >= consensus(votes).level


@given(VOTES, st.integers(0, 5), st.fixed_dictionaries({level: st.integers(0, 5) for level in Level}))
def test_risk_only_adds_people(votes: list[Vote], people: int, floors: dict[Level, int]):
    risk = consensus(votes)
    asked = people_for(risk, people, floors)
    assert asked >= people
    assert asked in {people, 1, floors[risk.level]}


@given(VOTES, VOTES, st.integers(0, 5))
def test_another_vote_never_takes_a_person_away(votes: list[Vote], more: list[Vote], people: int):
    assert people_for(consensus([*votes, *more]), people) >= people_for(consensus(votes), people)


@pytest.mark.parametrize("source", Source)
def test_only_what_no_policy_can_see_asks_for_a_person_where_the_policy_asks_for_none(source: Source):
    added = 1 if source in {Source.HISTORY, Source.CLAIMS, Source.LANGUAGE_MODEL} else 0
    assert people_for(consensus([vote(source, Level.HIGH)]), 0) == added
    assert people_for(consensus([vote(source, Level.MEDIUM)]), 0) == 0


@pytest.mark.parametrize("source", sorted(BEYOND_POLICY))
def test_a_doubt_below_the_consensus_is_none(source: Source):
    risk = consensus([vote(Source.ENVIRONMENT, Level.HIGH), vote(source, Level.MEDIUM)])
    assert not risk.doubted
    assert people_for(risk, 0) == 0


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("people", [1, 2, 3])
def test_the_shipped_floors_keep_the_policys_number_where_it_asks_people(source: Source, level: Level, people: int):
    assert people_for(consensus([vote(source, level)]), people) == people


def test_a_deployment_may_ask_two_people_for_high():
    floors = {**FLOORS, Level.HIGH: 2}
    high = consensus([vote(Source.EFFECT, Level.HIGH)])
    assert [people_for(high, people, floors) for people in (0, 1, 2, 3)] == [0, 2, 2, 3]
    doubted = consensus([vote(Source.HISTORY, Level.HIGH)])
    assert [people_for(doubted, people, floors) for people in (0, 1, 2, 3)] == [2, 2, 2, 3]
