"""What a webhook consists of behind its port, put together over the ports that it stands on."""

import msgspec

from services.webhook.book import CurrentBook
from services.webhook.decisions import Recorder
from services.webhook.exceptions import SignedExceptions
from services.webhook.knowledge import Knowledge
from services.webhook.lookups import Lookups
from services.webhook.metrics import WebhookMetrics
from services.webhook.mutate import Mutate
from services.webhook.near_cache import NearCache
from services.webhook.occasions import Occasions
from services.webhook.outlook import Outlook
from services.webhook.owners import OwnerPorts, Owners, owners_of
from services.webhook.pinning import Pinning
from services.webhook.requests import Requests
from services.webhook.reviewer import Reviewer, Waits
from services.webhook.settings import WebhookSettings
from services.webhook.switch import Switch
from services.webhook.terms import Terms
from services.webhook.timings import Timings
from services.webhook.uses import Uses
from services.webhook.validate import Validate
from services.webhook.waiters import Room, Waiters
from shared.domain.platforms import PlatformTerms
from shared.ports.claims import RequestClaims
from shared.ports.clock import Clock
from shared.ports.decisions import DecisionLog
from shared.ports.exceptions import ExceptionFiles, ExceptionStore
from shared.ports.namespaces import Namespaces
from shared.ports.presence import Presence
from shared.ports.signing import Unsealer
from shared.ports.steps import StepQueue
from shared.ports.usage import Usage
from shared.ports.verdicts import VerdictStore


class WebhookPorts(msgspec.Struct, frozen=True):
    """What a webhook stands on."""

    store: VerdictStore
    claims: RequestClaims
    queue: StepQueue
    unsealer: Unsealer
    decisions: DecisionLog
    presence: Presence
    exceptions: ExceptionStore
    usage: Usage
    namespaces: Namespaces | None = None
    """None: labels of namespaces are never known."""
    owners: OwnerPorts | None = None
    """None: no owner of a denied pod is nudged or told of anything."""


class WebhookParts(msgspec.Struct, frozen=True):
    """What a webhook consists of behind its port."""

    cache: NearCache
    exceptions: SignedExceptions
    switch: Switch
    recorder: Recorder
    uses: Uses
    validate: Validate
    mutate: Mutate
    owners: Owners | None


def parts_of(
    settings: WebhookSettings,
    ports: WebhookPorts,
    *,
    files: ExceptionFiles | None,
    book: CurrentBook,
    metrics: WebhookMetrics,
    clock: Clock,
    name: str,
) -> WebhookParts:
    """The parts of the process `name`; nothing is opened and nothing runs yet. `files`: signed
    exceptions beside those of the store."""
    waiters = Waiters()
    timings = Timings(clock=clock, on_measured=metrics.judged)
    switch = Switch(clock=clock, on_change=book.emergency_changed)
    metrics.watch_switch(switch)
    exceptions = SignedExceptions(
        store=ports.exceptions,
        files=files,
        unsealer=ports.unsealer,
        clock=clock,
        on_change=book.exceptions_changed,
        switch=switch,
        cluster=settings.imagegate_cluster,
        on_left_out=metrics.exception_left_out,
    )
    metrics.watch_exceptions(book, exceptions.numbers, clock)

    def heard(key: str | None) -> None:
        metrics.announced(key)
        timings.changed(key)
        waiters.wake(key)
        exceptions.heard(key)
        if owners is not None:
            owners.heard(key)

    cache = NearCache(
        store=ports.store,
        unsealer=ports.unsealer,
        clock=clock,
        on_bad_signature=metrics.bad_signature,
        on_change=heard,
        on_trouble=metrics.store_failed,
    )
    metrics.watch_cache(cache)
    requests = Requests(
        claims=ports.claims,
        queue=ports.queue,
        clock=clock,
        timings=timings,
        on_asked=metrics.asked,
        on_trouble=metrics.store_failed,
    )
    lookups = Lookups(
        on_layer=metrics.looked_up, on_first=metrics.first_seen, on_overrun=metrics.grace_overrun
    )
    uses = Uses(usage=ports.usage, clock=clock, on_use=metrics.used)
    terms = Terms.told(
        scanner=settings.imagegate_scanner,
        pin=settings.imagegate_pin,
        policy_grace=settings.imagegate_policy_grace,
        platforms=PlatformTerms.told(
            cluster=settings.imagegate_cluster, inventory=settings.imagegate_inventory
        ),
    )
    knowledge = Knowledge(
        cache=cache,
        requests=requests,
        waiters=waiters,
        clock=clock,
        rules=lambda: book.rules,
        terms=terms,
        room=Room(places=settings.imagegate_max_waiters, on_waiting=metrics.waiting),
        lookups=lookups,
        uses=uses,
    )
    occasions = Occasions(books=book, namespaces=ports.namespaces)
    reviewer = Reviewer(
        knowledge=knowledge,
        occasions=occasions,
        clock=clock,
        waits=Waits(settings.imagegate_wait, settings.imagegate_system_wait),
        terms=terms,
        lookups=lookups,
    )
    pinning = Pinning(
        cache=cache,
        requests=requests,
        waiters=waiters,
        clock=clock,
        rules=lambda: book.rules,
        room=Room(places=settings.imagegate_max_waiters),
    )
    recorder = Recorder(
        decisions=ports.decisions, clock=clock, webhook=name, on_left_out=metrics.left_out
    )
    outlook = Outlook(knowledge=knowledge, clock=clock, terms=terms)
    mutate = Mutate(
        pinning=pinning,
        outlook=outlook,
        occasions=occasions,
        clock=clock,
        terms=terms,
        on_mutated=metrics.mutated,
    )
    owners = None
    if ports.owners is not None:
        owners = owners_of(
            ports.owners, outlook=outlook, occasions=occasions, clock=clock, metrics=metrics.all
        )
    validate = Validate(
        reviewer=reviewer,
        recorder=recorder,
        metrics=metrics,
        clock=clock,
        books=book,
        owners=owners,
    )
    return WebhookParts(cache, exceptions, switch, recorder, uses, validate, mutate, owners)
