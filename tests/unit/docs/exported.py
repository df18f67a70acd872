"""What each of our processes exports, as the code has it: names, kinds, labels and their values."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from services.console.app import console_app
from services.console.metrics import PARTS, ConsoleMetrics
from services.intake.metrics import IntakeMetrics
from services.intake.notices import Heard
from services.intake.notices import Kind as NoticeKind
from services.intake.pushes import Ignored, Source, Taken
from services.scanner.feeds.ecosystems import NAMES, SCORES_ONLY
from services.scanner.metrics import Analysed, Measured, Removed, Renewed, ScannerMetrics, Told
from services.scanner.records import AnalysisStatus
from services.scanner.v1.notices import ANALYSIS, POLICY
from services.webhook.believed import Source as ExceptionSource
from services.webhook.blocked import BlockedOwners
from services.webhook.catalogue import Need
from services.webhook.decisions import LeftOut
from services.webhook.exceptions import Uncounted
from services.webhook.lookups import First, Layer
from services.webhook.metrics import WebhookMetrics
from services.webhook.mutate import Pinned
from services.webhook.namespace_metrics import NamespaceMetrics
from services.webhook.nudges import Outcome as NudgeOutcome
from services.webhook.owner_events import Told as EventOutcome
from services.webhook.owner_metrics import OwnerMetrics
from services.webhook.requests import Asked
from services.webhook.trouble import Trouble
from services.webhook.uses import UseOutcome
from services.worker.budget import Poll
from services.worker.dispatch import StepOutcome
from services.worker.in_use import Stand
from services.worker.inventory import Looked, What
from services.worker.inventory_metrics import MORE, UNKNOWN
from services.worker.metrics import WorkerMetrics
from services.worker.policy_watch import PolicyRead
from services.worker.refresh import Refreshed, Waits
from services.worker.turned import Anew
from shared.adapters.anchore.faults import Fault
from shared.adapters.breaker import BreakerState
from shared.adapters.handling import QueueEvent
from shared.adapters.memory.presence import MemoryPresence
from shared.adapters.rules_file.watching import Reloaded
from shared.domain.decision import State
from shared.domain.errors import ErrorKind
from shared.domain.retry import DELAYS
from shared.domain.step import Lane, StepKind
from shared.domain.verdict import Outcome, Turn
from shared.domain.why import Why
from shared.ports.namespaces import ReadOutcome, WatchEnd
from shared.ports.nudging import Reason
from shared.ports.presence import Beat
from shared.runtime.handshakes import HandshakeFault
from shared.runtime.metrics import SECONDS, CounterMetric, GaugeMetric, HistogramMetric, Metrics
from shared.runtime.pulse import Pulse
from shared.runtime.rules_metrics import RulesMetrics
from tests.fakes.clock import FakeClock

ROOT = Path(__file__).parents[3]
SERVICES = ("webhook", "worker", "intake", "console", "scanner")


class Family(msgspec.Struct, frozen=True):
    """One metric of one service."""

    kind: str
    """counter, gauge or histogram"""
    labels: tuple[str, ...]


class NotedMetrics(Metrics):
    """A registry that also says with which labels each metric was made: what has no series yet
    does not tell that in a scrape."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: dict[str, Family] = {}

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> CounterMetric:
        self.noted[name] = Family("counter", tuple(labels))
        return super().counter(name, text, labels)

    def histogram(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float] = SECONDS,
    ) -> HistogramMetric:
        self.noted[name] = Family("histogram", tuple(labels))
        return super().histogram(name, text, labels, buckets=buckets)

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> GaugeMetric:
        self.noted[name] = Family("gauge", tuple(labels))
        return super().gauge(name, text, labels)

    def gauges(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        told: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        self.noted[name] = Family("gauge", tuple(labels))
        super().gauges(name, text, labels, told)


def _webhook(metrics: Metrics) -> None:
    WebhookMetrics(metrics)
    NamespaceMetrics(metrics)
    OwnerMetrics(metrics, BlockedOwners(clock=FakeClock()))


def _worker(metrics: Metrics) -> None:
    worker = WorkerMetrics(metrics)
    worker.breaker(tuple(BreakerState), lambda: BreakerState.CLOSED)
    worker.registries(lambda: {True: 0, False: 0})


def _intake(metrics: Metrics) -> None:
    IntakeMetrics(metrics)


def _console(metrics: Metrics) -> None:
    ConsoleMetrics(metrics, clock=FakeClock())


def _scanner(metrics: Metrics) -> None:
    ScannerMetrics(metrics).measured(Measured(feed_seconds=0.0))


def _pulse(metrics: Metrics) -> None:
    beat = Beat(name="", service="", version="", started=0)
    Pulse(presence=MemoryPresence(clock=FakeClock()), beat=lambda: beat, checks={}, metrics=metrics)


def _rules(metrics: Metrics) -> None:
    RulesMetrics(metrics, clock=FakeClock())


RULED = ("webhook", "worker", "intake")
"""Those that follow the rules file."""

BEATING = ("webhook", "worker", "intake", "console")
"""Those that others see in the store; the scanner knows of no store."""

_OWN = {
    "webhook": _webhook,
    "worker": _worker,
    "intake": _intake,
    "console": _console,
    "scanner": _scanner,
}


def metrics_of(service: str) -> NotedMetrics:
    """The registry of a process of `service`, before anything happened."""
    metrics = NotedMetrics()
    _OWN[service](metrics)
    if service in RULED:
        _rules(metrics)
    if service in BEATING:
        _pulse(metrics)
    return metrics


NO_METRICS = {"imagegate_session", "imagegate_unknown"}
"""What is spelt alike: the console's cookie, and a key of the scanner's answers."""


def names_in_the_code() -> set[str]:
    """Every text of our code that is spelt like the name of a metric."""
    return _found(r'"(imagegate_\w+)"', "services", "shared") - NO_METRICS


def _sources(*folders: str) -> Iterator[str]:
    for folder in folders:
        named = ROOT / folder
        for path in [named] if named.is_file() else sorted(named.rglob("*.py")):
            yield path.read_text()


def _found(pattern: str, *folders: str) -> set[str]:
    found = (match for text in _sources(*folders) for match in re.finditer(pattern, text))
    return {next(filter(None, match.groups())) for match in found}


def _routes() -> set[str]:
    nothing: dict[str, Any] = dict.fromkeys(
        ("ops", "observer", "sessions", "door", "metrics", "clock")
    )
    app: web.Application = console_app(files={}, **nothing)
    resources = (route.resource for route in app.router.routes())
    return {resource.canonical for resource in resources if resource is not None} | {"none"}


def _statuses(folder: str) -> set[str]:
    """Those that the code of a service answers with, or reading a body ends with, and the one of
    an error that names none."""
    body = set(re.findall(r"status=(\d{3})\b", (ROOT / "shared/runtime/http.py").read_text()))
    return _found(r"(?:status=|_json\(|else )(\d{3})\b", folder) | body | {"400"}


LANES = set(map(str, Lane))
KINDS = set(map(str, StepKind))
ANCHORE_CALLS = _found(
    r'(?:_call|_probe)\("(\w+)"|operation="(\w+)"',
    *(f"shared/adapters/anchore/{name}.py" for name in ("scanner", "detect", "login")),
) | _found(r'_call\("(\w+)", "GET"', "shared/adapters/anchore/policies.py")
"""A worker changes no policy: who does is a command, which exports nothing."""

VALUES: dict[str, dict[str, set[str]]] = {
    "imagegate_reviews_total": {"allowed": {"true", "false"}, "state": set(State)},
    "imagegate_reviews_refused_total": {"status": _statuses("services/webhook")},
    "imagegate_handshakes_failed_total": {"reason": set(HandshakeFault)},
    "imagegate_mutations_total": {"result": set(Pinned)},
    "imagegate_decisions_left_out_total": {"reason": set(LeftOut)},
    "imagegate_exceptions": {"source": {"rules", *ExceptionSource}},
    "imagegate_exceptions_left_out_total": {
        "source": set(ExceptionSource),
        "reason": set(Uncounted),
    },
    "imagegate_asks_total": {"need": set(Need), "outcome": set(Asked)},
    "imagegate_store_failures_total": {"trouble": set(Trouble)},
    "imagegate_queue_events_total": {"event": set(QueueEvent), "lane": LANES},
    "imagegate_announcements_total": {"kind": {"change", "gap"}},
    "imagegate_namespace_watches_total": {"end": set(WatchEnd)},
    "imagegate_namespace_reads_total": {"outcome": set(ReadOutcome)},
    "imagegate_nudges_total": {"outcome": set(NudgeOutcome)},
    "imagegate_owner_events_total": {"reason": set(Reason), "outcome": set(EventOutcome)},
    "imagegate_image_lookups_total": {"layer": set(Layer)},
    "imagegate_first_lookups_total": {"result": set(First)},
    "imagegate_steps_total": {"kind": KINDS, "lane": LANES, "outcome": set(StepOutcome)},
    "imagegate_prewarm_put_off_total": {"why": set(Why)},
    "imagegate_reconciled_steps_total": {"kind": KINDS, "lane": LANES},
    "imagegate_verdicts_total": {"outcome": set(Outcome), "error": {"", *ErrorKind}},
    "imagegate_verdict_seconds": {"why": set(Why)},
    "imagegate_lane_wait_seconds": {"lane": LANES},
    "imagegate_submit_seconds": {"why": set(Why)},
    "imagegate_analysis_seconds": {"why": set(Why)},
    "imagegate_verdict_polls": {"why": set(Why)},
    "imagegate_poll_wait_seconds": {"lane": {Lane.CHECK, Lane.CHECK_PREWARM}},
    "imagegate_polls_total": {"poll": set(Poll)},
    "imagegate_images_in_use": {"stand": set(Stand)},
    "imagegate_inventory_looks_total": {"what": set(What), "outcome": set(Looked)},
    "imagegate_inventory_age_seconds": {"what": set(What)},
    "imagegate_running_images": {"state": {"named", "unreadable"}},
    # Of platforms one stands for all.
    "imagegate_cluster_nodes": {"platform": {"linux/amd64", UNKNOWN, MORE}},
    "imagegate_cluster_platforms": {
        "platform": {"linux/amd64", MORE},
        "state": {"judged", "new"},
    },
    "imagegate_platform_images_left": {"platform": {"linux/amd64"}},
    "imagegate_policy_round_verdicts": {"state": {"left", "kept", "turned"}},
    "imagegate_refreshes_total": {"stand": set(Stand), "outcome": set(Refreshed)},
    "imagegate_refresh_waits_total": {"reason": set(Waits)},
    "imagegate_policy_reads_total": {"outcome": set(PolicyRead)},
    "imagegate_reevaluated_passes_total": {"cause": set(Turn), "outcome": set(Anew)},
    "imagegate_uses_total": {"outcome": set(UseOutcome)},
    "imagegate_anchore_calls_total": {
        "operation": ANCHORE_CALLS,
        "outcome": {
            *_found(r'outcome = "(\w+)"', "shared/adapters/anchore"),
            *_found(r'_on_call\(call\.operation, "(\w+)"', "shared/adapters/anchore"),
        },
    },
    "imagegate_anchore_faults_total": {"operation": ANCHORE_CALLS, "fault": set(Fault)},
    "imagegate_anchore_call_seconds": {"operation": ANCHORE_CALLS},
    "imagegate_anchore_breaker_state": {"state": set(BreakerState)},
    "imagegate_registries_down": {"registry": {"named", "other"}},
    "imagegate_dependency_up": {"dependency": {"store", "queue", "anchore", "kubernetes"}},
    "imagegate_push_events_total": {
        "source": set(Source),
        "outcome": {*Taken, *(f"ignored_{why}" for why in Ignored)},
    },
    "imagegate_push_requests_total": {
        "source": set(Source),
        "status": _statuses("services/intake"),
    },
    "imagegate_scanner_analyses_total": {"outcome": set(Analysed)},
    "imagegate_scanner_reevaluations_total": {"outcome": set(Renewed)},
    "imagegate_scanner_feed_syncs_total": {
        "ecosystem": {"all", SCORES_ONLY, *NAMES},
        "outcome": {"imported", "unchanged", "failed"},
    },
    "imagegate_scanner_grype_updates_total": {"outcome": {"done", "failed"}},
    "imagegate_scanner_images": {"status": set(AnalysisStatus)},
    "imagegate_scanner_removed_images_total": {"reason": set(Removed)},
    "imagegate_scanner_notices_total": {
        "kind": {"any", ANALYSIS, POLICY},
        "outcome": set(Told),
    },
    "imagegate_notices_total": {"kind": set(NoticeKind), "outcome": set(Heard)},
    "imagegate_notice_requests_total": {"status": _statuses("services/intake")},
    "imagegate_rules_reloads_total": {"result": set(Reloaded)},
    "imagegate_push_seconds": {"source": set(Source)},
    "imagegate_console_requests_total": {"route": _routes()},
    "imagegate_lane_ready_steps": {"lane": LANES},
    "imagegate_lane_unacknowledged": {"lane": LANES},
    "imagegate_lane_consumers": {"lane": LANES},
    "imagegate_lane_oldest_seconds": {"lane": LANES},
    "imagegate_delayed_steps": {"delay": set(map(str, DELAYS))},
    "imagegate_processes": {
        "service": _found(
            r'service="(\w+)"', "services/webhook", *(f"services/{s}" for s in SERVICES)
        )
    },
    "imagegate_looked_timestamp_seconds": {"part": set(PARTS)},
}
"""All values of each label, but for the console's statuses: its library has some of its own."""

FOREIGN = {
    "up": Family("gauge", ()),
    "apiserver_admission_webhook_rejection_count": Family("counter", ("name", "error_type")),
    "rabbitmq_alarms_memory_used_watermark": Family("gauge", ()),
    "rabbitmq_alarms_free_disk_space_watermark": Family("gauge", ()),
    "rabbitmq_detailed_queue_messages": Family("gauge", ("vhost", "queue")),
    "rabbitmq_detailed_queue_messages_ready": Family("gauge", ("vhost", "queue")),
    "rabbitmq_detailed_queue_messages_unacked": Family("gauge", ("vhost", "queue")),
    "rabbitmq_global_messages_dead_lettered_expired_total": Family(
        "counter", ("queue_type", "dead_letter_strategy")
    ),
    "redis_memory_used_bytes": Family("gauge", ()),
    "redis_memory_max_bytes": Family("gauge", ()),
}
"""Metrics of others that queries use, with the labels that these name."""
