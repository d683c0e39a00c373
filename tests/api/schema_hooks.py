"""What Schemathesis loads beside its configuration."""

import uuid
from typing import Any

import schemathesis

from tests.api.documented import OPERATIONS

HEADER = "Idempotency-Key"
SHOWN = OPERATIONS["requestApproval"].parameters("header")[HEADER]


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Send a new key instead of the example's: one for every request is a mismatch, and hides what comes after."""
    if case.headers and case.headers.get(HEADER) == SHOWN:
        case.headers[HEADER] = str(uuid.uuid4())
