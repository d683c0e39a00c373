"""The gRPC edge: who may call which method, requests to domain values, events to messages, errors to status.

Guarantees: every method passes ``Admission`` first, before its request's message has come; a refusal carries
``google.rpc.ErrorInfo`` with a stable reason, and an error that nobody expected is told as a bare internal error with a
correlation id.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Final, NoReturn, TypeAlias, assert_never

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from structlog.typing import FilteringBoundLogger

from wingman_core.errors import Code, WingmanError
from wingman_core.observation import ContainerState, PathState, ProcessLists
from wingman_gateway.audit_log import AuditLog, Entry, Proof
from wingman_gateway.callers import Caller, Callers
from wingman_gateway.execution import Executor
from wingman_gateway.judgement import Judge
from wingman_gateway.limits import Limits
from wingman_gateway.messages import audit_entries, execute_response, observe_response, preview_response
from wingman_gateway.metrics import Metrics
from wingman_gateway.observer import Asker, Observer
from wingman_gateway.records import Attempt, Records
from wingman_gateway.refusals import Refusals
from wingman_gateway.settlement import Settler
from wingman_gateway.tracing import Call
from wingman_rpc.v1 import gateway_pb2 as pb
from wingman_rpc.v1 import gateway_pb2_grpc as pb_grpc

DOMAIN: Final = "wingman"
METADATA_LIMIT: Final = 1024
MESSAGE_SECONDS: Final = 10.0
"""Seconds that a caller may take for the one message of its request."""
CORRELATION: Final = "x-correlation-id"
CORRELATION_FORM: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"

STATUS: Final = {
    **{code: grpc.StatusCode.INVALID_ARGUMENT for code in Code if code.startswith("COMMAND_")},
    **{code: grpc.StatusCode.UNAUTHENTICATED for code in Code if code.startswith("TOKEN_")},
    Code.REQUEST_INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Code.ENVIRONMENT_MISMATCH: grpc.StatusCode.INVALID_ARGUMENT,
    Code.CALLER_UNKNOWN: grpc.StatusCode.UNAUTHENTICATED,
    Code.CALLER_ROLE: grpc.StatusCode.PERMISSION_DENIED,
    Code.POLICY_FORBIDS: grpc.StatusCode.PERMISSION_DENIED,
    Code.BOUNDARY_VIOLATED: grpc.StatusCode.FAILED_PRECONDITION,
    Code.POLICY_NEEDS_PEOPLE: grpc.StatusCode.PERMISSION_DENIED,
    Code.TOKEN_SPENT: grpc.StatusCode.ALREADY_EXISTS,
    Code.APPROVAL_SPENT: grpc.StatusCode.ALREADY_EXISTS,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.TARGET_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.TARGET_AMBIGUOUS: grpc.StatusCode.FAILED_PRECONDITION,
    Code.TARGET_CHANGED: grpc.StatusCode.FAILED_PRECONDITION,
    Code.TARGET_EXISTS: grpc.StatusCode.FAILED_PRECONDITION,
    Code.TARGET_TOO_MANY: grpc.StatusCode.FAILED_PRECONDITION,
    Code.OUTCOME_KNOWN: grpc.StatusCode.FAILED_PRECONDITION,
    Code.ENGINE_REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    Code.ENGINE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Code.DATABASE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Code.GATEWAY_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Code.LIMIT_EXCEEDED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Code.LOG_CORRUPT: grpc.StatusCode.DATA_LOSS,
}


class Edge:
    """What every method shares: the peer's certificate, and how an error leaves."""

    def __init__(self, callers: Callers, log: FilteringBoundLogger, new_id: Callable[[], str]) -> None:
        """Take the register of callers, a log, and where correlation ids come from."""
        self._callers = callers
        self._log = log
        self._new_id = new_id

    def caller(self, context: Context) -> Caller:
        """Return who is on the other end; raise ``CallerRefused`` for nobody we know."""
        certificate = next(iter(context.auth_context().get("x509_pem_cert", ())), b"")
        return self._callers.identify(certificate)

    async def abort(self, context: Context, error: Exception) -> NoReturn:
        """End the call with the status, and the ErrorInfo, of an error."""
        if isinstance(error, WingmanError) and error.code in STATUS:
            code, message = STATUS[error.code], error.message
            metadata = {**error.details, "hint": error.hint}
            reason = str(error.code)
        else:
            correlation = self._new_id()
            self._log.error("internal error", correlation=correlation, exc_info=error)
            code, message, reason = grpc.StatusCode.INTERNAL, "internal error", str(Code.INTERNAL)
            metadata = {"correlation": correlation, "hint": "tell the operator the correlation id"}
        packed = AnyMessage()
        shown = {key: value[:METADATA_LIMIT] for key, value in metadata.items() if value}
        packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=shown))
        message = message[:METADATA_LIMIT]
        status = status_pb2.Status(code=code.value[0], message=message, details=[packed])
        trailing = rpc_status.to_status(status).trailing_metadata
        await context.abort(code, message, trailing)


