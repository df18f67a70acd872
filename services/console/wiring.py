"""The console's composition root: settings in, a serving console out."""

import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import msgspec

from services.console.app import console_app
from services.console.door import Door
from services.console.files import read_files
from services.console.metrics import ConsoleMetrics
from services.console.observer import Observer
from services.console.ops import Ops
from services.console.session import Sessions, token_of
from services.console.settings import ConsoleSettings
from shared.adapters.anchore.configured import NamesAnchore, detection_of, transport_of
from shared.adapters.anchore.detect import DetectedAnchore
from shared.adapters.rabbitmq.dead import RabbitDeadLetters
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.decisions import RedisDecisionLog
from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.presence import RedisPresence
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.turns import WORK_LIMIT
from shared.adapters.signatures import ensure_all_keys, load_ring
from shared.domain.errors import QueueUnavailable
from shared.domain.host import is_loopback
from shared.domain.step import Lane
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.clock import Clock
from shared.ports.decisions import DecisionLog
from shared.ports.exceptions import ExceptionStore
from shared.ports.presence import Presence
from shared.ports.scanner import Scanner
from shared.ports.signing import Unsealer
from shared.ports.steps import DeadLetters, StepQueue
from shared.ports.verdicts import VerdictStore
from shared.runtime.clock import SystemClock
from shared.runtime.health import FirstTry, health_app
from shared.runtime.http import Bound, serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.pulse import pulse_of
from shared.runtime.settings import required
from shared.runtime.tls import optional_context

log = logging.getLogger(__name__)

SHUTDOWN = 5.0
"""Seconds that questions get at the end; the streams end at once."""


class ConsolePorts(msgspec.Struct, frozen=True):
    """What the operator's questions stand on."""

    store: VerdictStore
    claims: RequestClaims
    leases: ScanLeases
    queue: StepQueue
    letters: DeadLetters
    decisions: DecisionLog
    presence: Presence
    exceptions: ExceptionStore
    unsealer: Unsealer
    scanner: Scanner | None
    """None: it is not asked."""


def ops_of(
    ports: ConsolePorts,
    *,
    facts: Callable[[], Mapping[str, str]] = dict,
    clock: Clock | None = None,
) -> Ops:
    """The operator's questions on `ports`; `facts` are lines of the status."""
    return Ops(**msgspec.structs.asdict(ports), clock=clock or SystemClock(), facts=facts)


@asynccontextmanager
async def run_console(
    settings: ConsoleSettings,
    life: Lifecycle,
    *,
    ops: Ops,
    metrics: Metrics,
    clock: Clock | None = None,
) -> AsyncIterator[Bound]:
    """Serve API, stream and page until the context ends; `life` watches the observer."""
    clock = clock or SystemClock()
    own = ConsoleMetrics(metrics, clock=clock)
    sessions = Sessions(token_of(settings))
    observer = Observer(
        ops=ops,
        clock=clock,
        every=settings.imagegate_console_every,
        on_look=own.looked,
        on_watching=own.watching,
    )
    app = console_app(
        ops=ops,
        observer=observer,
        sessions=sessions,
        door=Door(sessions=sessions, clock=clock, on_refused=own.refused),
        files=read_files(),
        metrics=own,
        clock=clock,
    )
    tls = _tls(settings)
    host = settings.imagegate_console_host
    if tls is None and not is_loopback(host):
        log.warning(
            "the console serves plain HTTP on %s: whoever is on the way can read its token; set "
            "IMAGEGATE_CONSOLE_CERTIFICATE, or put a proxy with TLS in front",
            host,
        )
    async with serve(
        app, host=host, port=settings.imagegate_console_port, tls=tls, shutdown=SHUTDOWN
    ) as bound:
        life.watch(observer.run(), name="observe")
        log.info("console answers", extra={"console": bound.url})
        try:
            yield bound
        finally:
            observer.end()


@asynccontextmanager
async def ports_on(
    *,
    redis_url: str,
    redis_ca: Path | None,
    amqp_url: str,
    unsealer: Unsealer,
    scanner: Scanner | None,
    patience: float,
) -> AsyncIterator[ConsolePorts]:
    """The ports on Redis and RabbitMQ, which may be away; the broker gets `patience` s to answer.

    Raises InvalidSettings for an address that is none.
    """
    clock = SystemClock()
    async with (
        RedisLinks(url=redis_url, ca_file=redis_ca, limit=WORK_LIMIT) as links,
        RabbitQueue(amqp_url, clock=clock, publishes=tuple(Lane)).connect() as queue,
    ):
        with suppress(QueueUnavailable):
            await queue.connected(timeout=patience)
        yield ConsolePorts(
            store=RedisVerdictStore(links=links),
            claims=RedisRequestClaims(links=links),
            leases=RedisScanLeases(links=links),
            queue=queue,
            letters=RabbitDeadLetters(queue=queue, clock=clock),
            decisions=RedisDecisionLog(links=links),
            presence=RedisPresence(links=links),
            exceptions=RedisExceptionStore(links=links),
            unsealer=unsealer,
            scanner=scanner,
        )


async def serve_console(settings: ConsoleSettings, life: Lifecycle) -> int:
    """A console process on Redis and RabbitMQ; its exit code."""
    metrics = Metrics()
    # A mistake in these is said before a server is asked, and alone.
    token_of(settings)
    _tls(settings)
    async with AsyncExitStack() as stack:
        ports = await stack.enter_async_context(_servers(settings))
        checks = {"store": ports.store.ping, "queue": ports.queue.ping}
        # Ready without its servers: what it shows is which of them are away.
        tried = FirstTry(checks)
        await stack.enter_async_context(
            serve(
                health_app(ready={"start": tried.check}, metrics=metrics, stopping=life.stopping),
                host=settings.imagegate_health_host,
                port=settings.imagegate_health_port,
            )
        )
        await stack.enter_async_context(
            run_console(settings, life, ops=ops_of(ports), metrics=metrics)
        )
        await tried.once()
        await stack.enter_async_context(
            pulse_of(
                service="console",
                presence=ports.presence,
                checks=checks,
                metrics=metrics,
                life=life,
            )
        )
        return await life.until_stopped()


@asynccontextmanager
async def _servers(settings: ConsoleSettings) -> AsyncIterator[ConsolePorts]:
    redis_url = required(settings.redis_url.value, "REDIS_URL", "redis://localhost:6379")
    amqp_url = required(settings.amqp_url.value, "AMQP_URL", "amqp://localhost:5672")
    keys = settings.imagegate_keys or ensure_all_keys(settings.state_folder / "keys")
    async with AsyncExitStack() as stack:
        scanner: Scanner | None = None
        if settings.anchore_url:
            scanner = await stack.enter_async_context(anchore_of(settings))
        yield await stack.enter_async_context(
            ports_on(
                redis_url=redis_url,
                redis_ca=settings.redis_ca,
                amqp_url=amqp_url,
                unsealer=load_ring(keys),
                scanner=scanner,
                patience=0.0,
            )
        )


@asynccontextmanager
async def anchore_of(settings: NamesAnchore) -> AsyncIterator[DetectedAnchore]:
    """The server that the settings name, to be asked about its state."""
    clock = SystemClock()
    async with transport_of(settings, clock=clock) as transport:
        yield DetectedAnchore(
            detection=detection_of(settings, transport), transport=transport, clock=clock
        )


def _tls(settings: ConsoleSettings) -> ssl.SSLContext | None:
    return optional_context(
        settings.imagegate_console_certificate,
        settings.imagegate_console_certificate_key,
        setting="IMAGEGATE_CONSOLE_CERTIFICATE",
    )
