"""Every error of the REST edge as an RFC 9457 problem, from one table.

Guarantees: a code has one HTTP status, ``type`` is stable, and an error that is not in the table becomes a bare 500
with the correlation id that the log line carries too. Of what a caller sent nothing is echoed but the name of a field
that is not known, where it looks like one: whoever misspells a field is told which.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from wingman_core.errors import Code, WingmanError

MEDIA_TYPE: Final = "application/problem+json"
UNEXPECTED: Final = 500
TOO_LARGE: Final = 413
TOO_SLOW: Final = 408
MAX_PLACES: Final = 20
UNKNOWN_FIELD: Final = "extra_forbidden"
UNKNOWN_TAG: Final = "union_tag_invalid"
FIELD: Final = re.compile(r"[A-Za-z][A-Za-z_]{0,39}", re.ASCII)

STATUS: Final[Mapping[Code, int]] = {
    # The text is no command, or it names nothing that can be acted on.
    Code.COMMAND_TOO_LONG: 422,
    Code.COMMAND_CHARACTER: 422,
    Code.COMMAND_QUOTING: 422,
    Code.COMMAND_EMPTY: 422,
    Code.COMMAND_NOT_DOCKER: 422,
    Code.COMMAND_GLOBAL_FLAG: 422,
    Code.COMMAND_UNKNOWN: 422,
    Code.COMMAND_REFUSED: 422,
    Code.COMMAND_FLAG: 422,
    Code.COMMAND_VALUE: 422,
    Code.COMMAND_ARGUMENTS: 422,
    Code.TARGET_NOT_FOUND: 422,
    Code.TARGET_AMBIGUOUS: 422,
    Code.ENVIRONMENT_MISMATCH: 422,
    Code.POLICY_FORBIDS: 422,
    Code.APPROVAL_SIGN_OFF: 422,
    Code.REQUEST_INVALID: 422,
    Code.IDEMPOTENCY_MISMATCH: 422,
    # The state does not allow it, or not any more.
    Code.TARGET_CHANGED: 409,
    Code.TARGET_EXISTS: 409,
    Code.TARGET_TOO_MANY: 409,
    Code.POLICY_NEEDS_PEOPLE: 409,
    Code.BOUNDARY_VIOLATED: 409,
    Code.OPERATION_MISMATCH: 409,
    Code.TOKEN_SPENT: 409,
    Code.APPROVAL_SPENT: 409,
    Code.APPROVAL_DECIDED: 409,
    Code.APPROVAL_EXPIRED: 409,
    Code.APPROVAL_PENDING: 409,
    Code.APPROVAL_TWICE: 409,
    Code.IDEMPOTENCY_RUNNING: 409,
    # Who asks.
    Code.KEY_MISSING: 401,
    Code.KEY_INVALID: 401,
    Code.ROLE_MISSING: 403,
    Code.PERSON_MISMATCH: 403,
    Code.APPROVAL_SELF: 403,
    # What is asked for.
    Code.APPROVAL_UNKNOWN: 404,
    Code.EXECUTION_UNKNOWN: 404,
    Code.OUTCOME_KNOWN: 409,
    Code.NOT_FOUND: 404,
    Code.CONSUMER_UNKNOWN: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.CONSUMER_CHANGED: 409,
    Code.EVENTS_LOST: 410,
    Code.REQUEST_TOO_LARGE: 413,
    Code.REQUEST_TIMEOUT: 408,
    Code.LIMIT_EXCEEDED: 429,
    # The gateway refuses what the API itself presents: keys, certificates or clocks are set up wrongly.
    Code.TOKEN_MALFORMED: 502,
    Code.TOKEN_ALGORITHM: 502,
    Code.TOKEN_KEY_UNKNOWN: 502,
    Code.TOKEN_SIGNATURE: 502,
    Code.TOKEN_CLAIMS: 502,
    Code.TOKEN_EXPIRED: 502,
    Code.TOKEN_EARLY: 502,
    Code.TOKEN_AUDIENCE: 502,
    Code.TOKEN_ISSUER: 502,
    Code.TOKEN_ENVIRONMENT: 502,
    Code.TOKEN_CLIENT: 502,
    Code.TOKEN_OPERATION: 502,
    Code.CALLER_UNKNOWN: 502,
    Code.CALLER_ROLE: 502,
    Code.ENGINE_REFUSED: 502,
    # What is down or slow.
    Code.ENGINE_UNAVAILABLE: 503,
    Code.DATABASE_UNAVAILABLE: 503,
    Code.GATEWAY_UNAVAILABLE: 503,
    Code.POLICY_INVALID: 503,
    Code.CALLER_GONE: 503,
    Code.LEDGER_UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
    # Never on purpose.
    Code.CANONICAL_INVALID: 500,
    Code.LOG_CORRUPT: 500,
    Code.CHECKPOINT_INVALID: 500,
    Code.RECEIPT_INVALID: 500,
    Code.BACKUP_INVALID: 500,
    Code.SETTING_INVALID: 500,
    Code.INTERNAL: 500,
}
HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    408: {"Connection": "close"},
    401: {"WWW-Authenticate": 'Bearer realm="wingman"'},
    429: {"Retry-After": "1"},
    503: {"Retry-After": "2"},
}
RETRY_AFTER: Final = re.compile(r"[0-9]{1,6}")
"""Seconds, as an error's ``retry_after`` may say them."""
FRAMEWORK: Final[Mapping[int, Code]] = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}


