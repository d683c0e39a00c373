"""Domain values as the messages of ``gateway.proto``; one way, since requests carry text alone."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, assert_never

from google.protobuf.timestamp_pb2 import Timestamp

from wingman_core.command import Facts
from wingman_core.observation import ContainerState, PathState, ProcessLists
from wingman_core.target import Target
from wingman_core.verdict import Automatic, BlastRadius, Forbidden, NeedsPeople, Verdict
from wingman_gateway.audit_log import Entry
from wingman_gateway.engine.events import Output, Progress
from wingman_gateway.judgement import Preview
from wingman_gateway.stream import Accepted, Event, Finished, Outcome
from wingman_rpc.v1 import gateway_pb2 as pb

OUTCOMES: Final[Mapping[Outcome, pb.Finished.Outcome.ValueType]] = {
    "SUCCEEDED": pb.Finished.OUTCOME_SUCCEEDED,
    "FAILED": pb.Finished.OUTCOME_FAILED,
    "TIMED_OUT": pb.Finished.OUTCOME_TIMED_OUT,
    "UNKNOWN": pb.Finished.OUTCOME_UNKNOWN,
}


def preview_response(preview: Preview) -> pb.PreviewResponse:
    """Return everything a person is shown before deciding."""
    return pb.PreviewResponse(
        canonical_command=preview.canonical_command,
        operation_digest=preview.operation_digest,
        targets=[_target(target) for target in preview.targets],
        target_digest=preview.target_digest,
        facts=_facts(preview.facts),
        blast_radius=_blast_radius(preview.blast_radius),
        verdict=_verdict(preview.verdict),
    )


def execute_response(event: Event) -> pb.ExecuteResponse:
    """Return one event of an execution's stream."""
    match event:
        case Accepted():
            accepted = pb.Accepted(execution_id=event.execution_id, audit_position=event.audit_position)
            return pb.ExecuteResponse(accepted=accepted)
        case Output("stdout", data):
            return pb.ExecuteResponse(stdout=data)
        case Output(_, data):
            return pb.ExecuteResponse(stderr=data)
        case Progress(text):
            return pb.ExecuteResponse(progress=text)
        case Finished():
            return pb.ExecuteResponse(finished=_finished(event))
        case _:
            assert_never(event)


def audit_entries(entries: Iterable[Entry]) -> list[pb.AuditEntry]:
    """Return leaves of the log."""
    return [pb.AuditEntry(position=entry.position, record=entry.record) for entry in entries]


def observe_response(fact: ContainerState | ProcessLists | PathState) -> pb.ObserveResponse:
    """Return one fact."""
    match fact:
        case ContainerState():
            return pb.ObserveResponse(state=_state(fact))
        case ProcessLists():
            lists = [pb.ContainerProcesses(container=each.container, names=each.names) for each in fact.containers]
            return pb.ObserveResponse(processes=pb.ProcessLists(containers=lists, complete=fact.complete))
        case PathState():
            path = pb.PathState(kind=fact.kind, size=fact.size, sha256=fact.sha256, modified_at=_at(fact.modified_at))
            return pb.ObserveResponse(path=path)
        case _:
            assert_never(fact)


def _state(state: ContainerState) -> pb.ContainerState:
    return pb.ContainerState(
        name=state.name,
        status=state.status,
        exit_code=state.exit_code,
        started_at=_at(state.started_at),
        restart_count=state.restart_count,
        image=state.image,
        image_id=state.image_id,
        health=state.health,
    )


def _at(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    at = Timestamp()
    at.FromDatetime(moment)
    return at


def _finished(finished: Finished) -> pb.Finished:
    return pb.Finished(
        outcome=OUTCOMES[finished.outcome],
        exit_code=finished.exit_code,
        duration_ms=finished.duration_ms,
        output_digest=finished.output_digest,
        audit_position=finished.audit_position,
        truncated=finished.truncated,
        finished_at=_at(finished.at),
    )


def _target(target: Target) -> pb.Target:
    return pb.Target(
        kind=target.reference.kind,
        reference=target.reference.name,
        role=target.reference.role,
        id=target.id,
        name=target.name,
        image=target.image,
        image_digest=target.image_digest,
        project=target.project,
        labels=dict(target.labels),
        state=target.state,
        privileges=target.privileges,
    )


def _facts(facts: Facts) -> pb.Facts:
    return pb.Facts(
        verb=facts.verb,
        effect=facts.effect,
        privileges=facts.privileges,
        shell=facts.shell,
        images=facts.images,
        mounts=facts.mounts,
    )


def _blast_radius(radius: BlastRadius) -> pb.BlastRadius:
    return pb.BlastRadius(
        stops=radius.stops,
        ports_dropped=radius.ports_dropped,
        dependents=radius.dependents,
        data_lost=radius.data_lost,
        reversible=radius.reversible,
        summary=radius.summary,
        expected_time=radius.expected_time,
    )


def _verdict(verdict: Verdict) -> pb.Verdict:
    match verdict:
        case Automatic():
            outcome, people = pb.Verdict.OUTCOME_AUTOMATIC, 0
        case NeedsPeople():
            outcome, people = pb.Verdict.OUTCOME_PEOPLE, verdict.people
        case Forbidden():
            outcome, people = pb.Verdict.OUTCOME_FORBIDDEN, 0
        case _:
            assert_never(verdict)
    return pb.Verdict(outcome=outcome, people=people, policies=verdict.policies, reason=verdict.reason)
