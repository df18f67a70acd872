"""The edge that the API server calls: bytes in, bytes out.

What cannot be decoded as a review gets 400, 413 or 415, and 503 what there is no room for; every
review that can be decoded gets 200 with an AdmissionReview of the same uid (behaviour.md 1). Two
paths need no router, and no request a task of its own: a review of a known pod must cost little
more than HTTP itself. Strangers are refused (403) before anything they send is read.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol

import msgspec
from aiohttp import HttpVersion11, web

from services.webhook.callers import Callers
from shared.domain.errors import InvalidReview
from shared.domain.review import AdmissionRequest, AdmissionResponse, decode_review, encode_review
from shared.ports.clock import Clock
from shared.runtime.http import BodyLimits, BodyRefused, Handler, read_body
from shared.runtime.reply import json_reply

PATHS = ("/validate", "/mutate")
JSON = "application/json"

STRANGER = (
    "imagegate answers the API server only: your certificate has none of the names that it lets in "
    "(IMAGEGATE_CLIENT_NAMES)"
)

MAX_BODY = 7 * 2**20
"""Bytes. An UPDATE holds two objects of at most 3 MiB each (docs/design/field-notes.md 1c)."""

LIMITS = BodyLimits(MAX_BODY)

LARGE = 256 * 2**10
"""Bytes from which on a review is large; one without a length counts as such."""

LARGE_AT_ONCE = 8
"""Large reviews in hand: many of them together, a stranger's unfinished ones say, must not take
the memory that every pod of the cluster depends on."""

MARGIN = 0.3
"""Seconds of the API server's timeout that are left for the way back."""

_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(ms|s|m)")


class Answering(Protocol):
    """What stands behind a path."""

    async def answer(
        self, request: AdmissionRequest, *, began: float, deadline: float
    ) -> AdmissionResponse:
        """The response to every request, before `deadline`; times are monotonic seconds."""


def webhook_app(
    *,
    validate: Answering,
    mutate: Answering,
    clock: Clock,
    budget: float = 4.5,
    callers: Callers | None = None,
    on_refused: Callable[[int], None] = lambda status: None,
) -> Handler:
    """What answers `POST /validate` and `POST /mutate`.

    `budget` (seconds) bounds a whole review; `callers`: where certificates are asked for, whose
    are let in; `on_refused` is told the HTTP status of each call that was refused.
    """
    answering = dict(zip(PATHS, (validate, mutate), strict=True))
    return Edge(
        answering, clock=clock, budget=budget, callers=callers, on_refused=on_refused
    ).handle


class LargeReviews:
    """Where at most LARGE_AT_ONCE find a place, from their first byte to their answer."""

    def __init__(self) -> None:
        self._in_hand = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Raises InvalidReview where there is none left."""
        if self._in_hand >= LARGE_AT_ONCE:
            raise InvalidReview(
                f"{LARGE_AT_ONCE} reviews of more than {LARGE} bytes are in hand: send it again",
                status=503,
            )
        self._in_hand += 1
        try:
            yield
        finally:
            self._in_hand -= 1


class Edge:
    """What calls of every path have in common."""

    def __init__(
        self,
        answering: Mapping[str, Answering],
        *,
        clock: Clock,
        budget: float,
        callers: Callers | None,
        on_refused: Callable[[int], None],
    ) -> None:
        self._answering = answering
        self._callers = callers
        self._large = LargeReviews()
        self._clock = clock
        self._budget = budget
        self._on_refused = on_refused

    async def handle(self, http: web.BaseRequest) -> web.StreamResponse:
        """Answer one call."""
        if self._callers is not None and self._callers.is_stranger(http.transport):
            self._on_refused(403)
            return _refusal(STRANGER, status=403)
        length = http.content_length
        try:
            # Nearly all take the first way, and a context manager costs them as much as a look-up.
            if length is not None and length <= LARGE:
                return await self._answer(http)
            with self._large.place():
                return await self._answer(http)
        except (InvalidReview, BodyRefused) as error:
            self._on_refused(error.status)
            return _refusal(str(error), status=error.status)

    async def _answer(self, http: web.BaseRequest) -> web.StreamResponse:
        """Raises InvalidReview, BodyRefused."""
        began = self._clock.monotonic()
        path, _, query = http.raw_path.partition("?")
        answering = self._answering.get(path)
        if answering is None or http.method != "POST":
            raise _misdirected(answering)
        headers = http.headers
        if headers.get("Content-Type") != JSON and http.content_type != JSON:
            raise InvalidReview("send the review as application/json", status=415)
        if "Expect" in headers:
            _go_on(http)
        request = decode_review(await read_body(http, LIMITS))
        timeout = _seconds(query)
        budget = self._budget if timeout is None else min(self._budget, timeout - MARGIN)
        deadline = began + max(budget, 0.1)
        response = await answering.answer(request, began=began, deadline=deadline)
        last = self._callers is not None and self._callers.must_come_anew(http.transport)
        return json_reply(http, encode_review(response), last=last)


def _misdirected(answering: Answering | None) -> InvalidReview:
    if answering is None:
        return InvalidReview(f"send reviews to {' or '.join(PATHS)}", status=404)
    return InvalidReview("send the review with POST", status=405)


def _go_on(http: web.BaseRequest) -> None:
    """Tell whoever asks first to send the body."""
    asks = http.headers["Expect"].lower() == "100-continue" and http.version == HttpVersion11
    if asks and (http.content_length or 0) <= MAX_BODY and http.transport is not None:
        http.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _refusal(why: str, *, status: int) -> web.Response:
    said = why[:500]
    # An API server repeats to people what a Status says, and nothing else: "unknown".
    told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": said}
    body = msgspec.json.encode({"error": said, **told, "code": status})
    response = web.Response(status=status, body=body, content_type=JSON)
    if status == 405:
        response.headers["Allow"] = "POST"
    # What is left of the body is not worth reading: a stranger may send it without end.
    response.force_close()
    return response


@lru_cache(maxsize=64)
def _seconds(query: str) -> float | None:
    """The API server's `timeout=5s`, as Go writes durations; None where there is none."""
    value = next((part[8:] for part in query.split("&") if part.startswith("timeout=")), "")
    parts = _DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        return None
    return sum(float(number) * {"ms": 0.001, "s": 1.0, "m": 60.0}[unit] for number, unit in parts)