class Place(BaseModel):
    """One place in a request that is not as the API expects it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: str = Field(description="A path such as `body.commands.0`.")
    reason: str


class Problem(BaseModel):
    """An error as RFC 9457 describes it, with a stable code and the way out."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_serialization_defaults_required=True,
        json_schema_extra={
            "example": {
                "type": "urn:wingman:problem:approval-decided",
                "title": "Approval decided",
                "status": 409,
                "detail": "the request is APPROVED already",
                "code": "APPROVAL_DECIDED",
                "hint": "nothing is left to decide",
                "details": {"status": "APPROVED"},
                "places": [],
                "correlation_id": "6f1c9f2e7a9b4d0f8a51c0a2f7f4c1de",
            }
        },
    )

    type: str = Field(description="`urn:wingman:problem:` and the code in lower case; never changes its meaning.")
    title: str
    status: int
    detail: str = Field(description="What happened.")
    code: str = Field(description="The stable code, also in the gateway's errors and the audit log.")
    hint: str = Field(default="", description="What to do about it.")
    details: dict[str, str] = Field(default_factory=dict, description="Facts for programs, such as `status`.")
    places: list[Place] = Field(default_factory=list, description="Which parts of the request are not valid.")
    correlation_id: str = Field(default="", description="The request's id in the API's log.")


def problem(error: WingmanError, correlation_id: str, places: Sequence[Place] = ()) -> JSONResponse:
    """Return the response for an error that Wingman raised on purpose."""
    status = STATUS.get(error.code, UNEXPECTED)
    if status == UNEXPECTED:
        return internal(correlation_id)
    body = Problem(
        type=f"urn:wingman:problem:{error.code.lower().replace('_', '-')}",
        title=error.code.replace("_", " ").capitalize(),
        status=status,
        detail=error.message,
        code=error.code,
        hint=error.hint,
        details=dict(error.details),
        places=list(places),
        correlation_id=correlation_id,
    )
    headers = dict(HEADERS.get(status, {}))
    if RETRY_AFTER.fullmatch(seconds := error.details.get("retry_after", "")):
        headers["Retry-After"] = seconds
    return JSONResponse(body.model_dump(), status, headers, MEDIA_TYPE)


def internal(correlation_id: str) -> JSONResponse:
    """Return the bare response for everything nobody foresaw."""
    body = Problem(
        type="urn:wingman:problem:internal",
        title="Internal",
        status=UNEXPECTED,
        detail="the API failed in a way nobody foresaw; what it did is in the audit log",
        code=Code.INTERNAL,
        hint="look the correlation id up in the API's log",
        correlation_id=correlation_id,
    )
    return JSONResponse(body.model_dump(), UNEXPECTED, media_type=MEDIA_TYPE)


