"""`POST /validate`: decides about objects; the one boundary (docs/design/behaviour.md 1)."""

import logging

from services.webhook.decisions import Recorder
from services.webhook.let_pass import in_spite_of, named
from services.webhook.metrics import WebhookMetrics
from services.webhook.objects import places_to_judge
from services.webhook.owners import Owners
from services.webhook.reviewer import Reviewer
from shared.domain.decision import Decision, State
from shared.domain.review import (
    AdmissionRequest,
    AdmissionResponse,
    Status,
    StatusDetails,
    object_name,
)
from shared.domain.scope import Books
from shared.ports.clock import Clock
from shared.ports.decisions import MAX_IMAGES, MAX_TEXT
from shared.runtime.seldom import Seldom

log = logging.getLogger(__name__)

REASONS = {
    403: "Forbidden",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}

OUR_FAULT = "imagegate failed while it judged this object; its log says why"
FAILED = Decision(
    False,
    State.ERROR,
    code=500,
    message=OUR_FAULT,
    reason=OUR_FAULT,
    audit={"decision": "internal_error"},
)


class Validate:
    """Answers every review, an internal error included, which denies unless there is an
    emergency."""

    def __init__(
        self,
        *,
        reviewer: Reviewer,
        recorder: Recorder,
        metrics: WebhookMetrics,
        clock: Clock,
        books: Books,
        owners: Owners | None = None,
    ) -> None:
        self._reviewer = reviewer
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self._books = books
        self._owners = owners
        self._turned = Seldom(clock=clock)

    async def answer(
        self, request: AdmissionRequest, *, began: float, deadline: float
    ) -> AdmissionResponse:
        """The response; times are monotonic seconds."""
        try:
            decision = await self._reviewer.review(request, deadline=deadline)
        except Exception:
            log.exception("review %s failed", request.uid)
            decision = self._failed(request)
        if not decision.allowed:
            log.info("denied", extra=_told(request, decision))
        elif decision.let_pass:
            for fields in _passed(request, decision):
                log.warning("let pass in an emergency", extra=fields)
        elif decision.state is State.TURNED and self._turned.is_due(decision.reason):
            # Of each image once an hour: what will be denied soon is to be mended before.
            log.warning("allowed for a time", extra=_told(request, decision))
        seconds = self._clock.monotonic() - began
        self._metrics.reviewed(decision, seconds)
        self._recorder.record(request, decision, seconds)
        if self._owners is not None:
            self._owners.answered(request, decision)
        return _response(request, decision)

    def _failed(self, request: AdmissionRequest) -> Decision:
        """An emergency may be just this: that imagegate fails."""
        now = self._clock.now()
        emergency = self._books().emergency_in(request.namespace)
        if emergency is None or not emergency.counts(now):
            return FAILED
        return in_spite_of(FAILED, emergency, _images(request)[:MAX_IMAGES])


def _response(request: AdmissionRequest, decision: Decision) -> AdmissionResponse:
    status = None
    if not decision.allowed:
        details = StatusDetails(decision.retry_after) if decision.retry_after else None
        status = Status(decision.code, decision.message, REASONS[decision.code], details)
    return AdmissionResponse(
        uid=request.uid,
        allowed=decision.allowed,
        status=status,
        warnings=decision.warnings,
        audit_annotations=decision.audit,
    )


def _images(request: AdmissionRequest) -> tuple[str, ...]:
    """All of them; none where it is just their reading that failed."""
    try:
        places = places_to_judge(request)
    except Exception:
        return ()
    return tuple(dict.fromkeys([place.image[:MAX_TEXT] for place in places]))


def _passed(request: AdmissionRequest, decision: Decision) -> list[dict[str, str]]:
    """The log may be all that is left of it: Redis, where decisions are kept, may be what broke.

    So it names every image, for whoever has them judged afterwards; a decision names the first.
    """
    images = decision.images if len(decision.images) < MAX_IMAGES else _images(request)
    told = {**_told(request, decision), "dry_run": str(request.dry_run is True).lower()}
    return [{**told, "images": text} for text in named(images)]


def _told(request: AdmissionRequest, decision: Decision) -> dict[str, str]:
    """What the log says of a decision."""
    return {
        "kind": request.kind.kind,
        "namespace": request.namespace,
        "object": object_name(request),
        "user": request.user_info.username,
        "state": str(decision.state),
        "reason": decision.reason,
    }
