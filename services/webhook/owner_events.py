"""Kubernetes Events on the workloads that a person knows: what the controller's own FailedCreate,
on the ReplicaSet below and at its next try, does not tell.

Told beside everything else: bounded, rate-limited, and lost where the Kubernetes API does not take
them. Nothing is told of an owner that the cluster does not have under its very uid, so that a
stranger's reviews write into nobody's namespace; one who knows the uid can have such an Event told
of images of his choice, once a reason in ten minutes.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable
from enum import StrEnum

import msgspec

from services.webhook.blocked_owner import Blocked
from services.webhook.bucket import Bucket
from services.webhook.lines import FIRST_LINE, shown
from services.webhook.objects import is_advice
from services.webhook.outage import Outage
from services.webhook.wording import moment
from shared.domain.decision import Decision, State
from shared.domain.errors import ClusterUnreachable, OwnerGone
from shared.domain.latest import Latest
from shared.domain.owner import Owner, maker_of
from shared.domain.pointer import SECOND
from shared.domain.review import AdmissionRequest, pod_of
from shared.ports.clock import Clock
from shared.ports.nudging import EventSink, Nudging, OwnerEvent, Reason
from shared.runtime.seldom import HOUR, Seldom

log = logging.getLogger(__name__)

SLOW = 10.0
"""Seconds that a pod is blocked for want of a verdict before that is told: most are over sooner."""
AGAIN = 600.0
"""Seconds from an Event to the next one of the same reason and owner."""

RATE = 5.0
SAVED = 25.0
"""Events a second of this process."""
MAX_WAITING = 500
MAX_TOLD = 2_000

FINAL = (State.FAIL, State.ERROR, State.REFUSED, State.INVALID)


class Told(StrEnum):
    """What became of an Event, for the metric."""

    MADE = "made"
    COUNTED = "counted"
    """It was there, and happened once more."""
    THERE = "there"
    """Another webhook made it."""
    GONE = "gone"
    """There is no such owner."""
    DROPPED = "dropped"
    """There were too many."""
    FAILED = "failed"


class _Wanted(msgspec.Struct, frozen=True):
    """Something to tell; `known_as`: of whom, where that is known to be in the cluster."""

    owner: Owner
    reason: Reason
    note: str
    about: str
    known_as: Owner | None = None


class OwnerEvents:
    """Gathers what is to be told, and hands it to an `EventSink`."""

    def __init__(
        self,
        *,
        sink: EventSink | None,
        nudging: Nudging,
        clock: Clock,
        on_told: Callable[[Reason, Told], None] = lambda reason, told: None,
    ) -> None:
        """`sink`: None where no Events are wanted."""
        self._sink = sink
        self._nudging = nudging
        self._clock = clock
        self._on_told = on_told
        self._outage = Outage(clock=clock, what="no Events are told of owners of pods")
        self._bucket = Bucket(clock=clock, rate=RATE, most=SAVED)
        self._seldom = Seldom(clock=clock, every=AGAIN, max_said=MAX_TOLD)
        self._turned = Seldom(clock=clock, every=HOUR, max_said=MAX_TOLD)
        self._made = Latest[str, int](MAX_TOLD)
        self._waiting: asyncio.Queue[_Wanted] = asyncio.Queue(MAX_WAITING)

    def still_denied(self, entry: Blocked, decision: Decision) -> None:
        """It was looked at again, and is not let in."""
        if decision.state in FINAL and entry.state not in FINAL:
            # Its controller would learn of that after its back-off only.
            self._tell(
                entry, Reason.REFUSED, f"{decision.reason}. Until that changes no pod is made"
            )
        elif decision.state is entry.state is State.PENDING and self._is_slow(entry):
            # Whoever reads this need not try: the controller does.
            reason = entry.reason.removesuffix(": try again")
            said = f"{reason} (at {self._moment(entry.denied)})"
            self._tell(entry, Reason.PENDING, f"{said}. Once it has passed, pods are made at once")

    def passed(self, entry: Blocked, known_as: Owner) -> None:
        """It was nudged."""
        which = "images" if len(entry.images) > 1 else "image"
        images = shown(", ".join(entry.images), 2 * FIRST_LINE)
        note = f"{which} {images}: may run now, and the controller was asked to try again"
        self._tell(entry, Reason.PASSED, note, known_as)

    def turned(self, request: AdmissionRequest, decision: Decision) -> None:
        """A pod was let in though its image failed by now."""
        if self._sink is None or request.operation != "CREATE" or request.dry_run:
            return
        if is_advice(request):
            return
        owner = maker_of(pod_of(request).metadata, request.namespace)
        about = "\n".join(decision.images)
        if owner is not None and self._turned.is_due(_short(owner.uid, about)):
            self._want(_Wanted(owner, Reason.TURNED, decision.reason, about))

    async def run(self) -> None:
        """Tell until cancelled; no error ends it."""
        while True:
            await self.tell(await self._waiting.get())

    async def tell(self, wanted: _Wanted) -> None:
        """Tell one of them now."""
        namespace = wanted.owner.namespace
        if self._outage.until(namespace) is not None or not self._bucket.take():
            self._on_told(wanted.reason, Told.DROPPED)
            return
        try:
            told = await self._tell_of(wanted)
        except OwnerGone:
            told = Told.GONE
        except ClusterUnreachable as error:
            self._outage.failed(namespace, error)
            told = Told.FAILED
        except Exception:  # only for people: whatever befalls it, the others are told
            log.exception("Event could not be told")
            told = Told.FAILED
        else:
            self._outage.over(namespace)
        self._on_told(wanted.reason, told)

    async def tell_all(self) -> None:
        """Tell what waits now."""
        while not self._waiting.empty():
            await self.tell(self._waiting.get_nowait())

    async def _tell_of(self, wanted: _Wanted) -> Told:
        assert self._sink is not None
        known_as = wanted.known_as or await self._nudging.known_as(wanted.owner)
        event = OwnerEvent(known_as, wanted.reason, wanted.note, wanted.about)
        same = _short(known_as.uid, wanted.reason, wanted.about)
        times = self._made.get(same, 0) + 1
        if times > 1 and await self._sink.tell(event, times=times):
            self._made[same] = times
            return Told.COUNTED
        if await self._sink.tell(event, times=1):
            self._made[same] = 1
            return Told.MADE
        self._made.pop(same, None)
        return Told.THERE

    def _moment(self, at: float) -> str:
        """A note stands for as long as its Event is counted: "since 12 s" alone grows old."""
        ago = self._clock.monotonic() - at
        return moment(self._clock.now() - round(ago * SECOND))

    def _is_slow(self, entry: Blocked) -> bool:
        return self._clock.monotonic() >= entry.since + SLOW

    def _tell(
        self, entry: Blocked, reason: Reason, note: str, known_as: Owner | None = None
    ) -> None:
        about = "\n".join(entry.images)
        if self._sink is not None and self._seldom.is_due(f"{entry.owner.uid} {reason}"):
            self._want(_Wanted(entry.owner, reason, note, about, known_as))

    def _want(self, wanted: _Wanted) -> None:
        try:
            self._waiting.put_nowait(wanted)
        except asyncio.QueueFull:
            self._on_told(wanted.reason, Told.DROPPED)


def _short(*texts: str) -> str:
    """So many are remembered, and the names of a pod's images may be long."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
