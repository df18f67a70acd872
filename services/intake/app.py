"""The edge that registries and pipelines call: bytes in, a short sum of what became of them out.

`POST /events/distribution` and `POST /events/generic`, each with credentials of its own. 202 means
that what is worth a scan was handed on; 503, that it could not be and has to be sent again.
"""

import logging
from collections.abc import Callable

import msgspec
from aiohttp import web

from services.intake.complaints import Complaints
from services.intake.credentials import Credentials
from services.intake.distribution import read_envelope
from services.intake.generic import read_event
from services.intake.metrics import IntakeMetrics
from services.intake.prewarm import Prewarm
from services.intake.pushes import Found, Ignored, InvalidEvent, Source, Taken, Tally
from shared.ports.clock import Clock
from shared.runtime.http import BodyLimits, BodyRefused, read_body

log = logging.getLogger(__name__)

READ_AT_ONCE = 64
"""Bodies that may be on their way to one endpoint: a signature can be looked at only behind its
body, and strangers must not fill the memory until then."""

RETRY_AFTER = 5
"""Seconds; a broker that was restarted is back by then."""

SHOWN = 5
"""Images that one log line names."""

ADVICE = {
    Ignored.UNREADABLE: "push events that are none were ignored: see what is sent to this URL",
    Ignored.NO_REFERENCE: "push events name nothing that a pod could name and were ignored: does "
    "the URL need ?registry=HOST, with the host as pods write it?",
}


TROUBLES = {
    "store": "the store is away: push events are queued without a claim",
    "queue": "the queue does not take push events: the store keeps what was claimed, the rest "
    "comes again",
    "deadline": "store or queue is slow: push events that were not taken in time come again",
}
"""What to read of each of `Tally.troubles`."""


class Answered(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of an answer: how many events became what."""

    queued: int
    under_way: int
    ignored: int
    remembered: int = 0
    replayed: int = 0
    away: int = 0
    reasons: dict[Ignored, int] = {}
    """Why those were ignored."""


class Endpoint:
    """One way in: who may send, and how a body is read."""

    def __init__(
        self,
        *,
        source: Source,
        credentials: Credentials,
        read: Callable[[web.Request, bytes], Found],
        prewarm: Prewarm,
        metrics: IntakeMetrics,
        complaints: Complaints,
        clock: Clock,
        max_body: int,
    ) -> None:
        self._source = source
        self._credentials = credentials
        self._read = read
        self._prewarm = prewarm
        self._metrics = metrics
        self._complaints = complaints
        self._clock = clock
        self._limits = BodyLimits(max_body, setting="IMAGEGATE_INTAKE_MAX_BODY")
        self._reading = 0

    async def handle(self, http: web.Request) -> web.Response:
        """Answer one call."""
        began = self._clock.monotonic()
        try:
            answer = await self._take(http)
        except (InvalidEvent, BodyRefused) as error:
            answer = self._refusal(http, error)
        except Exception:
            log.exception("push events could not be handled")
            answer = _json(500, {"error": "imagegate failed; its log says why"})
        self._metrics.answered(self._source, answer.status, self._clock.monotonic() - began)
        return answer

    async def _take(self, http: web.Request) -> web.Response:
        given = http.headers.get(self._credentials.header, "")
        if not self._credentials.may_be(given):
            raise self._unauthorised()
        body = await self._body(http)
        if not self._credentials.hold(given, body):
            raise self._unauthorised()
        tally = await self._prewarm.take(self._read(http, body))
        self._metrics.tallied(self._source, tally)
        self._tell(tally)
        return _json(503 if tally.taken[Taken.AWAY] else 202, _answered(tally))

    async def _body(self, http: web.Request) -> bytes:
        """The whole body; raises InvalidEvent, BodyRefused."""
        if self._reading >= READ_AT_ONCE:
            raise InvalidEvent("too many bodies are on their way: send it again", status=503)
        self._reading += 1
        try:
            return await read_body(http, self._limits)
        finally:
            self._reading -= 1

    def _unauthorised(self) -> InvalidEvent:
        message = f"credentials are missing or wrong: send {self._credentials.wanted}"
        return InvalidEvent(message, status=401)

    def _refusal(self, http: web.Request, error: InvalidEvent | BodyRefused) -> web.Response:
        reason = str(error)
        if error.status == 401 and not self._credentials.configured:
            reason = f"{self._credentials.setting} is not set: nobody can send events here"
        self._complaints.say(
            f"{self._source} {error.status}",
            "push event refused",
            source=self._source,
            status=error.status,
            sender=http.remote,
            reason=reason,
        )
        answer = _json(error.status, {"error": str(error)[:500]})
        if error.status == 401:
            answer.headers["WWW-Authenticate"] = self._credentials.scheme
        # What is left of the body is not worth reading: a stranger may send it without end.
        answer.force_close()
        return answer

    def _tell(self, tally: Tally) -> None:
        """One line a request, none for what asks for nothing (blobs, pulls); and complaints."""
        for ignored, advice in ADVICE.items():
            if tally.ignored[ignored]:
                self._complaints.say(f"{self._source} {ignored}", advice, source=self._source)
        for what, reason in tally.troubles.items():
            kind = f"{self._source} {what}"
            self._complaints.say(kind, TROUBLES[what], source=self._source, reason=reason)
        if not tally.taken:
            return
        fields: dict[str, object] = {"source": self._source}
        fields |= {str(taken): count for taken, count in tally.taken.items()}
        if tally.images:
            fields["images"] = ", ".join(tally.images[:SHOWN])
        log.info("push events", extra=fields)


def intake_app(*, distribution: Endpoint, generic: Endpoint) -> web.Application:
    """The application with both ways in."""
    app = web.Application()
    app.router.add_post("/events/distribution", distribution.handle)
    app.router.add_post("/events/generic", generic.handle)
    return app


def envelope_of(http: web.Request, body: bytes) -> Found:
    """What a registry sent, with what the URL says of the registry's name."""
    return read_envelope(body, registry=http.query.get("registry", ""))


def event_of(_: web.Request, body: bytes) -> Found:
    """What a pipeline sent; raises InvalidEvent."""
    return read_event(body)


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


def _json(status: int, body: object) -> web.Response:
    encoded = msgspec.json.encode(body)
    answer = web.Response(status=status, body=encoded, content_type="application/json")
    if status == 503:
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer
