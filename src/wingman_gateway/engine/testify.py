"""What Docker can say afterwards about an execution whose outcome nobody saw. Asks only, never acts (I13).

Guarantees: SUCCEEDED and FAILED rest on something the engine still knows (a start or end time after the intent, an
exec's exit code, the execution's label, an event); where that does not decide, UNKNOWN: a state that may be older than
the intent is no testimony. Times are the engine's; one up to ``CLOCK_SECONDS`` before the intent proves nothing.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, assert_never

from wingman_core.command import (
    ComposeAct,
    ComposePullOperation,
    ComposeRemoval,
    ComposeUpOperation,
    ExecOperation,
    KillOperation,
    Operation,
    PauseOperation,
    Prune,
    PullOperation,
    RestartOperation,
    RmOperation,
    RunOperation,
    StartOperation,
    StopOperation,
    UnpauseOperation,
)
from wingman_core.command.signals import number_of
from wingman_core.target import Target
from wingman_gateway.engine.act import EXEC_NOTE, ContainersOperation
from wingman_gateway.engine.compose import as_containers, containers_of, only, service_of
from wingman_gateway.engine.compose_up import HASH_LABEL, UP_NOTE
from wingman_gateway.engine.connection import JSON, Connection, EngineRefused, segment
from wingman_gateway.engine.create import EXECUTION_LABEL
from wingman_gateway.engine.events import Finding, Outcome, Testimony
from wingman_gateway.engine.history import engine_now, history
from wingman_gateway.engine.object_acts import ObjectAct
from wingman_gateway.engine.object_testimony import ObjectWitness
from wingman_gateway.engine.perform import DEFAULT_STOP_SECONDS, LIMITS, own_stop_seconds
from wingman_gateway.engine.stamps import engine_time

CLOCK_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 5.0
"""Beyond the verb's own limit, before an act that shows no effect counts as failed."""
GONE: Final = "gone"


async def testify(  # noqa: PLR0913, PLR0917 - the parts of an execution
    connection: Connection,
    op: Operation,
    targets: Sequence[Target],
    execution_id: str,
    intent_at: datetime,
    notes: Mapping[str, str] | None,
) -> Testimony:
    """Ask Docker; raise ``Unavailable`` where it does not answer.

    That something was not noted tells that it was not started; ``notes`` is None where nobody knows what was.
    """
    finding: Finding
    match op:
        case ExecOperation() | ComposeUpOperation() if notes is None:
            finding = "UNKNOWN", None, {"said": "it was begun with another journal, which has what was noted"}
        case ExecOperation():
            finding = await _exec(connection, op, notes or {}, intent_at)
        case RunOperation():
            finding = await _run(connection, op, execution_id, intent_at)
        case PullOperation():
            finding = await _pull(connection, op, targets[0])
        case ComposePullOperation():
            fetched = [each for each in only(targets, "image") if each.reference.role == "fetch"]
            pulls = [(PullOperation(image=each.reference.name), each) for each in fetched]
            finding = _together([await _pull(connection, *each) for each in pulls], "images")
        case ComposeUpOperation():
            finding = await _up(connection, op, notes or {}, intent_at)
        case (
            StartOperation()
            | StopOperation()
            | RestartOperation()
            | KillOperation()
            | PauseOperation()
            | UnpauseOperation()
            | RmOperation()
        ):
            finding = await _containers(connection, op, targets, intent_at)
        case _ if isinstance(op, ComposeAct):
            whole = as_containers(op, targets)
            containers = only(targets, "container")
            finding = await _containers(connection, whole, containers, intent_at) if whole else _together([], "objects")
        case _ if isinstance(op, ObjectAct | Prune | ComposeRemoval):
            without_effect = _without_effect(await engine_now(connection), intent_at, LIMITS[op.verb])
            findings = await ObjectWitness(connection, intent_at, without_effect).judge(op, targets, execution_id)
            finding = _together(findings, "objects")
        case _:
            finding = "UNKNOWN", None, {"said": "a read leaves no trace"}
    outcome, exit_code, evidence = finding
    return Testimony(outcome, exit_code, json.dumps(evidence, sort_keys=True))


async def _containers(
    connection: Connection, op: ContainersOperation, targets: Sequence[Target], intent_at: datetime
) -> Finding:
    """Judge one verb on containers; one after the other has its time, so that the last may still be waiting for it."""
    now = await engine_now(connection)
    found = [await _inspect(connection, target.id) for target in targets]
    limit = LIMITS[op.verb] + sum(_stop_seconds(op, container) for container in found)
    witness = _Witness(connection, op, intent_at, _without_effect(now, intent_at, limit))
    findings = [await witness.container(*each) for each in zip(targets, found, strict=True)]
    return _together(findings, "containers")


def _stop_seconds(op: ContainersOperation, container: JSON | None) -> int:
    """Return how long the container may take to stop, in seconds."""
    if not isinstance(op, StopOperation | RestartOperation):
        return 0
    if op.time is not None:
        return op.time
    return DEFAULT_STOP_SECONDS if container is None else own_stop_seconds(container)


