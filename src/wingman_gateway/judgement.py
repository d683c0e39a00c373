"""Whether an operation may run: token, command, targets, policy, in this order; and what people are shown before.

Guarantees: what passes is the operation the token names, on the objects the token names, allowed by the policy
with the people in the token, all of it established here and now (I8, I9). Nothing is changed anywhere.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, assert_never

from wingman_core.capability import audience_of, issuer_of, verify
from wingman_core.command import Facts, Operation, facts, operation_digest, parse, render
from wingman_core.command.hidden import hide
from wingman_core.errors import CapabilityRefused, Code, PolicyRefused, TargetRefused, Unavailable, WingmanError
from wingman_core.target import Target, targets_digest
from wingman_core.verdict import BlastRadius, Verdict
from wingman_gateway.callers import Caller
from wingman_gateway.policy import Allowed, Denied
from wingman_gateway.records import Attempt

JUDGE_SECONDS: Final = 30.0
"""For what the engine is asked."""
WORKER_LIMIT: Final = 200


class Resolver(Protocol):
    """The engine, as far as it is looked at and not acted on."""

    async def resolve(self, op: Operation) -> tuple[Target, ...]:
        """Return what each reference of the operation names now, in the command's order."""
        ...

    async def blast_radius(self, op: Operation, targets: Sequence[Target]) -> BlastRadius:
        """Return the consequences of the operation on these targets."""
        ...


class Policy(Protocol):
    """The environment's policy."""

    def decide(
        self, op: Operation, targets: Sequence[Target], worker: str, approvals: Sequence[str]
    ) -> Allowed | Denied:
        """Judge with the people who approved, by name."""
        ...

    def verdict(self, op: Operation, targets: Sequence[Target], worker: str) -> Verdict:
        """Say how many people it needs."""
        ...


@dataclass(frozen=True, slots=True)
class Preview:
    """What people are shown before they decide."""

    canonical_command: str
    operation_digest: str
    targets: tuple[Target, ...]
    target_digest: str
    facts: Facts
    blast_radius: BlastRadius
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """An operation that passed steps 2 to 5."""

    operation: Operation
    targets: tuple[Target, ...]


class Judge:
    """Judges commands for one environment."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        environment: str,
        *,
        token_keys: Mapping[str, str],
        engine: Resolver,
        policy: Policy,
        now: Callable[[], datetime],
        stage: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        """Take where this is, the public keys whose tokens count by ``kid``, engine, policy, clock, timer."""
        self._environment = environment
        self._token_keys = token_keys
        self._engine = engine
        self._policy = policy
        self._now = now
        self._stage = stage

    def use_keys(self, token_keys: Mapping[str, str]) -> None:
        """Verify tokens with these from the next one on."""
        self._token_keys = token_keys

    def use_policy(self, policy: Policy) -> None:
        """Judge by this from the next command on."""
        self._policy = policy

    async def preview(self, command: str, worker: str, environment: str) -> Preview:
        """Parse, resolve and judge; run nothing and record nothing. Raises what refuses the command."""
        self._check(worker, environment)
        operation = parse(command)
        async with within(JUDGE_SECONDS):
            targets = await self._engine.resolve(operation)
            radius = await self._engine.blast_radius(operation, targets)
        return Preview(
            canonical_command=render(operation),
            operation_digest=operation_digest(operation),
            targets=targets,
            target_digest=targets_digest(targets),
            facts=facts(operation),
            blast_radius=radius,
            verdict=self._policy.verdict(operation, targets, worker),
        )

    async def judge_read(self, op: Operation, worker: str, environment: str) -> tuple[Target, ...]:
        """Return the targets of a read that policy allows with nobody's approval. Raises what refuses it."""
        self._check(worker, environment)
        async with within(JUDGE_SECONDS):
            targets = await self._engine.resolve(op)
        match self._policy.decide(op, targets, worker, ()):
            case Allowed():
                return targets
            case Denied() as denied:
                raise _denied(denied)
            case unexpected:
                assert_never(unexpected)

    async def judge(self, attempt: Attempt, token: str, command: str, caller: Caller) -> Judged:
        """Return what steps 2 to 5 let pass; ``attempt`` learns what each step finds. Raises what refuses it."""
        # 2. The token.
        with self._stage("token"):
            attempt.capability = verify(
                token,
                keys=self._token_keys,
                issuer=issuer_of(self._environment),
                audience=audience_of(self._environment),
                environment=self._environment,
                thumbprint=caller.thumbprint,
                now=int(self._now().timestamp()),
            )
        claims = attempt.capability.claims
        # 3. The command, parsed here: nobody else's parse counts.
        with self._stage("parse"):
            operation = parse(command)
        attempt.verb = operation.verb
        attempt.command, attempt.operation_digest = hide(render(operation)), operation_digest(operation)
        if attempt.operation_digest != claims.op:
            raise CapabilityRefused(
                Code.TOKEN_OPERATION,
                "the token was minted for another command",
                hint="run exactly the command that was approved",
            )
        # 4. The targets, resolved now.
        async with within(JUDGE_SECONDS):
            with self._stage("resolve"):
                targets = await self._engine.resolve(operation)
        attempt.targets = targets
        if targets_digest(targets) != claims.tgt:
            raise TargetRefused(
                Code.TARGET_CHANGED,
                "a name in the command leads to another object than the one that was approved",
                hint="ask for approval again; the preview shows what it is now",
            )
        # 5. The policy, with the people in the token.
        approvals = tuple(decider.name for decider in claims.by)
        with self._stage("policy"):
            decided = self._policy.decide(operation, targets, claims.sub, approvals)
        match decided:
            case Allowed(policies=policies):
                attempt.policies = policies
            case Denied() as denied:
                raise _denied(denied)
            case unexpected:
                assert_never(unexpected)
        return Judged(operation, targets)

    def _check(self, worker: str, environment: str) -> None:
        if environment != self._environment:
            raise WingmanError(
                Code.ENVIRONMENT_MISMATCH,
                f"this gateway serves {self._environment}",
                hint=f"ask the gateway of the other environment, or for {self._environment}",
            )
        if not worker.strip() or not worker.isprintable() or len(worker) > WORKER_LIMIT:
            raise WingmanError(
                Code.REQUEST_INVALID,
                f"the worker's name is not 1 to {WORKER_LIMIT} printable characters",
                hint="name the worker",
            )


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Give the engine so long; raise ``Unavailable`` DEADLINE_EXCEEDED after that."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise Unavailable(
            Code.DEADLINE_EXCEEDED, f"the engine took longer than {seconds:g} s", hint="try again"
        ) from error


def _denied(denied: Denied) -> PolicyRefused:
    policies = ", ".join(denied.policies)
    if denied.people:
        return PolicyRefused(
            Code.POLICY_NEEDS_PEOPLE,
            denied.reason,
            hint=f"{denied.people} distinct people must approve",
            policies=policies,
            people=str(denied.people),
        )
    return PolicyRefused(Code.POLICY_FORBIDS, denied.reason, hint="nobody can approve this", policies=policies)
