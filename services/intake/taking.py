"""What becomes of a body whose sender showed who it is, and what is told of it."""

import logging
from collections.abc import Callable, Mapping

import msgspec

from services.intake.anchore import read_notice
from services.intake.complaints import Complaints
from services.intake.distribution import read_envelope
from services.intake.generic import read_event
from services.intake.hearing import Hearing, Outcome
from services.intake.metrics import IntakeMetrics
from services.intake.notices import Heard, Notice, Unheeded
from services.intake.prewarm import Prewarm
from services.intake.pushes import Found, Ignored, Source, Taken, Tally

log = logging.getLogger(__name__)

ANCHORE = "anchore"
"""The source of notices, in their path and in the log."""

SHOWN = 5
"""Images that one log line names."""

SHOWN_ACCOUNT = 100
"""Characters."""

ASKED = (Heard.QUEUED, Heard.UNDER_WAY, Heard.REMEMBERED, Heard.AWAY)
"""What a notice's line in the log says became of it."""

ADVICE = {
    Ignored.UNREADABLE: "push events that are none were ignored: see what is sent to this URL",
    Ignored.NO_REFERENCE: "push events name nothing that a pod could name and were ignored: does "
    "the URL need ?registry=HOST, with the host as pods write it?",
}
NOTICE_ADVICE = {
    Heard.UNREADABLE: "notices that are none were ignored: see what is sent to this URL",
    Heard.NO_IMAGE: "notices name no image and were ignored, as tests of Anchore's do: what is "
    "sent here arrives",
    Heard.OTHER_ACCOUNT: "notices of an account that no rule asks about the image were ignored: is "
    "ANCHORE_ACCOUNT the account of the workers' credentials?",
}

TROUBLES = {
    "store": "the store is away: what events ask for is queued without a claim",
    "queue": "the queue does not take what events ask for: the store keeps what was claimed, the "
    "rest comes again",
    "deadline": "store or queue is slow: events that were not taken in time come again",
}
"""What to read of each of the troubles that asking meets."""


class Answer(msgspec.Struct, frozen=True):
    """An HTTP status, and what is sent with it as JSON."""

    status: int
    body: object


class Answered(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of an answer: how many push events became what."""

    queued: int
    under_way: int
    ignored: int
    remembered: int = 0
    replayed: int = 0
    away: int = 0
    reasons: dict[Ignored, int] = {}
    """Why those were ignored."""


class PushesIn:
    """Push events of one source: how a body is read, and what is told of it."""

    def __init__(
        self,
        *,
        source: Source,
        read: Callable[[Mapping[str, str], bytes], Found],
        prewarm: Prewarm,
        metrics: IntakeMetrics,
        complaints: Complaints,
    ) -> None:
        self._source = source
        self._read = read
        self._prewarm = prewarm
        self._metrics = metrics
        self._complaints = complaints

    async def take(self, query: Mapping[str, str], body: bytes) -> Answer:
        """Ask for the images of a body; raises InvalidEvent."""
        tally = await self._prewarm.take(self._read(query, body))
        self._metrics.tallied(self._source, tally)
        self._tell(tally)
        return Answer(503 if tally.taken[Taken.AWAY] else 202, _answered(tally))

    def _tell(self, tally: Tally) -> None:
        """One line a request, none for what asks for nothing (blobs, pulls); and complaints."""
        for ignored, advice in ADVICE.items():
            if tally.ignored[ignored]:
                self._complaints.say(f"{self._source} {ignored}", advice, source=self._source)
        _tell_of(tally.troubles, self._source, self._complaints)
        if not tally.taken:
            return
        fields: dict[str, object] = {"source": self._source}
        fields |= {str(taken): count for taken, count in tally.taken.items()}
        if tally.images:
            fields["images"] = ", ".join(tally.images[:SHOWN])
        log.info("push events", extra=fields)


class NoticesIn:
    """Notices of Anchore's: whoever is worth a look is looked at."""

    def __init__(self, *, hearing: Hearing, metrics: IntakeMetrics, complaints: Complaints) -> None:
        self._hearing = hearing
        self._metrics = metrics
        self._complaints = complaints

    async def take(self, _: Mapping[str, str], body: bytes) -> Answer:
        """Have somebody look, if it is worth that."""
        notice = read_notice(body)
        if isinstance(notice, Notice):
            outcome = await self._hearing.hear(notice)
        else:
            outcome = Outcome(notice.why)
        self._metrics.heard(notice.kind, outcome.heard)
        self._tell(notice, outcome)
        status = 503 if outcome.heard is Heard.AWAY else 202
        return Answer(status, {"kind": notice.kind, "outcome": outcome.heard})

    def _tell(self, notice: Notice | Unheeded, outcome: Outcome) -> None:
        """One line for what asks for something, complaints for what is amiss; what is repeated or
        too much is counted, and fills no log."""
        _tell_of(outcome.troubles, ANCHORE, self._complaints)
        heard = outcome.heard
        fields: dict[str, object] = {"source": ANCHORE, "about": str(notice.kind)}
        if isinstance(notice, Notice):
            fields |= {"image": str(notice.reference), "account": notice.account[:SHOWN_ACCOUNT]}
        if heard in NOTICE_ADVICE:
            self._complaints.say(f"{ANCHORE} {heard}", NOTICE_ADVICE[heard], **fields)
        elif heard in ASKED:
            log.info("notice", extra=fields | {"outcome": str(heard)})


def envelope_of(query: Mapping[str, str], body: bytes) -> Found:
    """What a registry sent, with what the URL says of the registry's name."""
    return read_envelope(body, registry=query.get("registry", ""))


def event_of(_: Mapping[str, str], body: bytes) -> Found:
    """What a pipeline sent; raises InvalidEvent."""
    return read_event(body)


def _tell_of(troubles: Mapping[str, str], source: str, complaints: Complaints) -> None:
    for what, reason in troubles.items():
        complaints.say(f"{source} {what}", TROUBLES[what], source=source, reason=reason)


def _answered(tally: Tally) -> Answered:
    taken = tally.taken
    return Answered(
        queued=taken[Taken.QUEUED],
        under_way=taken[Taken.UNDER_WAY],
        ignored=tally.ignored.total(),
        remembered=taken[Taken.REMEMBERED],
        replayed=taken[Taken.REPLAYED],
        away=taken[Taken.AWAY],
        reasons=dict(tally.ignored),
    )
