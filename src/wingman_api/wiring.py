"""Adapters into use cases, use cases into the places where the routes find them (``app.state``).

Guarantees: what has to run beside the requests is returned by name, for whoever runs it; nothing is opened here.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_bytes
from typing import Final

from fastapi import FastAPI
from structlog.typing import FilteringBoundLogger

from wingman_api.approvals.requests import Lifetimes, Requests
from wingman_api.approvals.store import RequestStore
from wingman_api.approvals.sweeper import Sweeper
from wingman_api.audit.receipts import Receipts
from wingman_api.audit.store import AuditLog
from wingman_api.claims.finding import Probes
from wingman_api.claims.ledger import Ledger
from wingman_api.claims.store import VerificationStore
from wingman_api.claims.translation import Translator
from wingman_api.claims.verification import Claims
from wingman_api.events.consumer_store import ConsumerStore
from wingman_api.events.consumers import Consumers
from wingman_api.events.feed import BELL, Feed
from wingman_api.events.store import CHANNEL as EVENTS
from wingman_api.events.store import EventStore
from wingman_api.events.streams import Streams
from wingman_api.events.watch import Pace, Watch
from wingman_api.events.watch_store import WatchStore
from wingman_api.executions.executions import Executions
from wingman_api.executions.minting import Mint, Signer
from wingman_api.executions.relay import Relay
from wingman_api.executions.signals import Signals
from wingman_api.executions.store import CHANNEL, ExecutionStore
from wingman_api.gateway import Gateway
from wingman_api.idempotency.store import AnswerStore
from wingman_api.identity.authenticator import Authenticator
from wingman_api.identity.caller import Role
from wingman_api.identity.store import KeyStore, key_hasher
from wingman_api.identity.uses import LastUse
from wingman_api.instructions.checking import structure_of
from wingman_api.language_model import LanguageModel
from wingman_api.limits.limiter import Limiter
from wingman_api.limits.store import RateStore
from wingman_api.limits.visit import Quotas
from wingman_api.risk.consensus import Consensus
from wingman_api.risk.sources import consulted
from wingman_api.risk.store import ConductStore
from wingman_api.rounds import rounds
from wingman_api.settings import Settings
from wingman_api.system.health import Health
from wingman_api.system.store import Database
from wingman_api.tokens.tokens import Tokens
from wingman_core.quota import Quota
from wingman_core.risk import FLOORS, Level

FORGET_SECONDS: Final = 60.0
"""Between two looks for what was kept long enough."""

Chores = Mapping[str, Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class Adapters:
    """What the process stands on, opened; ``now`` returns aware times, ``new_id`` 26 characters nobody can guess.

    ``closing`` is set when the process stops.
    """

    settings: Settings
    signer: Signer
    database: Database
    gateway: Gateway
    probes: Probes
    model: LanguageModel | None
    ledger: Ledger
    relay: Relay
    log: FilteringBoundLogger
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    closing: asyncio.Event


def wire(app: FastAPI, adapters: Adapters) -> Chores:
    """Put everything where the routes find it; return what has to run beside them."""
    answers = AnswerStore(adapters.database)
    verifications = VerificationStore(adapters.database)
    requests = _requests(adapters, answers, verifications)
    app.state.requests = requests
    app.state.gateway = adapters.gateway
    app.state.audit_log = AuditLog(adapters.database)
    app.state.receipts = Receipts(app.state.audit_log, requests)
    app.state.claims = Claims(
        verifications,
        adapters.ledger,
        adapters.probes,
        answers,
        translator=Translator(adapters.model, adapters.settings.llm_timeout),
        now=adapters.now,
        clock=time.monotonic,
        new_id=adapters.new_id,
        counted=app.state.metrics.verdict,
        log=adapters.log,
    )
    return {
        **_executions(app, adapters, requests, answers),
        **_identity(app, adapters, answers),
        **_events(app, adapters),
    }


def _requests(adapters: Adapters, answers: AnswerStore, verifications: VerificationStore) -> Requests:
    settings = adapters.settings
    sources = consulted(
        clock=time.monotonic,
        structure=structure_of,
        conduct=ConductStore(adapters.database).conduct,
        false_claims=verifications.false_claims,
        model=adapters.model,
        model_seconds=settings.llm_timeout,
    )
    return Requests(
        RequestStore(adapters.database),
        answers,
        adapters.gateway,
        consensus=Consensus(settings.environment, sources if settings.consensus_enabled else (), log=adapters.log),
        floors={**FLOORS, Level.HIGH: settings.high_risk_people},
        environment=settings.environment,
        lifetimes=Lifetimes(high=timedelta(seconds=settings.expiry_high), other=timedelta(seconds=settings.expiry)),
        now=adapters.now,
        new_id=adapters.new_id,
    )


def _executions(app: FastAPI, adapters: Adapters, requests: Requests, answers: AnswerStore) -> Chores:
    mint = Mint(adapters.signer, environment=adapters.settings.environment, now=adapters.now, new_id=adapters.new_id)
    store = ExecutionStore(adapters.database)
    signals = Signals(adapters.database, CHANNEL)
    app.state.tokens = Tokens(requests, store, mint=mint, now=adapters.now)
    app.state.executions = Executions(
        store,
        answers,
        requests,
        adapters.gateway,
        mint=mint,
        relay=adapters.relay,
        signals=signals,
        now=adapters.now,
        closing=adapters.closing,
    )
    return {"signals": signals.run()}


def _identity(app: FastAPI, adapters: Adapters, answers: AnswerStore) -> Chores:
    settings, now, hasher = adapters.settings, adapters.now, key_hasher()
    keys = KeyStore(adapters.database, hasher=hasher, now=now, random_bytes=token_bytes)
    uses, rates = LastUse(keys, clock=time.monotonic), RateStore(adapters.database)
    app.state.authenticator = Authenticator(
        keys,
        uses=uses,
        hasher=hasher,
        now=now,
        clock=time.monotonic,
        anonymous_role=None if settings.anonymous_role is None else Role(settings.anonymous_role),
    )
    app.state.limiter = Limiter(rates, now=now)
    app.state.quotas = Quotas(
        reads=Quota.of("reads", settings.rate_limit_reads),
        writes=Quota.of("writes", settings.rate_limit_writes),
        anonymous=Quota.of("anonymous", settings.rate_limit_anonymous),
        failures=Quota.of("failures", settings.rate_limit_failures),
    )
    return {
        "uses": uses.run(),
        "windows": rounds(lambda: rates.sweep(now()), every=FORGET_SECONDS, name="windows", log=adapters.log),
        "answers": rounds(lambda: answers.sweep(now()), every=FORGET_SECONDS, name="answers", log=adapters.log),
    }


def _events(app: FastAPI, adapters: Adapters) -> Chores:
    settings, database, now, log = adapters.settings, adapters.database, adapters.now, adapters.log
    happened = Signals(database, EVENTS)
    database.after_commit(lambda: happened.ring(BELL))
    store = EventStore(database)
    feed = Feed(store, happened, clock=time.monotonic, log=log)
    require = app.state.authenticator.require
    streams = Streams(feed, per_key=settings.event_streams, require=require, clock=time.monotonic, log=log)
    health = Health(database, adapters.gateway, feed.status)
    pace = Pace(timedelta(seconds=settings.checkpoint_every), timedelta(days=settings.event_retention))
    watch = Watch(WatchStore(database), store, look=health.look, pace=pace, holder=adapters.new_id(), now=now, log=log)
    app.state.feed, app.state.streams, app.state.health = feed, streams, health
    app.state.consumers = Consumers(ConsumerStore(database), now=now)
    return {
        "events": happened.run(),
        "feed": feed.run(),
        "closing": feed.close_at(adapters.closing),
        "streams": streams.guard(),
        "watch": watch.run(),
        "sweeper": Sweeper(RequestStore(database), now=now, log=log).run(),
    }
