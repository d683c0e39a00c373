"""Exit codes of the command line, and the one table from error codes to them.

Guarantees: a script can tell "refused" from "down" from "wrong input" without reading text, and every code
of the registry has its place here.
"""

from enum import IntEnum
from typing import Final

from wingman_core.errors import Code


class Exit(IntEnum):
    """What a script sees."""

    DONE = 0
    FAILED = 1
    """The command ran and failed, the log differs, a step of the demo differed, or Wingman has a bug."""
    USAGE = 2
    """The input is wrong: change it before trying again."""
    REFUSED = 3
    """Policy, approval, token, key or role says no."""
    UNAVAILABLE = 4
    """Something is down, slow or busy: the same input may work later."""
    NOT_FOUND = 5
    """No such request, execution, container or image."""


_USAGE: Final = (
    Code.COMMAND_TOO_LONG,
    Code.COMMAND_CHARACTER,
    Code.COMMAND_QUOTING,
    Code.COMMAND_EMPTY,
    Code.COMMAND_NOT_DOCKER,
    Code.COMMAND_GLOBAL_FLAG,
    Code.COMMAND_UNKNOWN,
    Code.COMMAND_REFUSED,
    Code.COMMAND_FLAG,
    Code.COMMAND_VALUE,
    Code.COMMAND_ARGUMENTS,
    Code.TARGET_AMBIGUOUS,
    Code.POLICY_INVALID,
    Code.REQUEST_INVALID,
    Code.REQUEST_TOO_LARGE,
    Code.IDEMPOTENCY_MISMATCH,
    Code.METHOD_NOT_ALLOWED,
    Code.CANONICAL_INVALID,
    Code.SETTING_INVALID,
)
_REFUSED: Final = (
    Code.TOKEN_MALFORMED,
    Code.TOKEN_ALGORITHM,
    Code.TOKEN_KEY_UNKNOWN,
    Code.TOKEN_SIGNATURE,
    Code.TOKEN_CLAIMS,
    Code.TOKEN_EXPIRED,
    Code.TOKEN_EARLY,
    Code.TOKEN_AUDIENCE,
    Code.TOKEN_ISSUER,
    Code.TOKEN_ENVIRONMENT,
    Code.TOKEN_CLIENT,
    Code.TOKEN_OPERATION,
    Code.TOKEN_SPENT,
    Code.APPROVAL_SPENT,
    Code.CALLER_UNKNOWN,
    Code.CALLER_ROLE,
    Code.TARGET_CHANGED,
    Code.TARGET_EXISTS,
    Code.TARGET_TOO_MANY,
    Code.ENVIRONMENT_MISMATCH,
    Code.POLICY_FORBIDS,
    Code.POLICY_NEEDS_PEOPLE,
    Code.BOUNDARY_VIOLATED,
    Code.APPROVAL_DECIDED,
    Code.APPROVAL_EXPIRED,
    Code.APPROVAL_PENDING,
    Code.APPROVAL_SELF,
    Code.APPROVAL_TWICE,
    Code.APPROVAL_SIGN_OFF,
    Code.OPERATION_MISMATCH,
    Code.OUTCOME_KNOWN,
    Code.CONSUMER_CHANGED,
    Code.KEY_MISSING,
    Code.KEY_INVALID,
    Code.ROLE_MISSING,
    Code.PERSON_MISMATCH,
)
_UNAVAILABLE: Final = (
    Code.LIMIT_EXCEEDED,
    Code.REQUEST_TIMEOUT,
    Code.IDEMPOTENCY_RUNNING,
    Code.ENGINE_UNAVAILABLE,
    Code.ENGINE_REFUSED,
    Code.DATABASE_UNAVAILABLE,
    Code.GATEWAY_UNAVAILABLE,
    Code.DEADLINE_EXCEEDED,
    Code.LEDGER_UNAVAILABLE,
)
_NOT_FOUND: Final = (
    Code.TARGET_NOT_FOUND,
    Code.APPROVAL_UNKNOWN,
    Code.EXECUTION_UNKNOWN,
    Code.CONSUMER_UNKNOWN,
    Code.NOT_FOUND,
)
_FAILED: Final = (
    Code.CALLER_GONE,
    Code.EVENTS_LOST,
    Code.LOG_CORRUPT,
    Code.CHECKPOINT_INVALID,
    Code.RECEIPT_INVALID,
    Code.BACKUP_INVALID,
    Code.INTERNAL,
)

EXITS: Final[dict[Code, Exit]] = {
    **dict.fromkeys(_USAGE, Exit.USAGE),
    **dict.fromkeys(_REFUSED, Exit.REFUSED),
    **dict.fromkeys(_UNAVAILABLE, Exit.UNAVAILABLE),
    **dict.fromkeys(_NOT_FOUND, Exit.NOT_FOUND),
    **dict.fromkeys(_FAILED, Exit.FAILED),
}


def exit_for(code: str) -> Exit:
    """Return the exit code for an error's code; one that this version does not know counts as failed."""
    try:
        return EXITS[Code(code)]
    except ValueError:
        return Exit.FAILED
