"""The edge that the API server calls: bytes in, bytes out.

What cannot be decoded as a review gets 400, 413 or 415; every review that can be decoded gets
200 with an AdmissionReview of the same uid, an internal error included, which denies
(docs/design/behaviour.md 1). One coroutine a request and no task of its own: a review of a
known pod must cost little more than HTTP itself.
"""

import asyncio
import logging
import re
from functools import lru_cache

import msgspec
from aiohttp import web

from services.webhook.metrics import WebhookMetrics
from services.webhook.reviewer import Reviewer
from shared.domain.decision import Decision, State
from shared.domain.errors import InvalidReview
from shared.domain.review import (
    AdmissionRequest,
    AdmissionResponse,
    Status,
    StatusDetails,
    decode_review,
    encode_review,
)
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

MAX_BODY = 7 * 2**20
"""Bytes. An UPDATE holds two objects of at most 3 MiB each (docs/design/field-notes.md 1c)."""

BODY_TIMEOUT = 5.0
MARGIN = 0.3
"""Seconds of the API server's timeout that are left for the way back."""

REASONS = {
    403: "Forbidden",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}
_DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)(ms|s|m)")


def webhook_app(
    *, reviewer: Reviewer, metrics: WebhookMetrics, clock: Clock, budget: float = 4.5
) -> web.Application:
    """The application with `POST /validate`; `budget` (seconds) bounds a whole review."""
    validate = Validate(reviewer=reviewer, metrics=metrics, clock=clock, budget=budget)
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post("/validate", validate.handle)
    return app


class Validate:
    """`POST /validate`."""

    def __init__(
        self, *, reviewer: Reviewer, metrics: WebhookMetrics, clock: Clock, budget: float
    ) -> None:
        self._reviewer = reviewer
        self._metrics = metrics
        self._clock = clock
        self._budget = budget

    async def handle(self, http: web.Request) -> web.Response:
        """Answer one call."""
        began = self._clock.monotonic()
        try:
            review = decode_review(await _body(http))
        except InvalidReview as error:
            self._metrics.refused(error.status)
            return _refusal(error)
        timeout = _seconds(http.rel_url.raw_query_string)
        budget = self._budget if timeout is None else min(self._budget, timeout - MARGIN)
        decision = await self._decide(review, began + max(budget, 0.1))
        self._metrics.reviewed(decision, self._clock.monotonic() - began)
        return web.Response(
            body=encode_review(_response(review, decision)), content_type="application/json"
        )

    async def _decide(self, review: AdmissionRequest, deadline: float) -> Decision:
        try:
            decision = await self._reviewer.review(review, deadline=deadline)
        except Exception:
            log.exception("review %s failed: denied", review.uid)
            decision = Decision(
                False,
                State.ERROR,
                code=500,
                message="imagegate failed while it judged this object; its log says why",
                audit={"decision": "internal_error"},
            )
        if not decision.allowed:
            _log_denial(review, decision)
        return decision


async def _body(http: web.Request) -> bytes:
    """The whole body, bounded in size and time; raises InvalidReview."""
    if http.headers.get("Content-Encoding", "identity") != "identity":
        raise InvalidReview("send the review without Content-Encoding", status=415)
    if http.content_type != "application/json":
        raise InvalidReview("send the review as application/json", status=415)
    if (http.content_length or 0) > MAX_BODY:
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


def _response(review: AdmissionRequest, decision: Decision) -> AdmissionResponse:
    status = None
    if not decision.allowed:
        details = StatusDetails(decision.retry_after) if decision.retry_after else None
        status = Status(decision.code, decision.message, REASONS[decision.code], details)
    return AdmissionResponse(
        uid=review.uid,
        allowed=decision.allowed,
        status=status,
        warnings=decision.warnings,
        audit_annotations=decision.audit,
    )


def _log_denial(review: AdmissionRequest, decision: Decision) -> None:
    log.info(
        "denied",
        extra={
            "namespace": review.namespace,
            "object": review.name,
            "user": review.user_info.username,
            "state": str(decision.state),
            "reason": decision.message.partition("\n")[0],
        },
    )
