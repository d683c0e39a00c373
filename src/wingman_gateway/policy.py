"""What the policy says of an operation, asked of Cedar: default deny, and a forbid beats every permit.

Guarantees: each object the command touches is judged, and the strictest answer counts; the number of people an
operation needs is found by asking; a policy that cannot be evaluated denies (Cedar itself would skip it, and so
skip a forbid). Works on resolved targets as well as on ``resources.unresolved`` ones, and touches no engine.

Not found at the preview: a permit that asks for one person by name. Previews ask with anonymous people, so such
a policy shows as forbidden unless another permit covers it; write names into forbids.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

import cedarpy

from wingman_core.approval import person_key
from wingman_core.command import ComposeUpOperation, Facts, NetworkConnectOperation, Operation, facts
from wingman_core.command.container_spec import ContainerSpec
from wingman_core.target import Target
from wingman_core.verdict import Automatic, Forbidden, NeedsPeople, Verdict
from wingman_gateway.policy_cases import check_cases
from wingman_gateway.policy_files import PolicyFiles, Rule, read_policy_files
from wingman_gateway.resources import Entity, resources_of

MOST_PEOPLE: Final = 5
"""Nobody is asked for more; a policy that wants more counts as forbidding."""
REMEMBERED: Final = 128
"""Answers kept by all that was asked, as long as the policies are these."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The policies that permit it, and their reasons in one text."""

    policies: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Denied:
    """Why not; ``people`` is how many distinct people would make it allowed, 0 where nobody can."""

    policies: tuple[str, ...]
    reason: str
    people: int = 0


class Policy:
    """One environment's policies."""

    def __init__(self, files: PolicyFiles, environment: str) -> None:
        self._files = files
        self._environment = environment
        # An agent asks for the same few things on the same few objects.
        self._answers = lru_cache(REMEMBERED)(self._evaluate)

    @classmethod
    def load(cls, directory: Path, environment: str) -> Self:
        """Read, validate and try the policy files on their cases; raise ``PolicyInvalid``."""
        policy = cls(read_policy_files(directory, environment), environment)
        check_cases(policy, directory, environment)
        return policy

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The policies by id, with their reasons."""
        return self._files.rules

    def decide(
        self, op: Operation, targets: Sequence[Target], worker: str, approvals: Sequence[str]
    ) -> Allowed | Denied:
        """Judge with the people who approved, by name; the worker's own approval does not count."""
        names = _people(approvals) - _people([worker])
        people = _People(len(names), tuple(sorted(names)))
        answers = self._answers(_known(op, targets), resources_of(op, targets), worker, people)
        for answer in answers:
            if not answer.allowed:
                verdict = self.verdict(op, targets, worker)
                if isinstance(verdict, NeedsPeople) and verdict.people > len(names):
                    return Denied(verdict.policies, verdict.reason, verdict.people)
                return Denied(answer.policies, answer.reason)
        return Allowed(answers[0].policies, answers[0].reason)

    def verdict(self, op: Operation, targets: Sequence[Target], worker: str) -> Verdict:
        """Find how many people it needs: the smallest number, from 0, with which every object's answer is yes."""
        known, refused = _known(op, targets), resources_of(op, targets)
        for count in range(MOST_PEOPLE + 1):
            people = _People(count, tuple(f"person-{number}" for number in range(count)))
            answers = self._answers(known, refused, worker, people)
            # What is allowed with fewer people is asked no more: the last to be allowed decides.
            refused = tuple(each for each, answer in zip(refused, answers, strict=True) if not answer.allowed)
            if not refused:
                policies, reason = answers[0].policies, answers[0].reason
                return NeedsPeople(count, policies, reason) if count else Automatic(policies, reason)
        last = next(answer for answer in answers if not answer.allowed)
        return Forbidden(last.policies, last.reason)

    def _evaluate(
        self, known: Facts, resources: tuple[Entity, ...], worker: str, people: "_People"
    ) -> tuple["_Answer", ...]:
        """Have Cedar answer; all that it is told is in the arguments, or stays what it is."""
        context = {
            "environment": self._environment,
            "effect": known.effect,
            "approvals": {"people": people.number, "names": list(people.names)},
            "privileges": list(known.privileges),
            "shell": list(known.shell),
            "images": list(known.images),
            "mounts": list(known.mounts),
        }
        requests = [
            {
                "principal": {"type": "Worker", "id": worker},
                "action": {"type": "Action", "id": known.verb},
                "resource": resource.uid,
                "context": context,
            }
            for resource in resources
        ]
        entities = [Entity("Worker", worker).json(), *(resource.json() for resource in resources)]
        results = cedarpy.is_authorized_batch(requests, self._files.policies, entities, self._files.schema)
        return tuple(self._answer(result) for result in results)

    def _answer(self, result: cedarpy.AuthzResult) -> "_Answer":
        if result.diagnostics.errors:
            # Cedar's words go on with the entities, labels and all: what it says before those is for everybody.
            what, _, _ = result.diagnostics.errors[0].partition(" from:\n")
            return _Answer(allowed=False, policies=(), reason=f"The policy could not be evaluated: {what}")
        ids = sorted(result.diagnostics.id_annotations_by_reason.values())
        reasons = " ".join(dict.fromkeys(self._files.rules[each].reason for each in ids))
        return _Answer(allowed=result.allowed, policies=tuple(ids), reason=reasons or "No policy permits this.")


@dataclass(frozen=True, slots=True)
class _People:
    """Those who approved: how many, and their names where they are known."""

    number: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    allowed: bool
    policies: tuple[str, ...]
    reason: str


def _known(op: Operation, targets: Sequence[Target]) -> Facts:
    """Return the command's facts, and with what runs an image or joins a network what those bring along."""
    known = facts(op)
    if not isinstance(op, ContainerSpec | ComposeUpOperation | NetworkConnectOperation):
        return known
    brought = {line for each in targets if each.reference.kind in {"image", "network"} for line in each.privileges}
    return replace(known, privileges=(*known.privileges, *sorted(brought)))


def _people(names: Iterable[str]) -> set[str]:
    """Return distinct people; a name with nothing visible in it is nobody's."""
    people = set()
    for name in names:
        with suppress(ValueError):
            people.add(person_key(name))
    return people
