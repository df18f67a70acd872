"""Owners of pods: nudged when what blocked them is over, told of what became of their images."""

import asyncio
import logging

import msgspec

from services.webhook.blocked import BlockedOwners
from services.webhook.nudges import Nudges
from services.webhook.occasions import Occasions
from services.webhook.outlook import Outlook
from services.webhook.owner_events import OwnerEvents
from services.webhook.owner_metrics import OwnerMetrics
from shared.domain.decision import Decision, State
from shared.domain.review import AdmissionRequest
from shared.ports.clock import Clock
from shared.ports.nudging import EventSink, NudgeClaims, Nudging
from shared.runtime.metrics import Metrics

log = logging.getLogger(__name__)


class OwnerPorts(msgspec.Struct, frozen=True):
    """What nudges and Events stand on."""

    nudging: Nudging
    claims: NudgeClaims
    events: EventSink | None = None
    """None: nobody is told."""


class Owners:
    """What reviews and announcements mean for them; nothing of it is awaited by an answer."""

    def __init__(self, *, nudges: Nudges, events: OwnerEvents) -> None:
        self._nudges = nudges
        self._events = events

    def answered(self, request: AdmissionRequest, decision: Decision) -> None:
        """A review was answered; whatever befalls us here, that answer is given."""
        try:
            if not decision.allowed:
                self._nudges.denied(request, decision)
            elif decision.state is State.TURNED:
                self._events.turned(request, decision)
        except Exception:
            log.exception("what an answer means for the pod's owner is not known")

    def heard(self, key: str | None) -> None:
        """A record of the store changed; None: any may have."""
        self._nudges.heard(key)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._nudges.run(), name="nudge owners")
            group.create_task(self._events.run(), name="tell Events")


def owners_of(
    ports: OwnerPorts, *, outlook: Outlook, occasions: Occasions, clock: Clock, metrics: Metrics
) -> Owners:
    """Over these ports; nothing runs yet."""
    blocked = BlockedOwners(clock=clock)
    told = OwnerMetrics(metrics, blocked)
    events = OwnerEvents(sink=ports.events, nudging=ports.nudging, clock=clock, on_told=told.told)
    nudges = Nudges(
        blocked=blocked,
        outlook=outlook,
        occasions=occasions,
        nudging=ports.nudging,
        claims=ports.claims,
        events=events,
        clock=clock,
        on_outcome=told.nudged,
    )
    return Owners(nudges=nudges, events=events)