class Admission(grpc.aio.ServerInterceptor):
    """Step 1 of every call: the caller, its role for this method, its limits. No row in the table, no entry."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self, edge: Edge, limits: Limits, records: Records, refusals: Refusals, *, metrics: Metrics, call: Call
    ) -> None:
        """Take the edge, the limits, who words, takes and counts refusals, and what opens a call's span."""
        self._edge = edge
        self._limits = limits
        self._records = records
        self._refusals = refusals
        self._metrics = metrics
        self._call = call

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Wrap the method's handler so that it runs for admitted callers alone."""
        method = str(handler_call_details.method)
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None  # gRPC answers UNIMPLEMENTED
        behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        # A stream of one message is on the wire what a message is, so that one wrapper serves every method, and a
        # caller is admitted before its message has come: streams that say nothing count among its calls in flight.
        return grpc.stream_stream_rpc_method_handler(
            self._guard(method, behaviour, streams=handler.request_streaming),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _guard(
        self, method: str, behaviour: Callable[[Any, Context], Any], *, streams: bool
    ) -> Callable[[AsyncIterator[Any], Context], Any]:
        async def guarded(requests: AsyncIterator[Any], context: Context) -> None:
            identity = ""
            if correlation := _correlation_of(context):
                structlog.contextvars.bind_contextvars(correlation_id=correlation)
            try:
                caller = self._edge.caller(context)
                identity = caller.identity
                caller.require(method)
                place = self._limits.admit(f"{identity} {method.rpartition('/')[0]}")
                place.__enter__()
            except WingmanError as error:
                self._metrics.refused("", str(error.code))
                await self._refusals.record(self._records.refused(Attempt(identity), error))
                await self._edge.abort(context, error)
            try:
                request = requests if streams else await self._message(requests, context)
                with self._call(method, context.invocation_metadata() or ()):
                    result = behaviour(request, context)
                    if hasattr(result, "__aiter__"):
                        async with aclosing(result):  # a caller that is gone is noticed now, not when memory is tidied
                            async for message in result:
                                await context.write(message)
                    elif (message := await result) is not None:
                        await context.write(message)
            finally:
                place.__exit__(None, None, None)

        return guarded

    async def _message(self, requests: AsyncIterator[Any], context: Context) -> Any:  # noqa: ANN401 - any message
        """Return a request's one message; end the call where it does not come."""
        try:
            async with asyncio.timeout(MESSAGE_SECONDS):
                message = await anext(requests)
        except (TimeoutError, StopAsyncIteration):
            error = WingmanError(Code.REQUEST_INVALID, "the request has no message", hint="send it with the call")
            await self._edge.abort(context, error)
        return message


def _correlation_of(context: Context) -> str:
    """Return the id that the caller's own log has for this call; empty for none, or for what could be no such id."""
    for name, value in context.invocation_metadata() or ():
        if name == CORRELATION and isinstance(value, str) and CORRELATION_FORM.fullmatch(value):
            return value
    return ""


class Servicer(pb_grpc.ExecutionGatewayServicer):
    """``wingman_rpc.v1.ExecutionGateway``."""

    def __init__(self, edge: Edge, judge: Judge, executor: Executor, observer: Observer, metrics: Metrics) -> None:
        """Take the edge, the three use cases, and what they count."""
        self._edge = edge
        self._judge = judge
        self._executor = executor
        self._observer = observer
        self._metrics = metrics

    async def Preview(self, request: pb.PreviewRequest, context: Context) -> pb.PreviewResponse:  # noqa: N802
        """Parse, resolve and judge; run nothing."""
        try:
            preview = await self._judge.preview(request.command, request.worker, request.environment)
            return preview_response(preview)
        except Exception as error:  # noqa: BLE001 - the edge maps every error
            await self._edge.abort(context, error)

    async def Execute(  # noqa: N802
        self, request: pb.ExecuteRequest, context: Context
    ) -> AsyncIterator[pb.ExecuteResponse]:
        """Run once what the token was minted for; stream what happens."""
        try:
            caller = self._edge.caller(context)
            execution = self._executor.begin(request.capability_token, request.command, caller)
            try:
                async for event in execution.events():
                    yield execute_response(event)
            finally:
                execution.leave()
        except Exception as error:  # noqa: BLE001 - the edge maps every error
            await self._edge.abort(context, error)

    async def Observe(self, request: pb.ObserveRequest, context: Context) -> pb.ObserveResponse:  # noqa: N802
        """Tell one fact about a container."""
        try:
            return observe_response(await self._observe(request))
        except Exception as error:  # noqa: BLE001 - the edge maps every error
            await self._edge.abort(context, error)

    async def Metrics(self, _request: pb.MetricsRequest, _context: Context) -> pb.MetricsResponse:  # noqa: N802
        """Tell what was counted and timed."""
        return pb.MetricsResponse(text=self._metrics.text())

    async def _observe(self, request: pb.ObserveRequest) -> ContainerState | ProcessLists | PathState:
        asker = Asker(request.worker, request.environment)
        match request.WhichOneof("observation"):
            case "state":
                return await self._observer.state(asker, request.container)
            case "processes":
                return await self._observer.processes(asker, request.container)
            case "path":
                return await self._observer.path(asker, request.container, request.path.path)
            case None:
                raise _nothing_asked("observation")
            case other:
                assert_never(other)


class AuditServicer(pb_grpc.AuditLogServicer):
    """``wingman_rpc.v1.AuditLog``."""

    def __init__(self, edge: Edge, log: AuditLog, settler: Settler) -> None:
        """Take the edge and the log."""
        self._edge = edge
        self._settler = settler
        self._log = log

    async def Checkpoint(self, _request: pb.CheckpointRequest, context: Context) -> pb.CheckpointResponse:  # noqa: N802
        """Return the newest signed checkpoint."""
        try:
            head = await self._log.head()
            return pb.CheckpointResponse(size=head.size, note=head.note)
        except Exception as error:  # noqa: BLE001 - the edge maps every error
            await self._edge.abort(context, error)

    async def Settle(self, request: pb.SettleRequest, context: Context) -> pb.SettleResponse:  # noqa: N802
        """Append a person's word on an outcome that is UNKNOWN."""
        try:
            by = self._edge.caller(context).identity
            position = await self._settler.settle(request.execution_id, request.outcome, request.note, by)
            return pb.SettleResponse(position=position)
        except Exception as error:  # noqa: BLE001 - the edge maps every error
            await self._edge.abort(context, error)

    async def Get(self, request: pb.GetRequest, context: Context) -> pb.GetResponse:  # noqa: N802
        """Return a record, or an execution's."""
        try:
            return pb.GetResponse(entries=audit_entries(await self._entries(request)))
        except Exception as error:  # noqa: BLE001 - the edge maps every error
            await self._edge.abort(context, error)

    async def Prove(self, request: pb.ProveRequest, context: Context) -> pb.ProveResponse:  # noqa: N802
        """Return a proof."""
        try:
            proof = await self._proof(request)
            return pb.ProveResponse(tree_size=proof.tree_size, hashes=proof.hashes, note=proof.note)
        except Exception as error:  # noqa: BLE001 - the edge maps every error
            await self._edge.abort(context, error)

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListResponse:  # noqa: N802
        """Return records in order."""
        try:
            head, found = await self._log.page(request.first, request.limit)
            return pb.ListResponse(entries=audit_entries(found), size=head.size)
        except Exception as error:  # noqa: BLE001 - the edge maps every error
            await self._edge.abort(context, error)

    async def _entries(self, request: pb.GetRequest) -> tuple[Entry, ...]:
        match request.WhichOneof("which"):
            case "position":
                return await self._log.at(request.position)
            case "execution_id":
                return await self._log.of(request.execution_id)
            case None:
                raise _nothing_asked("record")
            case other:
                assert_never(other)

    async def _proof(self, request: pb.ProveRequest) -> Proof:
        match request.WhichOneof("what"):
            case "position":
                return await self._log.prove(request.position, request.tree_size)
            case "old_size":
                return await self._log.prove_growth(request.old_size, request.tree_size)
            case None:
                raise _nothing_asked("proof")
            case other:
                assert_never(other)


def _nothing_asked(what: str) -> WingmanError:
    return WingmanError(Code.REQUEST_INVALID, f"the request names no {what}", hint="see gateway.proto for the choice")
