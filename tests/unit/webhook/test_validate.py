"""A review that we fail at is denied, counted, logged and recorded like any other."""

import json

import pytest

from services.webhook.book import CurrentBook
from services.webhook.decisions import Recorder
from services.webhook.knowledge import Knowledge
from services.webhook.metrics import WebhookMetrics
from services.webhook.near_cache import NearCache
from services.webhook.occasions import Occasions
from services.webhook.requests import Requests
from services.webhook.reviewer import Reviewer
from services.webhook.validate import Validate
from services.webhook.waiters import Waiters
from shared.domain.review import decode_review, encode_review
from shared.domain.rules import Rules
from shared.runtime.clock import SystemClock
from shared.runtime.metrics import Metrics
from tests.fakes.sealing import PlainSealer
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.house import memory_backends, pod, review_of
from tests.unit.webhook.test_mutate import DeadStore

REVIEWS = [
    review_of(pod("app:1")),
    review_of(pod("app:1"), dry_run=True),
    review_of_workload(DEPLOYMENT, workload(DEPLOYMENT, pod("app:1")["spec"])),
]


@pytest.mark.parametrize("review", REVIEWS)
async def test_a_failure_of_ours_denies_and_says_where_to_look(
    review: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    clock, backends, metrics = SystemClock(), memory_backends(), Metrics()
    recorder = Recorder(decisions=backends.decisions, clock=clock, webhook="w")
    knowledge = Knowledge(
        cache=NearCache(store=DeadStore(), unsealer=PlainSealer(), clock=clock),
        requests=Requests(claims=backends.claims, queue=backends.queue, clock=clock),
        waiters=Waiters(),
        clock=clock,
        rules=Rules,
    )
    validate = Validate(
        reviewer=Reviewer(
            knowledge=knowledge, occasions=Occasions(books=CurrentBook(Rules())), clock=clock
        ),
        recorder=recorder,
        metrics=WebhookMetrics(metrics),
        clock=clock,
    )
    now = clock.monotonic()
    request = decode_review(json.dumps(review).encode())
    answer = await validate.answer(request, began=now, deadline=now + 5)
    response = json.loads(encode_review(answer))["response"]
    assert response["allowed"] is False
    assert response["status"] == {
        "code": 500,
        "message": "imagegate failed while it judged this object; its log says why",
        "reason": "InternalError",
    }
    assert "patch" not in response
    text = metrics.render().decode()
    assert '\nimagegate_reviews_total{allowed="false",state="error"} 1.0\n' in text
    await recorder.flush()
    (stored,) = await backends.decisions.recent(limit=10)
    assert (stored.decision.code, stored.decision.reason) == (500, response["status"]["message"])
    assert "RuntimeError: a bug" in caplog.text
