"""The webhook's composition root: settings in, a serving webhook out."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from services.webhook.app import webhook_app
from services.webhook.book import CurrentBook
from services.webhook.callers import Callers, checked_names
from services.webhook.handshakes import Handshakes
from services.webhook.metrics import WebhookMetrics
from services.webhook.namespace_metrics import NamespaceMetrics
from services.webhook.namespaces import NamespacesWhenNeeded
from services.webhook.owners import OwnerPorts
from services.webhook.parts import WebhookPorts, parts_of
from services.webhook.settings import WebhookSettings
from shared.adapters.exception_files import ExceptionFolder
from shared.adapters.kubernetes.access import ApiServer, api_server
from shared.adapters.kubernetes.events import KubernetesEvents
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.namespaces import KubernetesNamespaces
from shared.adapters.kubernetes.nudges import ADVICE, KubernetesNudging
from shared.adapters.kubernetes.wire import Wire
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims
from shared.adapters.redis_store.decisions import RedisDecisionLog
from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.nudge_claims import RedisNudgeClaims
from shared.adapters.redis_store.presence import RedisPresence
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.usage import RedisUsage
from shared.adapters.rules_file.watching import RulesFile
from shared.adapters.signatures import ensure_all_keys, load_ring
from shared.domain.errors import InvalidSettings
from shared.domain.pointer import DAY
from shared.domain.step import Lane
from shared.ports.clock import Clock
from shared.ports.nudging import NudgeClaims
from shared.runtime.clock import SystemClock
from shared.runtime.health import FirstTry, health_app
from shared.runtime.http import Bound, serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.pulse import new_name, pulse_of
from shared.runtime.rules_metrics import RulesMetrics
from shared.runtime.served_certificate import ServedCertificate
from shared.runtime.settings import required
from shared.runtime.tls import (
    CertificateFiles,
    certificate_pair,
    days_left,
    ensure_certificate,
)

log = logging.getLogger(__name__)

CONFIRM = 0.1
"""Seconds that a review waits for the broker's confirm."""

PUBLISHES = (Lane.ADMISSION, Lane.PREWARM, Lane.RESOLVE)
"""What its user on the broker may write to, and nothing else (docs/design/rabbitmq-rights.md)."""


class WebhookSites(msgspec.Struct, frozen=True):
    """Where a webhook answers."""

    reviews: Bound
    health: Bound


@asynccontextmanager
async def run_webhook(
    settings: WebhookSettings,
    life: Lifecycle,
    *,
    ports: WebhookPorts,
    book: CurrentBook,
    metrics: WebhookMetrics,
) -> AsyncIterator[WebhookSites]:
    """Serve reviews, probes and metrics over `ports` until the context ends."""
    clock = SystemClock()
    ends = 0

    def shown(file: Path) -> None:
        nonlocal ends
        ends = clock.now() + round(days_left(file) * DAY)
        metrics.certificate_ends(ends, clock)

    certificate = ServedCertificate(
        _certificate(settings),
        client_ca=settings.imagegate_client_ca,
        on_read=shown,
        on_failed=Handshakes(clock=clock, on_failed=metrics.handshake_failed).failed,
    )
    life.watch(certificate.run(), name="follow the certificate")
    name = new_name("webhook")
    folder = settings.imagegate_exceptions
    parts = parts_of(
        settings,
        ports,
        files=ExceptionFolder(folder) if folder is not None else None,
        book=book,
        metrics=metrics,
        clock=clock,
        name=name,
    )
    app = webhook_app(
        validate=parts.validate,
        mutate=parts.mutate,
        clock=clock,
        budget=settings.imagegate_budget,
        callers=_callers(settings, certificate, clock),
        on_refused=metrics.refused,
    )
    checks = {"store": ports.store.ping, "queue": ports.queue.ping}
    if ports.namespaces is not None:
        checks["kubernetes"] = ports.namespaces.ping
    tried = FirstTry(checks)
    async with AsyncExitStack() as stack:
        # What the last reviews were answered is written once nobody asks any more.
        stack.push_async_callback(parts.recorder.flush)
        stack.push_async_callback(parts.uses.flush)
        reviews = await stack.enter_async_context(
            serve(
                app,
                host=settings.imagegate_host,
                port=settings.imagegate_port,
                tls=certificate.context,
                shutdown=settings.imagegate_drain,
            )
        )
        health = await stack.enter_async_context(
            serve(
                health_app(
                    ready={"start": tried.check}, metrics=metrics.all, stopping=life.stopping
                ),
                host=settings.imagegate_health_host,
                port=settings.imagegate_health_port,
            )
        )
        await parts.exceptions.first()
        life.watch(ports.store.listen(parts.cache), name="listen to announcements")
        life.watch(parts.exceptions.run(), name="follow exceptions")
        if ports.namespaces is not None:
            life.watch(ports.namespaces.follow(), name="follow namespaces")
        life.watch(parts.recorder.run(), name="write decisions")
        life.watch(parts.uses.run(), name="write uses")
        if parts.owners is not None:
            life.watch(parts.owners.run(), name="nudge owners")
        await tried.once()
        await stack.enter_async_context(
            pulse_of(
                service="webhook",
                name=name,
                presence=ports.presence,
                checks=checks,
                metrics=metrics.all,
                life=life,
                emergency=lambda: parts.switch.until,
                emergency_signed=lambda: parts.switch.signed,
                certificate_ends=lambda: ends,
                cluster=settings.imagegate_cluster,
            )
        )
        log.info("webhook answers", extra={"reviews": reviews.url, "health": health.url})
        yield WebhookSites(reviews, health)