def _without_effect(now: datetime, intent_at: datetime, limit: float) -> Outcome:
    """Return what an act without any effect so far means: RUNNING while the engine may still be at it, then FAILED."""
    return "RUNNING" if now < intent_at + timedelta(seconds=limit + PATIENCE_SECONDS) else "FAILED"


class _Witness:
    """Judges one verb on one container by what the engine knows of it now."""

    def __init__(
        self, connection: Connection, op: ContainersOperation, intent_at: datetime, without_effect: Outcome
    ) -> None:
        self._connection = connection
        self._op = op
        self._intent_at = intent_at
        self._without_effect = without_effect

    async def container(self, target: Target, found: JSON | None) -> Finding:
        if found is None:
            removed = isinstance(self._op, RmOperation) and await self._happened(target, "destroy")
            return ("SUCCEEDED" if removed else "UNKNOWN"), (0 if removed else None), {"id": target.id, "state": GONE}
        state = found["State"]
        evidence = {
            "id": target.id,
            "state": state["Status"],
            "started_at": state["StartedAt"],
            "finished_at": state["FinishedAt"],
            "exit_code": state["ExitCode"],
            "intent_at": self._intent_at.isoformat(),
        }
        outcome = self._judge(found)
        if isinstance(self._op, KillOperation) and outcome == "UNKNOWN" and state["Running"]:
            # It may run on whatever the signal: the engine notes each that it has sent, by its number.
            signal = str(number_of(self._op.signal))
            happened = await self._happened(target, "kill", signal=signal)
            outcome = "SUCCEEDED" if happened else "UNKNOWN"
            evidence["event"] = f"kill {signal}" if happened else "none is remembered"
        elif outcome == "SUCCEEDED" and isinstance(self._op, PauseOperation | UnpauseOperation):
            # The state has no time of its own: it may be older than the intent.
            happened = await self._happened(target, self._op.verb)
            outcome, evidence["event"] = ("SUCCEEDED", self._op.verb) if happened else ("UNKNOWN", "none is remembered")
        return outcome, {"SUCCEEDED": 0, "FAILED": 1}.get(outcome), evidence

    def _judge(self, container: JSON) -> Outcome:  # noqa: PLR0911 - one return per verb and state
        state = container["State"]
        started, ended = (self._since_intent(state[key]) for key in ("StartedAt", "FinishedAt"))
        running = bool(state["Running"])
        match self._op:
            case StartOperation():
                return _by(started, absent="UNKNOWN" if running else self._without_effect)
            case StopOperation():
                if not running:
                    return _by(ended, absent="UNKNOWN")
                return "UNKNOWN" if started is not False else self._without_effect
            case RestartOperation():
                return _by(started, absent=self._without_effect)
            case KillOperation(signal=signal):
                if not running:
                    return _by(ended, absent=self._without_effect)
                return self._without_effect if signal == "SIGKILL" and started is False else "UNKNOWN"
            case PauseOperation():
                return "SUCCEEDED" if state["Paused"] else "UNKNOWN"
            case UnpauseOperation():
                return "UNKNOWN" if state["Paused"] else "SUCCEEDED"
            case RmOperation():
                return "RUNNING" if state["Status"] == "removing" else self._without_effect
            case _:
                assert_never(self._op)

    def _since_intent(self, stamp: str) -> bool | None:
        """Tell whether it happened after the intent; None where the clocks are too close to tell."""
        moment = engine_time(stamp)
        if timedelta(0) <= self._intent_at - moment < timedelta(seconds=CLOCK_SECONDS):
            return None
        return moment >= self._intent_at

    async def _happened(self, target: Target, action: str, **attributes: str) -> bool:
        """Tell whether the engine's own short history has the action, so done, on this container since the intent."""
        filters = {"type": ["container"], "container": [target.id], "event": [action]}
        remembered = await history(self._connection, filters, self._intent_at)
        return any(attributes.items() <= event.items() for event in remembered.get(action, ()))


async def _exec(connection: Connection, op: ExecOperation, notes: Mapping[str, str], intent_at: datetime) -> Finding:
    """Ask about the exec by its id, which is noted before the start: without a note nothing was started."""
    exec_id = notes.get(EXEC_NOTE)
    if exec_id is None:
        return "FAILED", None, {"said": "no exec was noted, so none was started"}
    try:
        found = await connection.ask("GET", f"exec/{segment(exec_id)}/json")
    except EngineRefused as error:
        if not error.not_found:
            raise
        return "UNKNOWN", None, {"exec_id": exec_id, "state": GONE}
    evidence = {"exec_id": exec_id, "running": found["Running"], "exit_code": found["ExitCode"], "pid": found["Pid"]}
    if found["Running"]:
        return ("SUCCEEDED", 0, evidence) if op.detach else ("RUNNING", None, evidence)
    if found["ExitCode"] is None:
        outcome = _without_effect(await engine_now(connection), intent_at, LIMITS["start"])
        return outcome, None, {**evidence, "said": "the exec was created and not started"}
    code = 0 if op.detach else int(found["ExitCode"])
    return ("FAILED" if code else "SUCCEEDED"), code, evidence


