"""A gateway for the API's tests: the real protocol and certificates, a scripted engine, a real audit log.

It reads commands with the real grammar, verifies tokens with the real procedure, spends approvals in the real
``execution_audit`` as the gateway's own role, and runs nothing. What it answers is set by a test beforehand.
"""

# ruff: noqa: ANN401, N802, C901 - requests, contexts and SQL arguments are of any kind here

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import asyncpg
import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from wingman_cli.pki import Authority, thumbprint
from wingman_core import capability
from wingman_core.audit_record import AuditRecord, RecordKind
from wingman_core.canonical import rfc3339
from wingman_core.command import facts, operation_digest, parse, references, render
from wingman_core.command.hidden import hide
from wingman_core.errors import CapabilityRefused, Code, TargetRefused, WingmanError
from wingman_core.notes import verifier_key_of
from wingman_core.target import Reference, Target, targets_digest
from wingman_gateway.audit_store import AuditStore
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1 import gateway_pb2_grpc as pb_grpc

ORIGIN = "wingman/test/log"
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
VERIFIER = verifier_key_of(ORIGIN, LOG_KEY)

STATUSES = {
    Code.POLICY_FORBIDS: grpc.StatusCode.PERMISSION_DENIED,
    Code.TARGET_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.TARGET_CHANGED: grpc.StatusCode.FAILED_PRECONDITION,
    Code.APPROVAL_SPENT: grpc.StatusCode.ALREADY_EXISTS,
    Code.ENGINE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
}


def automatic(reason: str = "reads are automatic") -> pb.Verdict:
    return pb.Verdict(outcome=pb.Verdict.OUTCOME_AUTOMATIC, policies=["reads"], reason=reason)


def people(count: int) -> pb.Verdict:
    return pb.Verdict(outcome=pb.Verdict.OUTCOME_PEOPLE, people=count, policies=["people"], reason="people decide")


def forbidden(reason: str) -> pb.Verdict:
    return pb.Verdict(outcome=pb.Verdict.OUTCOME_FORBIDDEN, policies=["no-shell"], reason=reason)


@dataclass
class Script:
    """What an execution of one command does. Set ``gate`` to hold it before it finishes."""

    output: list[tuple[str, bytes]] = field(default_factory=list)
    exit_code: int = 0
    outcome: pb.Finished.Outcome = pb.Finished.OUTCOME_SUCCEEDED
    gate: asyncio.Event | None = None
    before_accepting: asyncio.Event | None = None
    breaks: bool = False
    """Whether the stream ends without ``finished``."""
    journalled: bool = False
    """Whether the RESULT record waits in the journal."""


