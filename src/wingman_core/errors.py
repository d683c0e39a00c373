"""One root for every error Wingman raises on purpose, and the closed registry of their codes.

Guarantees: a code never changes its meaning, each edge (REST, gRPC, shell) maps it in one table, and a
message carries neither secrets nor unverified bytes (what a worker wrote is shown through ``ascii``).
"""

from enum import StrEnum
from typing import Final


class Code(StrEnum):
    """Stable reasons: they stand in REST problems, gRPC ErrorInfo and audit records."""

    # The text is no command (commands-and-policy: lexing, grammar, values).
    COMMAND_TOO_LONG = "COMMAND_TOO_LONG"
    COMMAND_CHARACTER = "COMMAND_CHARACTER"
    COMMAND_QUOTING = "COMMAND_QUOTING"
    COMMAND_EMPTY = "COMMAND_EMPTY"
    COMMAND_NOT_DOCKER = "COMMAND_NOT_DOCKER"
    COMMAND_GLOBAL_FLAG = "COMMAND_GLOBAL_FLAG"
    COMMAND_UNKNOWN = "COMMAND_UNKNOWN"
    COMMAND_REFUSED = "COMMAND_REFUSED"
    COMMAND_FLAG = "COMMAND_FLAG"
    COMMAND_VALUE = "COMMAND_VALUE"
    COMMAND_ARGUMENTS = "COMMAND_ARGUMENTS"

    # The token (gateway: capability token).
    TOKEN_MALFORMED = "TOKEN_MALFORMED"  # noqa: S105 - a code, not a secret
    TOKEN_ALGORITHM = "TOKEN_ALGORITHM"  # noqa: S105
    TOKEN_KEY_UNKNOWN = "TOKEN_KEY_UNKNOWN"  # noqa: S105
    TOKEN_SIGNATURE = "TOKEN_SIGNATURE"  # noqa: S105
    TOKEN_CLAIMS = "TOKEN_CLAIMS"  # noqa: S105
    TOKEN_EXPIRED = "TOKEN_EXPIRED"  # noqa: S105
    TOKEN_EARLY = "TOKEN_EARLY"  # noqa: S105
    TOKEN_AUDIENCE = "TOKEN_AUDIENCE"  # noqa: S105
    TOKEN_ISSUER = "TOKEN_ISSUER"  # noqa: S105
    TOKEN_ENVIRONMENT = "TOKEN_ENVIRONMENT"  # noqa: S105
    TOKEN_CLIENT = "TOKEN_CLIENT"  # noqa: S105
    TOKEN_OPERATION = "TOKEN_OPERATION"  # noqa: S105
    TOKEN_SPENT = "TOKEN_SPENT"  # noqa: S105
    APPROVAL_SPENT = "APPROVAL_SPENT"

    # Callers.
    CALLER_UNKNOWN = "CALLER_UNKNOWN"
    CALLER_ROLE = "CALLER_ROLE"
    CALLER_GONE = "CALLER_GONE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"

    # Targets and policy.
    TARGET_NOT_FOUND = "TARGET_NOT_FOUND"
    TARGET_AMBIGUOUS = "TARGET_AMBIGUOUS"
    TARGET_CHANGED = "TARGET_CHANGED"
    TARGET_EXISTS = "TARGET_EXISTS"
    TARGET_TOO_MANY = "TARGET_TOO_MANY"
    ENVIRONMENT_MISMATCH = "ENVIRONMENT_MISMATCH"
    POLICY_FORBIDS = "POLICY_FORBIDS"
    POLICY_NEEDS_PEOPLE = "POLICY_NEEDS_PEOPLE"
    POLICY_INVALID = "POLICY_INVALID"
    BOUNDARY_VIOLATED = "BOUNDARY_VIOLATED"

    # Approvals and requests.
    APPROVAL_UNKNOWN = "APPROVAL_UNKNOWN"
    APPROVAL_DECIDED = "APPROVAL_DECIDED"
    APPROVAL_EXPIRED = "APPROVAL_EXPIRED"
    APPROVAL_PENDING = "APPROVAL_PENDING"
    APPROVAL_SELF = "APPROVAL_SELF"
    APPROVAL_TWICE = "APPROVAL_TWICE"
    APPROVAL_SIGN_OFF = "APPROVAL_SIGN_OFF"
    OPERATION_MISMATCH = "OPERATION_MISMATCH"
    EXECUTION_UNKNOWN = "EXECUTION_UNKNOWN"
    OUTCOME_KNOWN = "OUTCOME_KNOWN"

    # The front end.
    KEY_MISSING = "KEY_MISSING"
    KEY_INVALID = "KEY_INVALID"
    ROLE_MISSING = "ROLE_MISSING"
    PERSON_MISMATCH = "PERSON_MISMATCH"
    REQUEST_INVALID = "REQUEST_INVALID"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    IDEMPOTENCY_RUNNING = "IDEMPOTENCY_RUNNING"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"

    # The feed of events.
    EVENTS_LOST = "EVENTS_LOST"
    CONSUMER_UNKNOWN = "CONSUMER_UNKNOWN"
    CONSUMER_CHANGED = "CONSUMER_CHANGED"

    # What is down or slow.
    ENGINE_UNAVAILABLE = "ENGINE_UNAVAILABLE"
    ENGINE_REFUSED = "ENGINE_REFUSED"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    GATEWAY_UNAVAILABLE = "GATEWAY_UNAVAILABLE"
    LEDGER_UNAVAILABLE = "LEDGER_UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"

    # Records and set-up.
    CANONICAL_INVALID = "CANONICAL_INVALID"
    LOG_CORRUPT = "LOG_CORRUPT"
    CHECKPOINT_INVALID = "CHECKPOINT_INVALID"
    RECEIPT_INVALID = "RECEIPT_INVALID"
    BACKUP_INVALID = "BACKUP_INVALID"
    SETTING_INVALID = "SETTING_INVALID"
    INTERNAL = "INTERNAL"


class WingmanError(Exception):
    """What went wrong (``code``, ``message``), what to do about it (``hint``), and where (``details``)."""

    def __init__(self, code: Code, message: str, *, hint: str = "", **details: str) -> None:
        super().__init__(message)
        self.code: Final = code
        self.message: Final = message
        self.hint: Final = hint
        self.details: Final = details

    def __str__(self) -> str:
        """One line for a log or a terminal: code, message, hint."""
        return f"{self.code}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class CommandRefused(WingmanError):
    """The text is not a command that Wingman runs."""


class CapabilityRefused(WingmanError):
    """The capability token does not open this door, or not any more."""


class CallerRefused(WingmanError):
    """The caller is not known, or its role does not include this."""


class LimitExceeded(WingmanError):
    """Too much, too fast, or too many at once."""


class TargetRefused(WingmanError):
    """The object does not exist, is ambiguous, or is not the one that was approved."""


class PolicyRefused(WingmanError):
    """The policy forbids it, or asks for more people than the token carries."""


class PolicyInvalid(WingmanError):
    """The policy files do not validate; nothing starts on them."""


class ApprovalRefused(WingmanError):
    """The request's state does not allow this step."""


class CanonicalError(WingmanError):
    """The value has no RFC 8785 form."""


class LogCorrupt(WingmanError):
    """The audit log differs from what was signed: ``details['position']`` names the first place."""


class Unavailable(WingmanError):
    """Engine, database, gateway or ledger do not answer; nothing was done, try again."""


class SettingInvalid(WingmanError):
    """A setting is missing or unsafe; the message names it, the hint says how to set it."""
