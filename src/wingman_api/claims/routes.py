"""``/log_claim``, ``/verify``, ``/stats``: what workers say they did, and whether it is so."""

from typing import Annotated, Final, cast

from fastapi import Depends, Query, Request

from wingman_api.claims.ledger import Entry
from wingman_api.claims.record import Verification
from wingman_api.claims.schemas import (
    PERIODS,
    LoggedAnswer,
    Period,
    StatisticsAnswer,
    ToLog,
    ToVerify,
    VerifiedAnswer,
)
from wingman_api.claims.verification import Claims, Wish
from wingman_api.idempotency.dependencies import REPEATABLE, once
from wingman_api.idempotency.once import Once
from wingman_api.identity.caller import Caller, Permission
from wingman_api.identity.dependencies import closed, permitted
from wingman_api.problems import declared
from wingman_core.errors import Code

KEY: Final = (Code.KEY_MISSING, Code.KEY_INVALID, Code.ROLE_MISSING)
CLAIMING: Final = (*KEY, *REPEATABLE, Code.REQUEST_TOO_LARGE, Code.PERSON_MISMATCH)

router = closed(tags=["claims"])


def _claims(request: Request) -> Claims:
    return cast("Claims", request.app.state.claims)


Service = Annotated[Claims, Depends(_claims)]
Claimant = Annotated[Caller, Depends(permitted(Permission.CLAIM))]
Reader = Annotated[Caller, Depends(permitted(Permission.READ))]
LoggedOnce = Annotated[Once[Entry] | None, Depends(once("logClaim", LoggedAnswer.of))]
VerifiedOnce = Annotated[Once[Verification] | None, Depends(once("verifyClaim", VerifiedAnswer.of))]


@router.post("/log_claim", operation_id="logClaim", responses=declared(*CLAIMING, Code.LEDGER_UNAVAILABLE))
async def log_claim(said: ToLog, service: Service, caller: Claimant, once: LoggedOnce) -> LoggedAnswer:
    """Append a claim to the ledger; answered when it is on disk."""
    return LoggedAnswer.of(await service.log(said.claim, said.worker_id, caller, once))


@router.post("/verify", operation_id="verifyClaim", responses=declared(*CLAIMING))
async def verify(wanted: ToVerify, service: Service, caller: Claimant, once: VerifiedOnce) -> VerifiedAnswer:
    """Look whether a claim is so, and return the verdict with its evidence."""
    wish = Wish(
        claim=wanted.claim,
        assertions=tuple(wanted.assertions or ()),
        worker=wanted.worker_id,
        use_enhanced=wanted.use_enhanced,
    )
    return VerifiedAnswer.of(await service.verify(wish, caller, once))


@router.get("/stats", operation_id="getStatistics", responses=declared(*KEY))
async def statistics(
    service: Service,
    caller: Reader,
    period: Annotated[Period, Query(alias="range", description="How far back.")] = "24h",
) -> StatisticsAnswer:
    """Return how many claims were verified, with what verdicts, and how long it took; a worker's key sees its own."""
    since, found = await service.statistics(PERIODS[period], caller)
    return StatisticsAnswer.of(period, since, found)