async def serve_webhook(settings: WebhookSettings, life: Lifecycle) -> int:
    """A webhook process on Redis and RabbitMQ; its exit code."""
    metrics = WebhookMetrics(Metrics())
    reloads = RulesMetrics(metrics.all, clock=SystemClock())
    async with AsyncExitStack() as stack:
        namespaces = await stack.enter_async_context(namespaces_of(settings, metrics.all))
        rules = RulesFile(
            settings.imagegate_rules, accept=namespaces.accept, on_reload=reloads.reloaded
        )
        book = CurrentBook(rules.rules)
        life.watch(rules.run(book.rules_changed), name="watch the rules")
        redis_url = required(settings.redis_url.value, "REDIS_URL", "redis://localhost:6379")
        amqp_url = required(settings.amqp_url.value, "AMQP_URL", "amqp://localhost:5672")
        links = await stack.enter_async_context(
            RedisLinks(url=redis_url, ca_file=settings.redis_ca)
        )
        queue = RabbitQueue(
            amqp_url,
            clock=SystemClock(),
            confirm_timeout=CONFIRM,
            publishes=PUBLISHES,
            on_event=metrics.queue_event,
        )
        await stack.enter_async_context(queue.connect())
        # On one machine whoever starts first makes the keys; a named folder is only read. Also the
        # operator's: what that signs counts for a ring that had its public key at the start.
        keys = settings.imagegate_keys or ensure_all_keys(settings.state_folder / "keys")
        if settings.imagegate_keys is None and not links.address.is_loopback:
            log.warning(
                "IMAGEGATE_KEYS is not set: verdicts that workers on other machines sign are not "
                "believed; copy the workers' *.pub into a folder and name it in IMAGEGATE_KEYS"
            )
        ports = WebhookPorts(
            store=RedisVerdictStore(links=links),
            claims=RedisRequestClaims(links=links),
            queue=queue,
            unsealer=load_ring(keys),
            decisions=RedisDecisionLog(links=links),
            presence=RedisPresence(links=links),
            exceptions=RedisExceptionStore(links=links),
            usage=RedisUsage(links=links),
            namespaces=namespaces,
            owners=await stack.enter_async_context(
                owner_ports_of(settings, claims=RedisNudgeClaims(links=links))
            ),
        )
        await stack.enter_async_context(
            run_webhook(settings, life, ports=ports, book=book, metrics=metrics)
        )
        return await life.until_stopped()


@asynccontextmanager
async def namespaces_of(
    settings: WebhookSettings, metrics: Metrics
) -> AsyncIterator[NamespacesWhenNeeded]:
    """Those of the cluster that the settings name, or that this process runs in; nobody is asked
    before rules need it."""
    server = _api_server(settings)
    told = NamespaceMetrics(metrics)
    if server is None:
        yield NamespacesWhenNeeded(None)
        return
    cluster = KubernetesNamespaces(
        server=server, clock=SystemClock(), on_watch=told.watched, on_read=told.read
    )
    told.watch(cluster.followed)
    async with cluster:
        yield NamespacesWhenNeeded(cluster)


def _callers(
    settings: WebhookSettings, certificate: ServedCertificate, clock: Clock
) -> Callers | None:
    """None where nobody is asked for a certificate; raises InvalidSettings."""
    ca = settings.imagegate_client_ca
    names = checked_names(settings.imagegate_client_names, has_ca=ca is not None)
    if ca is None:
        return None
    log.info(
        "callers must show a certificate",
        extra={"ca": str(ca), "names": ", ".join(names) or "any"},
    )
    return Callers(names=names, clock=clock, is_current=certificate.holds_for)


@asynccontextmanager
async def owner_ports_of(
    settings: WebhookSettings, *, claims: NudgeClaims
) -> AsyncIterator[OwnerPorts | None]:
    """Owners in that cluster; None where they are not to be nudged, or nothing can be asked."""
    server = _api_server(settings) if settings.imagegate_nudge else None
    if server is None:
        yield None
        return
    clock = SystemClock()
    async with Wire(server=server, pace=Pace(), advice=ADVICE) as wire:
        try:
            wire.access.check()
        except InvalidSettings as error:
            log.warning(
                "owners of blocked pods are not nudged, and no Events are told; to have none, set "
                "IMAGEGATE_NUDGE=false",
                extra={"why": str(error)},
            )
            yield None
            return
        events = KubernetesEvents(wire=wire, clock=clock, instance=new_name("webhook"))
        yield OwnerPorts(
            nudging=KubernetesNudging(wire=wire, clock=clock),
            claims=claims,
            events=events if settings.imagegate_events else None,
        )


def _api_server(settings: WebhookSettings) -> ApiServer | None:
    return api_server(
        url=settings.imagegate_kubernetes_url,
        token_file=settings.imagegate_kubernetes_token_file,
        ca_file=settings.imagegate_kubernetes_ca,
        pod_host=settings.kubernetes_service_host,
        pod_port=settings.kubernetes_service_port,
    )


def _certificate(settings: WebhookSettings) -> CertificateFiles:
    named = certificate_pair(
        settings.imagegate_certificate,
        settings.imagegate_certificate_key,
        setting="IMAGEGATE_CERTIFICATE",
    )
    return named or ensure_certificate(settings.state_folder)
