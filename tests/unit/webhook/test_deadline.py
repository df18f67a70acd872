"""How long an answer may take: the API server's timeout and the budget, whichever ends first; and
how long it may wait (docs/design/behaviour.md 1)."""

import json

import aiohttp
import pytest

from services.webhook.app import MARGIN, webhook_app
from services.webhook.reviewer import Waits
from services.webhook.settings import WebhookSettings
from shared.domain.review import AdmissionRequest, AdmissionResponse
from shared.runtime.clock import SystemClock
from shared.runtime.http import serve
from tests.house import pod, review_of

REVIEW = json.dumps(review_of(pod("app:1"))).encode()


class Told:
    """What stands behind a path, and remembers how long it was given (seconds)."""

    def __init__(self) -> None:
        self.given = 0.0

    async def answer(
        self, request: AdmissionRequest, *, began: float, deadline: float
    ) -> AdmissionResponse:
        self.given = deadline - began
        return AdmissionResponse(uid=request.uid, allowed=True)


@pytest.mark.parametrize(
    ("budget", "query", "given"),
    [
        (4.5, "timeout=30s", 4.5),
        (4.5, "", 4.5),
        (4.5, "timeout=5s", 4.5),
        (4.5, "timeout=3s", 3 - MARGIN),
        (4.5, "dryRun=All&timeout=1m", 4.5),
        (9.0, "timeout=5s", 5 - MARGIN),
        (90.0, "timeout=1m5s", 65 - MARGIN),
        (4.5, "timeout=1500ms", 1.5 - MARGIN),
        (4.5, "timeout=100ms", 0.1),
    ],
)
@pytest.mark.parametrize("path", ["/validate", "/mutate"])
async def test_an_answer_gets_the_smaller_of_its_budget_and_the_timeout_less_a_margin(
    path: str, budget: float, query: str, given: float
) -> None:
    told, other = Told(), Told()
    validate, mutate = (told, other) if path == "/validate" else (other, told)
    app = webhook_app(validate=validate, mutate=mutate, clock=SystemClock(), budget=budget)
    headers = {"Content-Type": "application/json"}
    async with (
        serve(app, host="127.0.0.1", port=0) as bound,
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{bound.url}{path}?{query}", data=REVIEW) as answer,
    ):
        assert answer.status == 200
    assert told.given == pytest.approx(given)
    assert other.given == 0.0


def test_nobody_waits_longer_than_is_said_unless_a_webhook_is_told_otherwise() -> None:
    settings = WebhookSettings()
    assert (settings.imagegate_wait, settings.imagegate_system_wait) == (2.0, 0.5)
    assert (settings.imagegate_max_waiters, settings.imagegate_budget) == (200, 4.5)
    assert Waits() == Waits(settings.imagegate_wait, settings.imagegate_system_wait)
