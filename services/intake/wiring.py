"""The intake's composition root: settings in, open ears for registries and Anchore out."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec
from aiohttp import web

from services.intake.allowed import Allowed
from services.intake.app import Endpoint, intake_app
from services.intake.asking import Asking
from services.intake.complaints import Complaints
from services.intake.credentials import BasicLogin, BearerToken, BodySignature, require_any
from services.intake.hearing import Hearing
from services.intake.metrics import IntakeMetrics
from services.intake.prewarm import Prewarm
from services.intake.pushes import Source
from services.intake.replays import Replays
from services.intake.settings import IntakeSettings
from services.intake.taking import ANCHORE, NoticesIn, PushesIn, envelope_of, event_of
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.presence import RedisPresence
from shared.adapters.rules_file.watching import RulesFile
from shared.domain.errors import InvalidSettings
from shared.domain.image_pattern import ImagePattern
from shared.domain.rules import Rules
from shared.domain.step import Lane
from shared.ports.claims import RequestClaims
from shared.ports.steps import StepQueue
from shared.runtime.clock import SystemClock
from shared.runtime.health import Check, FirstTry, health_app
from shared.runtime.http import BodyLimits, Bound, serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.pulse import pulse_of
from shared.runtime.rules_metrics import RulesMetrics
from shared.runtime.settings import required
from shared.runtime.tls import optional_context

log = logging.getLogger(__name__)

CLAIM = 0.2
"""Seconds that a sender waits for Redis: where that hangs there is time left for the broker."""

CONFIRM = 0.1
"""Seconds that a sender waits for the broker's confirm."""

PUBLISHES = (Lane.PREWARM, Lane.CHECK)
"""What its user on the broker may write to, and nothing else (docs/design/rabbitmq-rights.md)."""

REPLAY_LIFE = {Source.DISTRIBUTION: 3600.0, Source.GENERIC: 60.0}
"""Seconds. A registry's event has an id of its own. Two pushes of a tag may be announced by the
same bytes of a pipeline; within a minute a pointer is young anyway."""


MAX_NOTICE = 4 * 2**20
"""Bytes: a policy's notice holds the whole policy twice, one of vulnerabilities names each."""

NOTICES_AT_ONCE = 16
"""Notices that may be on their way: Engine sends one after another."""


class IntakePorts(msgspec.Struct, frozen=True):
    """What an intake stands on."""

    claims: RequestClaims
    queue: StepQueue
    store_ping: Check
    """A real question to where the claims are kept."""


class IntakeSites(msgspec.Struct, frozen=True):
    """Where an intake answers."""

    events: Bound
    health: Bound | None


@asynccontextmanager
async def run_intake(
    settings: IntakeSettings,
    life: Lifecycle,
    *,
    ports: IntakePorts,
    rules: Callable[[], Rules],
    metrics: Metrics,
    health: bool = True,
) -> AsyncIterator[IntakeSites]:
    """Take push events and notices over `ports` until the context ends; counted in `metrics`.

    `health`: probes and metrics on a port of its own, else whoever runs it shows them.
    """
    own = IntakeMetrics(metrics)
    app = _app(settings, ports, rules, own)
    tried = FirstTry({"store": ports.store_ping, "queue": ports.queue.ping})
    async with AsyncExitStack() as stack:
        events = await stack.enter_async_context(
            serve(
                app,
                host=settings.imagegate_intake_host,
                port=settings.imagegate_intake_port,
                tls=optional_context(
                    settings.imagegate_intake_certificate,
                    settings.imagegate_intake_certificate_key,
                    setting="IMAGEGATE_INTAKE_CERTIFICATE",
                ),
                shutdown=settings.imagegate_drain,
            )
        )
        probes = None
        if health:
            probes = await stack.enter_async_context(
                serve(
                    health_app(
                        ready={"start": tried.check}, metrics=metrics, stopping=life.stopping
                    ),
                    host=settings.imagegate_health_host,
                    port=settings.imagegate_health_port,
                )
            )
        await tried.once()
        shown = {"events": events.url, "health": probes.url if probes else "elsewhere"}
        log.info("intake answers", extra=shown)
        yield IntakeSites(events, probes)


async def serve_intake(settings: IntakeSettings, life: Lifecycle) -> int:
    """An intake process on Redis and RabbitMQ; its exit code."""
    redis_url = required(settings.redis_url.value, "REDIS_URL", "redis://localhost:6379")
    amqp_url = required(settings.amqp_url.value, "AMQP_URL", "amqp://localhost:5672")
    metrics = Metrics()
    reloads = RulesMetrics(metrics, clock=SystemClock())
    rules = RulesFile(settings.imagegate_rules, on_reload=reloads.reloaded)
    life.watch(rules.run(), name="watch the rules")
    async with AsyncExitStack() as stack:
        links = await stack.enter_async_context(
            RedisLinks(url=redis_url, ca_file=settings.redis_ca, limit=CLAIM)
        )
        queue = RabbitQueue(
            amqp_url, clock=SystemClock(), confirm_timeout=CONFIRM, publishes=PUBLISHES
        )
        await stack.enter_async_context(queue.connect())
        ports = IntakePorts(
            claims=RedisRequestClaims(links=links), queue=queue, store_ping=links.ping
        )
        await stack.enter_async_context(
            run_intake(settings, life, ports=ports, rules=lambda: rules.rules, metrics=metrics)
        )
        await stack.enter_async_context(
            pulse_of(
                service="intake",
                presence=RedisPresence(links=links),
                checks={"store": ports.store_ping, "queue": queue.ping},
                metrics=metrics,
                life=life,
            )
        )
        return await life.until_stopped()


def _app(
    settings: IntakeSettings,
    ports: IntakePorts,
    rules: Callable[[], Rules],
    metrics: IntakeMetrics,
) -> web.Application:
    """All ways in; raises InvalidSettings where nobody could use any."""
    clock = SystemClock()
    complaints = Complaints(clock=clock)
    asking = Asking(claims=ports.claims, queue=ports.queue)
    allowed = Allowed(rules=rules, repositories=_patterns(settings.imagegate_intake_repositories))
    token = BearerToken(settings.imagegate_events_token)
    signature = BodySignature(settings.imagegate_events_hmac)
    login = BasicLogin(settings.imagegate_events_user, settings.imagegate_events_password)
    require_any(token, signature, login)

    def pushes(source: Source) -> Endpoint:
        registry = source is Source.DISTRIBUTION
        taking = PushesIn(
            source=source,
            read=envelope_of if registry else event_of,
            prewarm=Prewarm(
                asking=asking,
                clock=clock,
                rules=rules,
                allowed=allowed,
                scanner=settings.imagegate_scanner,
                replays=Replays(clock=clock, life=REPLAY_LIFE[source]),
            ),
            metrics=metrics,
            complaints=complaints,
        )
        return Endpoint(
            source=source,
            credentials=token if registry else signature,
            take=taking.take,
            answered=partial(metrics.answered, source),
            complaints=complaints,
            clock=clock,
            limits=BodyLimits(
                settings.imagegate_intake_max_body, setting="IMAGEGATE_INTAKE_MAX_BODY"
            ),
        )

    def notices() -> Endpoint:
        hearing = Hearing(
            asking=asking,
            clock=clock,
            rules=rules,
            allowed=allowed,
            scanner=settings.imagegate_scanner,
            account=settings.anchore_account,
        )
        return Endpoint(
            source=ANCHORE,
            credentials=login,
            take=NoticesIn(hearing=hearing, metrics=metrics, complaints=complaints).take,
            answered=metrics.notice_answered,
            complaints=complaints,
            clock=clock,
            limits=BodyLimits(MAX_NOTICE, seconds=1.5),
            at_once=NOTICES_AT_ONCE,
        )

    return intake_app(
        distribution=pushes(Source.DISTRIBUTION),
        generic=pushes(Source.GENERIC),
        anchore=notices(),
    )


def _patterns(texts: Sequence[str]) -> tuple[ImagePattern, ...]:
    """Raises InvalidSettings for what can match no image."""
    try:
        return tuple(ImagePattern(text) for text in texts)
    except ValueError as error:
        raise InvalidSettings(f"IMAGEGATE_INTAKE_REPOSITORIES: {error}") from error
