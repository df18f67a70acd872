"""The intake's composition root: settings in, open ears for registries out."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from services.intake.app import Endpoint, envelope_of, event_of, intake_app
from services.intake.complaints import Complaints
from services.intake.credentials import BearerToken, BodySignature, require_any
from services.intake.metrics import IntakeMetrics
from services.intake.prewarm import Prewarm
from services.intake.pushes import Source
from services.intake.replays import Replays
from services.intake.settings import IntakeSettings
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
from shared.ports.clock import Clock
from shared.ports.steps import StepQueue
from shared.runtime.clock import SystemClock
from shared.runtime.health import Check, FirstTry, health_app
from shared.runtime.http import Bound, serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.pulse import pulse_of
from shared.runtime.rules_metrics import RulesMetrics
from shared.runtime.settings import required
from shared.runtime.tls import optional_context

log = logging.getLogger(__name__)

CONFIRM = 0.1
"""Seconds that a sender waits for the broker's confirm."""

PUBLISHES = (Lane.PREWARM, Lane.CHECK)
"""What its user on the broker may write to, and nothing else (docs/design/rabbitmq-rights.md)."""

REPLAY_LIFE = {Source.DISTRIBUTION: 3600.0, Source.GENERIC: 60.0}
"""Seconds. A registry's event has an id of its own. Two pushes of a tag may be announced by the
same bytes of a pipeline; within a minute a pointer is young anyway."""


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
    """Take push events over `ports` until the context ends; counted in `metrics`.

    `health`: probes and metrics on a port of its own, else whoever runs it shows them.
    """
    clock = SystemClock()
    own = IntakeMetrics(metrics)
    complaints = Complaints(clock=clock)
    token = BearerToken(settings.imagegate_events_token)
    signature = BodySignature(settings.imagegate_events_hmac)
    require_any(token, signature)

    def endpoint(source: Source) -> Endpoint:
        registry = source is Source.DISTRIBUTION
        return Endpoint(
            source=source,
            credentials=token if registry else signature,
            read=envelope_of if registry else event_of,
            prewarm=_prewarm(source, settings, ports, rules, clock),
            metrics=own,
            complaints=complaints,
            clock=clock,
            max_body=settings.imagegate_intake_max_body,
        )

    app = intake_app(distribution=endpoint(Source.DISTRIBUTION), generic=endpoint(Source.GENERIC))
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
        links = await stack.enter_async_context(RedisLinks(url=redis_url))
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


def _prewarm(
    source: Source,
    settings: IntakeSettings,
    ports: IntakePorts,
    rules: Callable[[], Rules],
    clock: Clock,
) -> Prewarm:
    return Prewarm(
        claims=ports.claims,
        queue=ports.queue,
        clock=clock,
        rules=rules,
        scanner=settings.imagegate_scanner,
        replays=Replays(clock=clock, life=REPLAY_LIFE[source]),
        repositories=_patterns(settings.imagegate_intake_repositories),
    )


def _patterns(texts: Sequence[str]) -> tuple[ImagePattern, ...]:
    """Raises InvalidSettings for what can match no image."""
    try:
        return tuple(ImagePattern(text) for text in texts)
    except ValueError as error:
        raise InvalidSettings(f"IMAGEGATE_INTAKE_REPOSITORIES: {error}") from error
