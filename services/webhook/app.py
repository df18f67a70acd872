"""The edge that the API server calls: bytes in, bytes out.

What cannot be decoded as a review gets 400, 413 or 415, and 503 what
there is no room for; every review that can be decoded gets
200 with an AdmissionReview of the same uid (docs/design/behaviour.md 1). One coroutine a request
and no task of its own: a review of a known pod must cost little more than HTTP itself.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Protocol

import msgspec
from aiohttp import web

from shared.domain.errors import InvalidReview
from shared.domain.review import AdmissionRequest, AdmissionResponse, decode_review, encode_review
from shared.ports.clock import Clock

MAX_BODY = 7 * 2**20
"""Bytes. An UPDATE holds two objects of at most 3 MiB each (docs/design/field-notes.md 1c)."""

LARGE = 256 * 2**10
"""Bytes from which on a review is large; one without a length counts as such."""

LARGE_AT_ONCE = 8
"""Large reviews in hand: many of them together, a stranger's unfinished ones say, must not take
the memory that every pod of the cluster depends on."""

BODY_TIMEOUT = 5.0
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
    on_refused: Callable[[int], None] = lambda status: None,
) -> web.Application:
    """The application with `POST /validate` and `POST /mutate`.

    `budget` (seconds) bounds a whole review; `on_refused` is told the HTTP status of each body
    that was no review.
    """
    app = web.Application(client_max_size=MAX_BODY)
    large = LargeReviews()
    for path, answering in (("/validate", validate), ("/mutate", mutate)):
        endpoint = Endpoint(
            answering, large=large, clock=clock, budget=budget, on_refused=on_refused
        )
        app.router.add_post(path, endpoint.handle)
    return app


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


class Endpoint:
    """What calls of every path have in common."""

    def __init__(
        self,
        answering: Answering,
        *,
        large: LargeReviews,
        clock: Clock,
        budget: float,
        on_refused: Callable[[int], None],
    ) -> None:
        self._answering = answering
        self._large = large
        self._clock = clock
        self._budget = budget
        self._on_refused = on_refused

    async def handle(self, http: web.Request) -> web.Response:
        """Answer one call."""
        length = http.content_length
        try:
            # Nearly all take the first way, and a context manager costs them as much as a look-up.
            if length is not None and length <= LARGE:
                return await self._answer(http, length)
            with self._large.place():
                return await self._answer(http, length)
        except InvalidReview as error:
            self._on_refused(error.status)
            return _refusal(error)

    async def _answer(self, http: web.Request, length: int | None) -> web.Response:
        """Raises InvalidReview."""
        began = self._clock.monotonic()
        request = decode_review(await _body(http, length))
        timeout = _seconds(http.rel_url.raw_query_string)
        budget = self._budget if timeout is None else min(self._budget, timeout - MARGIN)
        deadline = began + max(budget, 0.1)
        response = await self._answering.answer(request, began=began, deadline=deadline)
        return web.Response(body=encode_review(response), content_type="application/json")


async def _body(http: web.Request, length: int | None) -> bytes:
    """The whole body, bounded in size and time; raises InvalidReview."""
    if http.headers.get("Content-Encoding", "identity") != "identity":
        raise InvalidReview("send the review without Content-Encoding", status=415)
    if http.content_type != "application/json":
        raise InvalidReview("send the review as application/json", status=415)
    if (length or 0) > MAX_BODY:
        raise InvalidReview(f"the review is larger than {MAX_BODY} bytes", status=413)
    try:
        if http.content.is_eof():
            return await http.read()
        async with asyncio.timeout(BODY_TIMEOUT):
            return await http.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise InvalidReview(f"the review is larger than {MAX_BODY} bytes", status=413) from error
    except TimeoutError as error:
        message = f"the body did not come within {BODY_TIMEOUT:g} s"
        raise InvalidReview(message, status=408) from error


def _refusal(error: InvalidReview) -> web.Response:
    body = msgspec.json.encode({"error": str(error)[:500]})
    response = web.Response(status=error.status, body=body, content_type="application/json")
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