class FakeGateway(pb_grpc.ExecutionGatewayServicer):
    """State a test may set and look at."""

    def __init__(self, audit: AuditStore, keys: Path, now: Callable[[], datetime]) -> None:
        self.audit = audit
        self._reconciled: dict[str, AuditRecord] = {}
        self._keys = keys
        self._now = now
        self.verdicts: dict[str, pb.Verdict] = {}
        self.refusals: dict[str, WingmanError | grpc.StatusCode | tuple[tuple[str, bytes], ...]] = {}
        self.scripts: dict[str, Script] = {}
        self.answers: dict[str, Callable[[pb.PreviewResponse], None]] = {}
        self.events: list[pb.ExecuteResponse] | None = None
        self.radius = pb.BlastRadius(summary="web restarts", reversible=True, stops=["web"])
        self.execution_ids: dict[str, str] = {}
        """By approval; those that a test does not name are made from the approval's id."""
        self.claims: list[capability.Claims] = []
        self.previewed: list[pb.PreviewRequest] = []
        self.metadata: list[dict[str, str]] = []
        """What came with each call."""
        self.facts: dict[str, pb.ObserveResponse] = {"": pb.ObserveResponse(processes=pb.ProcessLists(complete=True))}
        """What ``Observe`` answers, by container; empty for all running ones."""
        self.observed: list[pb.ObserveRequest] = []
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def Preview(self, request: pb.PreviewRequest, context: Any) -> pb.PreviewResponse:
        self.previewed.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        await self._refuse(request.command, context)
        op = parse(request.command)
        text = render(op)
        targets = tuple(_target(reference) for reference in references(op))
        stated = facts(op)
        verdict = self.verdicts.get(text, automatic() if stated.effect == "read" else people(1))
        response = pb.PreviewResponse(
            canonical_command=text,
            operation_digest=operation_digest(op),
            targets=[
                pb.Target(
                    kind=t.reference.kind,
                    reference=t.reference.name,
                    role=t.reference.role,
                    id=t.id,
                    name=t.name,
                    labels={"a": "b"},
                )
                for t in targets
            ],
            target_digest=targets_digest(targets),
            facts=pb.Facts(verb=stated.verb, effect=stated.effect, images=stated.images),
            blast_radius=self.radius if stated.effect != "read" else pb.BlastRadius(reversible=True),
            verdict=verdict,
        )
        if text in self.answers:
            self.answers[text](response)
        return response

    async def Execute(self, request: pb.ExecuteRequest, context: Any) -> AsyncIterator[pb.ExecuteResponse]:
        self.metadata.append(dict(context.invocation_metadata()))
        await self._refuse(request.command, context)
        if self.events is not None:
            for event in self.events:
                yield event
            return
        try:
            verified = self._verify(request, context)
        except CapabilityRefused as error:
            await _abort(context, error)
            return
        self.claims.append(verified.claims)
        script = self.scripts.get(request.command, Script())
        if script.before_accepting:
            await script.before_accepting.wait()
        made = f"exe_{hashlib.sha256(verified.claims.apr.encode()).hexdigest()[:26]}"
        execution_id = self.execution_ids.get(verified.claims.apr, made)
        intent = self._intent(execution_id, verified, request.command)
        try:
            position = await self.audit.append(intent)
        except CapabilityRefused as error:
            await _abort(context, error)
            return
        yield pb.ExecuteResponse(accepted=pb.Accepted(execution_id=execution_id, audit_position=position))
        digest = hashlib.sha256()
        for stream, data in script.output:
            digest.update(data)
            match stream:
                case "stdout":
                    yield pb.ExecuteResponse(stdout=data)
                case "stderr":
                    yield pb.ExecuteResponse(stderr=data)
                case _:
                    yield pb.ExecuteResponse(progress=data.decode())
        if script.gate:
            await script.gate.wait()
        if script.breaks:
            return
        finished = pb.Finished(
            outcome=script.outcome, exit_code=script.exit_code, duration_ms=12, output_digest=digest.hexdigest()
        )
        finished.finished_at.FromDatetime(self._now())
        finished.audit_position = -1
        if not script.journalled:
            finished.audit_position = await self._result(intent, finished)
        yield pb.ExecuteResponse(finished=finished)

    async def Observe(self, request: pb.ObserveRequest, context: Any) -> pb.ObserveResponse:
        self.observed.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        await self._refuse(request.container, context)
        if request.container not in self.facts:
            missing = TargetRefused(Code.TARGET_NOT_FOUND, f"there is no container {request.container!a}")
            await _abort(context, missing)
        return self.facts[request.container]

    async def Metrics(self, request: pb.MetricsRequest, context: Any) -> pb.MetricsResponse:
        await self._refuse(request.DESCRIPTOR.name, context)
        return pb.MetricsResponse(text=b"wingman_gateway_up 1.0\n")

    async def reconcile(self, approval_id: str, outcome: Literal["SUCCEEDED", "FAILED", "UNKNOWN"]) -> None:
        """Write what the gateway would after a crash."""
        (intent,) = [each for each in await self.audit.open_intents() if each.approval_id == approval_id]
        evidence = '{"state":"exited"}'
        self._reconciled[intent.execution_id] = intent
        await self.audit.append(
            intent.concluded(RecordKind.RECONCILED, outcome, rfc3339(self._now()), evidence=evidence)
        )

    async def settle(self, execution_id: str, outcome: Literal["SUCCEEDED", "FAILED"], evidence: str) -> None:
        """Write what the gateway would when a person settles it."""
        intent = self._reconciled[execution_id]
        await self.audit.append(intent.concluded(RecordKind.SETTLED, outcome, rfc3339(self._now()), evidence=evidence))

    def _verify(self, request: pb.ExecuteRequest, context: Any) -> capability.Capability:
        peer = x509.load_pem_x509_certificate(context.auth_context()["x509_pem_cert"][0])
        verified = capability.verify(
            request.capability_token,
            keys={path.stem: path.read_text() for path in self._keys.glob("*.pem")},
            issuer="wingman-api/test",
            audience="wingman-gateway/test",
            environment="test",
            thumbprint=thumbprint(peer),
            now=int(self._now().timestamp()),
        )
        assert verified.claims.op == operation_digest(parse(request.command))
        return verified

    def _intent(self, execution_id: str, verified: capability.Capability, command: str) -> AuditRecord:
        claims = verified.claims
        return AuditRecord(
            kind=RecordKind.INTENT,
            environment="test",
            created_at=rfc3339(self._now()),
            execution_id=execution_id,
            approval_id=claims.apr,
            jti=claims.jti,
            worker=claims.sub,
            command=hide(command),
            operation_digest=claims.op,
            target_digest=claims.tgt,
            decision_digest=claims.dec,
            deciders=claims.by,
            token_hash=verified.token_hash,
            client="spiffe://wingman/test/api",
        )

    async def _result(self, intent: AuditRecord, finished: pb.Finished) -> int:
        outcome: Any = pb.Finished.Outcome.Name(finished.outcome).removeprefix("OUTCOME_")
        record = intent.concluded(
            RecordKind.RESULT,
            outcome,
            rfc3339(self._now()),
            exit_code=finished.exit_code,
            duration_ms=finished.duration_ms,
            output_digest=finished.output_digest,
        )
        return await self.audit.append(record)

    async def _refuse(self, command: str, context: Any) -> None:
        match self.refusals.get(command):
            case None:
                return
            case WingmanError() as error:
                await _abort(context, error)
            case grpc.StatusCode() as status:
                await context.abort(status, "no ErrorInfo here")
            case trailer:
                await context.abort(grpc.StatusCode.NOT_FOUND, "gone", trailer)


