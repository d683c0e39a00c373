"""The gateway over gRPC with mutual TLS: the only module of the API that speaks it.

Guarantees: an error leaves as ``WingmanError`` with the code of the gateway's ErrorInfo; nothing is retried,
since only the gateway knows whether something ran; an answer with an unknown kind or outcome is refused.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Any, Final, Literal, assert_never, cast, get_args

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from wingman_api.gateway import Accepted, Chunk, Condition, Event, Finished, Outcome, Part, Preview
from wingman_api.telemetry import onward
from wingman_core.command import Facts
from wingman_core.errors import Code, Unavailable, WingmanError
from wingman_core.observation import (
    ContainerProcesses,
    ContainerState,
    Health,
    PathKind,
    PathState,
    ProcessLists,
    Status,
)
from wingman_core.target import Kind, Reference, Role, Target
from wingman_core.verdict import Automatic, BlastRadius, Forbidden, NeedsPeople, Verdict
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1 import gateway_pb2_grpc as pb_grpc

DOMAIN: Final = "wingman"
NO_EXIT: Final = -1
"""The exit code of what did not end by itself, or never ran."""
PREVIEW_SECONDS: Final = 20.0
OBSERVE_SECONDS: Final = 10.0
EXECUTE_SECONDS: Final = 6 * 3600.0
"""Over every limit of the gateway's own; past it the relay ends, not the execution."""
HEALTH_SECONDS: Final = 0.7
SETTLE_SECONDS: Final = 30.0
OBSERVER: Final = "wingman-claims"
"""The policy's principal for what claims are verified with; nobody's name."""
OPTIONS: Final = (
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", 8 << 20),
    # A gateway that comes back is found within seconds, however long it was away.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.min_reconnect_backoff_ms", 5_000),  # in spite of its name: how long one try to connect may take
    # A link that died without a word: what is not acknowledged for 10 s ends it, and so does a ping without an answer.
    # Pings come less often than every 5 minutes, which is what a server puts up with by default.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)

OUTCOMES: Final[Mapping[int, Outcome]] = {
    pb.Finished.OUTCOME_SUCCEEDED: "SUCCEEDED",
    pb.Finished.OUTCOME_FAILED: "FAILED",
    pb.Finished.OUTCOME_TIMED_OUT: "TIMED_OUT",
    pb.Finished.OUTCOME_UNKNOWN: "UNKNOWN",
}
STATUS: Final[Mapping[grpc.StatusCode, Code]] = {
    grpc.StatusCode.UNAVAILABLE: Code.GATEWAY_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Code.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED: Code.GATEWAY_UNAVAILABLE,
}
RESERVED: Final = frozenset({"self", "code", "message", "hint"})
Effect = Literal["read", "lifecycle", "change", "destroy"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
ROLES: Final[tuple[Role, ...]] = get_args(Role)
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
HEALTHS: Final[tuple[Health, ...]] = get_args(Health)
PATH_KINDS: Final[tuple[PathKind, ...]] = get_args(PathKind)
EFFECTS: Final[frozenset[Effect]] = frozenset({"read", "lifecycle", "change", "destroy"})


class GatewayClient:
    """One channel to one gateway; satisfies ``gateway.Gateway``."""

    def __init__(self, channel: grpc.aio.Channel, environment: str) -> None:
        """Use a channel that ``open_gateway`` made, for requests of ``environment``."""
        self._stub = pb_grpc.ExecutionGatewayStub(channel)
        self._audit = pb_grpc.AuditLogStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)
        self._environment = environment

    async def preview(self, command: str, worker: str) -> Preview:
        """Return what ``command`` would do; raise the gateway's refusal."""
        request = pb.PreviewRequest(command=command, worker=worker, environment=self._environment)
        try:
            return _preview(await self._stub.Preview(request, timeout=PREVIEW_SECONDS, metadata=onward()))
        except grpc.aio.AioRpcError as error:
            raise _refusal(error) from error

    async def execute(self, token: str, command: str) -> AsyncGenerator[Event, None]:
        """Yield the events of one execution; raise the gateway's refusal."""
        request = pb.ExecuteRequest(capability_token=token, command=command)
        call = self._stub.Execute(request, timeout=EXECUTE_SECONDS, metadata=onward())
        try:
            async for response in call:
                yield _event(response)
        except grpc.aio.AioRpcError as error:
            raise _refusal(error) from error
        finally:
            call.cancel()

    async def observe_state(self, container: str) -> ContainerState:
        """Ask how a container is; raise the gateway's refusal."""
        response = await self._observe(pb.ObserveRequest(container=container, state=pb.StateObservation()))
        return _state(_fact(response, "state").state)

    async def observe_processes(self, container: str = "") -> ProcessLists:
        """Ask what runs in one container, or in all that may be seen; raise the gateway's refusal."""
        response = await self._observe(pb.ObserveRequest(container=container, processes=pb.ProcessesObservation()))
        lists = _fact(response, "processes").processes
        containers = tuple(ContainerProcesses(each.container, tuple(each.names)) for each in lists.containers)
        return ProcessLists(containers, complete=lists.complete)

    async def observe_path(self, container: str, path: str) -> PathState:
        """Ask what is at a path inside a container; raise the gateway's refusal."""
        response = await self._observe(pb.ObserveRequest(container=container, path=pb.PathObservation(path=path)))
        return _path(_fact(response, "path").path)

    async def settle(self, execution_id: str, outcome: str, note: str) -> int:
        """Say what became of an execution, as the person of the certificate; return the record's position."""
        request = pb.SettleRequest(execution_id=execution_id, outcome=outcome, note=note)
        try:
            return int((await self._audit.Settle(request, timeout=SETTLE_SECONDS)).position)
        except grpc.aio.AioRpcError as error:
            raise _refusal(error) from error

    async def _observe(self, request: pb.ObserveRequest) -> pb.ObserveResponse:
        request.worker, request.environment = OBSERVER, self._environment
        try:
            return await self._stub.Observe(request, timeout=OBSERVE_SECONDS, metadata=onward())
        except grpc.aio.AioRpcError as error:
            raise _refusal(error) from error

    async def metrics(self) -> bytes:
        """Ask for the gateway's numbers, briefly."""
        try:
            answer = await self._stub.Metrics(pb.MetricsRequest(), timeout=HEALTH_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _refusal(error) from error
        return answer.text

    async def condition(self, part: Part) -> Condition:
        """Ask the standard health service, briefly."""
        request = health_pb2.HealthCheckRequest(service=part)
        try:
            answer = await self._health.Check(request, timeout=HEALTH_SECONDS)  # type: ignore[attr-defined] # unknown to its stubs
        except grpc.aio.AioRpcError:
            return "silent"
        return "serving" if answer.status == health_pb2.HealthCheckResponse.SERVING else "not serving"


@asynccontextmanager
async def open_gateway(
    address: str, *, key: bytes, chain: bytes, authority: bytes, environment: str
) -> AsyncIterator[GatewayClient]:
    """Open a channel with the client certificate (PEM); it connects on first use, and again after a loss.

    An address is ``host:port``, or ``unix:/path`` of what carries bytes to a gateway, whose name is localhost then.
    """
    credentials = grpc.ssl_channel_credentials(authority, key, chain)
    named = (("grpc.default_authority", "localhost"),) if address.startswith("unix:") else ()
    async with grpc.aio.secure_channel(address, credentials, options=(*OPTIONS, *named)) as channel:
        yield GatewayClient(channel, environment)


def _refusal(error: grpc.aio.AioRpcError) -> WingmanError:
    """Return the error that the gateway named, or what its status says where it named none."""
    for info in _error_infos(error):
        if info.domain == DOMAIN and info.reason in Code.__members__:
            details = {name: value for name, value in info.metadata.items() if name not in RESERVED}
            return WingmanError(
                Code(info.reason), error.details() or info.reason, hint=info.metadata.get("hint", ""), **details
            )
    code = STATUS.get(error.code(), Code.INTERNAL)
    if code is Code.INTERNAL:
        return WingmanError(code, f"the gateway failed with {error.code().name}")
    return Unavailable(code, "the gateway does not answer", hint="see whether it runs: wingman-gateway's log")


def _error_infos(error: grpc.aio.AioRpcError) -> list[error_details_pb2.ErrorInfo]:
    try:
        status = rpc_status.from_call(cast("Any", error))
    except (ValueError, DecodeError):  # no status, or another than the call's: believe the call's alone
        return []
    infos = []
    for detail in () if status is None else status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            infos.append(info)
    return infos


def _event(response: pb.ExecuteResponse) -> Event:
    match response.WhichOneof("event"):
        case "accepted":
            return Accepted(response.accepted.execution_id, response.accepted.audit_position)
        case "stdout":
            return Chunk("stdout", response.stdout)
        case "stderr":
            return Chunk("stderr", response.stderr)
        case "progress":
            return Chunk("progress", response.progress.encode())
        case "finished":
            return _finished(response.finished)
        case None:
            raise _not_understood("an event without a kind")
        case other:
            assert_never(other)


def _finished(message: pb.Finished) -> Finished:
    if message.outcome not in OUTCOMES:
        raise _not_understood("an unknown outcome")
    return Finished(
        outcome=OUTCOMES[message.outcome],
        exit_code=None if message.exit_code == NO_EXIT else message.exit_code,
        duration_ms=message.duration_ms,
        output_digest=message.output_digest,
        audit_position=None if message.audit_position < 0 else message.audit_position,
        truncated=message.truncated,
        at=message.finished_at.ToDatetime(UTC),
    )


def _preview(message: pb.PreviewResponse) -> Preview:
    radius = message.blast_radius
    return Preview(
        canonical_command=message.canonical_command,
        operation_digest=message.operation_digest,
        targets=tuple(_target(target) for target in message.targets),
        target_digest=message.target_digest,
        facts=_facts(message.facts),
        blast_radius=BlastRadius(
            summary=radius.summary,
            reversible=radius.reversible,
            stops=tuple(radius.stops),
            ports_dropped=tuple(radius.ports_dropped),
            dependents=tuple(radius.dependents),
            data_lost=tuple(radius.data_lost),
            expected_time=radius.expected_time,
        ),
        verdict=_verdict(message.verdict),
    )


def _facts(message: pb.Facts) -> Facts:
    effect = next((known for known in EFFECTS if known == message.effect), None)
    if effect is None:
        raise _not_understood("an unknown effect")
    return Facts(
        verb=message.verb,
        effect=effect,
        privileges=tuple(message.privileges),
        shell=tuple(message.shell),
        images=tuple(message.images),
        mounts=tuple(message.mounts),
    )


def _target(message: pb.Target) -> Target:
    kind = next((known for known in KINDS if known == message.kind), None)
    role = next((known for known in ROLES if known == message.role), None)
    if kind is None or role is None:
        raise _not_understood("an unknown kind or role of target")
    return Target(
        reference=Reference(kind, message.reference, role),
        id=message.id,
        name=message.name,
        image=message.image,
        image_digest=message.image_digest,
        project=message.project,
        labels=tuple(sorted(message.labels.items())),
        state=message.state,
        privileges=tuple(message.privileges),
    )


def _verdict(message: pb.Verdict) -> Verdict:
    policies = tuple(message.policies)
    match message.outcome:
        case pb.Verdict.OUTCOME_AUTOMATIC:
            return Automatic(policies, message.reason)
        case pb.Verdict.OUTCOME_PEOPLE if message.people > 0:
            return NeedsPeople(message.people, policies, message.reason)
        case pb.Verdict.OUTCOME_FORBIDDEN:
            return Forbidden(policies, message.reason)
        case _:
            raise _not_understood("an unknown verdict")


def _fact(response: pb.ObserveResponse, kind: Literal["state", "processes", "path"]) -> pb.ObserveResponse:
    if response.WhichOneof("fact") != kind:
        raise _not_understood("another fact than it was asked for")
    return response


def _state(message: pb.ContainerState) -> ContainerState:
    status = next((known for known in STATUSES if known == message.status), None)
    health = next((known for known in HEALTHS if known == message.health), None)
    if status is None or health is None:
        raise _not_understood("an unknown state of a container")
    return ContainerState(
        name=message.name,
        status=status,
        exit_code=message.exit_code,
        started_at=message.started_at.ToDatetime(UTC) if message.HasField("started_at") else None,
        restart_count=message.restart_count,
        image=message.image,
        image_id=message.image_id,
        health=health,
    )


def _path(message: pb.PathState) -> PathState:
    kind = next((known for known in PATH_KINDS if known == message.kind), None)
    if kind is None:
        raise _not_understood("an unknown kind of path")
    modified_at = message.modified_at.ToDatetime(UTC) if message.HasField("modified_at") else None
    return PathState(kind, message.size, modified_at, message.sha256)


def _not_understood(what: str) -> WingmanError:
    return WingmanError(Code.INTERNAL, f"the gateway sent {what}", hint="run the same version of API and gateway")