def too_large(correlation_id: str) -> JSONResponse:
    """Return the refusal of a body over the limit."""
    refusal = WingmanError(
        Code.REQUEST_TOO_LARGE, "the body is larger than 256 KiB", hint="send less, or split the request"
    )
    return problem(refusal, correlation_id)


def too_slow(correlation_id: str) -> JSONResponse:
    """Return the refusal of a body that does not arrive."""
    refusal = WingmanError(
        Code.REQUEST_TIMEOUT, "the body did not arrive in time", hint="send it at once; Content-Length is its length"
    )
    return problem(refusal, correlation_id)


def correlation_id_of(request: Request) -> str:
    """Return the id that the edge gave this request."""
    return str(request.state.correlation_id)


def install(app: FastAPI) -> None:
    """Answer every refusal as a problem, and describe that in the OpenAPI document."""
    app.add_exception_handler(WingmanError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, refused_by_framework)


def declared(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses of an operation that may answer with ``codes``, besides what all may.

    Whoever is asked for a key is limited too, and whoever may send too much may send it too slowly.
    """
    always = (Code.REQUEST_INVALID, Code.INTERNAL, Code.DATABASE_UNAVAILABLE)
    limited = (Code.LIMIT_EXCEEDED,) if Code.KEY_INVALID in codes else ()
    slow = (Code.REQUEST_TIMEOUT,) if Code.REQUEST_TOO_LARGE in codes else ()
    grouped: dict[int, list[str]] = {}
    for code in dict.fromkeys((*codes, *slow, *limited, *always)):
        grouped.setdefault(STATUS[code], []).append(code)
    return {
        status: {
            "description": ", ".join(names),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, names in sorted(grouped.items())
    }


async def _refused(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, WingmanError):
        raise TypeError("registered for WingmanError alone") from error
    request.state.refusal = error  # for the log line
    return problem(error, correlation_id_of(request))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Say where the request is wrong, without a word of what stood there."""
    if not isinstance(error, RequestValidationError):
        raise TypeError("registered for RequestValidationError alone") from error
    found = error.errors()
    places = [Place(where=_path(entry), reason=_reason(entry)) for entry in found[:MAX_PLACES]]
    refusal = WingmanError(
        Code.REQUEST_INVALID,
        f"the request is not valid in {len(found)} place{'s' if len(found) != 1 else ''}",
        hint="compare it with /openapi.json",
    )
    return problem(refusal, correlation_id_of(request), places)


async def refused_by_framework(request: Request, error: Exception) -> JSONResponse:
    """Return the answer to what never came to a route; header fields of the framework's own stay."""
    if not isinstance(error, HTTPException):
        raise TypeError("registered for HTTPException alone") from error
    correlation_id = correlation_id_of(request)
    if error.status_code == TOO_LARGE:
        return too_large(correlation_id)
    if error.status_code == TOO_SLOW:
        return too_slow(correlation_id)
    code = FRAMEWORK.get(error.status_code, Code.REQUEST_INVALID)
    response = problem(WingmanError(code, error.detail.lower(), hint="GET / lists the endpoints"), correlation_id)
    response.headers.update(error.headers or {})
    return response


def _path(entry: Mapping[str, Any]) -> str:
    """Return a place as one word; a name that is not one of ours only where it looks like a field's."""
    *parts, last = entry["loc"]
    if entry["type"] == UNKNOWN_FIELD and not FIELD.fullmatch(str(last)):
        last = "(unknown)"
    return ".".join(str(part) if isinstance(part, int) else ascii(part)[1:-1][:64] for part in (*parts, last))


def _reason(entry: Mapping[str, Any]) -> str:
    context = entry.get("ctx", {}).get("error", "")
    if entry["type"] == "json_invalid":
        return f"no JSON: {context}"
    if entry["type"] == UNKNOWN_TAG:
        return f"{entry['ctx']['discriminator']} is none of: {entry['ctx']['expected_tags']}"
    return str(entry["msg"])