@asynccontextmanager
async def serve_gateway(
    pool: "asyncpg.Pool[asyncpg.Record]", pki: Authority, keys: Path, now: Callable[[], datetime], port: int = 0
) -> AsyncIterator[FakeGateway]:
    """Serve a fake gateway on a free loopback port, or on ``port``; ``pool`` is of the gateway's role."""
    audit = AuditStore(pool, origin=ORIGIN, key=LOG_KEY)
    await audit.start()
    fake = FakeGateway(audit, keys, now)
    server = grpc.aio.server()
    pb_grpc.add_ExecutionGatewayServicer_to_server(fake, server)
    conditions = health.aio.HealthServicer()
    for part in ("", "engine"):
        await conditions.set(part, health_pb2.HealthCheckResponse.SERVING)
    fake.conditions = conditions  # type: ignore[attr-defined]
    health_pb2_grpc.add_HealthServicer_to_server(conditions, server)
    leaf = pki.leaf("gateway")
    credentials = grpc.ssl_server_credentials(
        [(leaf.key.read_bytes(), leaf.certificate.read_bytes())], pki.certificate.read_bytes(), True
    )
    fake.port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
    await server.start()
    try:
        yield fake
    finally:
        await server.stop(0)
        await audit.close()


def _target(reference: Reference) -> Target:
    name = reference.name
    return Target(reference, hashlib.sha256(name.encode()).hexdigest(), name=name, state="running")


async def _abort(context: Any, error: WingmanError) -> None:
    info = error_details_pb2.ErrorInfo(
        reason=str(error.code), domain="wingman", metadata={"hint": error.hint, **error.details}
    )
    packed = AnyMessage()
    packed.Pack(info)
    code = STATUSES.get(error.code, grpc.StatusCode.UNAUTHENTICATED)
    status = status_pb2.Status(code=code.value[0], message=error.message, details=[packed])
    await context.abort(code, error.message, rpc_status.to_status(status).trailing_metadata)