async def _run(connection: Connection, op: RunOperation, execution_id: str, intent_at: datetime) -> Finding:
    """Find what it made by the execution's id in its label; without it, ask the engine's own short history."""
    label = f"{EXECUTION_LABEL}={execution_id}"
    params = {"all": "1", "filters": json.dumps({"label": [label]})}
    listed = await connection.ask("GET", "containers/json", params=params)
    container = await _inspect(connection, listed[0]["Id"]) if listed else None
    if container is None:
        return await _run_from_history(connection, op, label, intent_at)
    state = container["State"]
    evidence = {"id": container["Id"], "state": state["Status"], "exit_code": state["ExitCode"], "label": label}
    if state["Status"] == "created":
        outcome = _without_effect(await engine_now(connection), intent_at, LIMITS["start"])
        return outcome, None, {**evidence, "said": "created and not started", "error": state.get("Error", "")}
    if op.detach:
        return "SUCCEEDED", 0, evidence
    if state["Running"]:
        return "RUNNING", None, evidence
    code = int(state["ExitCode"])
    return ("FAILED" if code else "SUCCEEDED"), code, evidence


async def _inspect(connection: Connection, container_id: str) -> JSON | None:
    """Return what the engine says of a container, or None if it is gone."""
    try:
        found: JSON = await connection.ask("GET", f"containers/{container_id}/json")
    except EngineRefused as error:
        if not error.not_found:
            raise
        return None
    return found


async def _run_from_history(connection: Connection, op: RunOperation, label: str, intent_at: datetime) -> Finding:
    filters = {"type": ["container"], "label": [label], "event": ["create", "start", "die"]}
    actions = await history(connection, filters, intent_at)
    evidence: JSON = {"label": label, "events": sorted(actions)}
    if op.detach and "start" in actions:
        return "SUCCEEDED", 0, evidence
    if "die" in actions:
        code = int(actions["die"][-1].get("exitCode", "-1"))
        return ("FAILED" if code else "SUCCEEDED"), code, {**evidence, "exit_code": code}
    return "UNKNOWN", None, {**evidence, "said": "no container carries the execution's label"}


async def _pull(connection: Connection, op: PullOperation, target: Target) -> Finding:
    try:
        image = await connection.ask("GET", f"images/{segment(op.image)}/json")
    except EngineRefused as error:
        if not error.not_found:
            raise
        return "FAILED", 1, {"image": op.image, "state": "absent"}
    digests = [each.partition("@")[2] for each in image.get("RepoDigests") or ()]
    evidence = {"image": op.image, "id": image["Id"], "digests": digests, "wanted": target.image_digest}
    if target.image_digest and target.image_digest in digests:
        return "SUCCEEDED", 0, evidence
    return "UNKNOWN", None, evidence


async def _up(connection: Connection, op: ComposeUpOperation, notes: Mapping[str, str], intent_at: datetime) -> Finding:
    """Compare what runs with the configurations that were noted before Compose was started.

    Compose does several things in turn, and ends with the gateway (``tied``): what is done in part is open for as
    long as the engine may be at what it was asked last, such as to stop a container, then unknown.
    """
    if UP_NOTE not in notes:
        return "FAILED", None, {"said": "nothing was noted, so that Compose was not started"}
    wanted: dict[str, str] = json.loads(notes[UP_NOTE])
    found = [each for each in await containers_of(connection, op.project) if service_of(each) in wanted]
    right = {
        service_of(each): await _inspect(connection, each["Id"])
        for each in found
        if each["State"] == "running" and each["Labels"].get(HASH_LABEL) == wanted[service_of(each)]
    }
    started = [engine_time(each["State"]["StartedAt"]) >= intent_at for each in right.values() if each is not None]
    evidence: JSON = {
        "project": op.project,
        "as_wanted": sorted(right),
        "wanted": sorted(wanted),
        "started_since": sum(started),
    }
    if set(right) == set(wanted):
        since = all(started) if op.force_recreate else any(started)
        return ("SUCCEEDED", 0, evidence) if since else ("UNKNOWN", None, evidence)
    last = DEFAULT_STOP_SECONDS if op.time is None else op.time
    open_still = _without_effect(await engine_now(connection), intent_at, last) == "RUNNING"
    return ("RUNNING" if open_still else "UNKNOWN"), None, evidence


def _by(since: bool | None, *, absent: Outcome) -> Outcome:  # noqa: FBT001 - three values, not a switch
    return "UNKNOWN" if since is None else "SUCCEEDED" if since else absent


def _together(findings: Sequence[Finding], kind: str) -> Finding:
    """Join the containers' outcomes: all must have succeeded; what is open or unknown outweighs a failure."""
    outcomes = {outcome for outcome, _, _ in findings}
    evidence = {kind: [evidence for _, _, evidence in findings]}
    for outcome in ("RUNNING", "UNKNOWN", "FAILED"):
        if outcome in outcomes:
            return outcome, (1 if outcome == "FAILED" else None), evidence
    return "SUCCEEDED", 0, evidence
