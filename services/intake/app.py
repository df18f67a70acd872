"""The edge that registries, pipelines and Anchore call: bytes in, a short sum of what became of
them out.

`POST /events/distribution`, `/events/generic` and `/events/anchore`, each with credentials of its
own. 202 means that what is worth a step was handed on; 503, that it could not be and has to be sent
again.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from aiohttp import web

from services.intake.complaints import Complaints
from services.intake.credentials import Credentials
from services.intake.pushes import InvalidEvent
from services.intake.taking import ANCHORE, Answer
from shared.ports.clock import Clock
from shared.runtime.http import BodyLimits, BodyRefused, read_body

log = logging.getLogger(__name__)

READ_AT_ONCE = 64
"""Bodies that may be on their way to one endpoint: a signature can be looked at only behind its
body, and strangers must not fill the memory until then."""

RETRY_AFTER = 5
"""Seconds; a broker that was restarted is back by then."""

Take = Callable[[Mapping[str, str], bytes], Awaitable[Answer]]
"""What becomes of a body, and of what the URL says behind its `?`; raises InvalidEvent."""


class Endpoint:
    """One way in: who may send, and how much."""

    def __init__(
        self,
        *,
        source: str,
        credentials: Credentials,
        take: Take,
        answered: Callable[[int, float], None],
        complaints: Complaints,
        clock: Clock,
        limits: BodyLimits,
        at_once: int = READ_AT_ONCE,
    ) -> None:
        """`answered` is told the status and the seconds of each answer; `at_once`: bodies that may
        be on their way."""
        self._source = source
        self._credentials = credentials
        self._take = take
        self._answered = answered
        self._complaints = complaints
        self._clock = clock
        self._limits = limits
        self._at_once = at_once
        self._reading = 0

    async def handle(self, http: web.Request) -> web.Response:
        """Answer one call."""
        began = self._clock.monotonic()
        try:
            taken = await self._take(http.query, await self._let_in(http))
            answer = _json(taken.status, taken.body)
        except (InvalidEvent, BodyRefused) as error:
            answer = self._refusal(http, error)
        except Exception:
            log.exception("an event could not be handled")
            answer = _json(500, {"error": "imagegate failed; its log says why"})
        self._answered(answer.status, self._clock.monotonic() - began)
        return answer

    async def _let_in(self, http: web.Request) -> bytes:
        """The body of one who may send it; raises InvalidEvent, BodyRefused."""
        given = http.headers.get(self._credentials.header, "")
        if not self._credentials.may_be(given):
            raise self._unauthorised()
        body = await self._body(http)
        if not self._credentials.hold(given, body):
            raise self._unauthorised()
        return body

    async def _body(self, http: web.Request) -> bytes:
        """The whole body; raises InvalidEvent, BodyRefused."""
        if self._reading >= self._at_once:
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
            "event refused",
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


def intake_app(*, distribution: Endpoint, generic: Endpoint, anchore: Endpoint) -> web.Application:
    """The application with all ways in."""
    app = web.Application()
    app.router.add_post("/events/distribution", distribution.handle)
    app.router.add_post("/events/generic", generic.handle)
    app.router.add_post(f"/events/{ANCHORE}", anchore.handle)
    return app


def _json(status: int, body: object) -> web.Response:
    encoded = msgspec.json.encode(body)
    answer = web.Response(status=status, body=encoded, content_type="application/json")
    if status == 503:
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer
