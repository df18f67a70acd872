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
from tests.fakes.exceptions import HOUR, emergency
from tests.fakes.sealing import PlainSealer
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.house import Backends, memory_backends, pod, review_of
from tests.unit.webhook.test_mutate import DeadStore

pytestmark = pytest.mark.virtual_time

NAMED = ("app:1",)
REVIEWS = [
    review_of(pod("app:1")),
    review_of(pod("app:1"), dry_run=True),
    review_of_workload(DEPLOYMENT, workload(DEPLOYMENT, pod("app:1")["spec"])),
]


def failing(
    backends: Backends, recorder: Recorder, metrics: Metrics, book: CurrentBook
) -> Validate:
    """One that fails at each review of an image."""
    clock = SystemClock()
    knowledge = Knowledge(
        cache=NearCache(store=DeadStore(), unsealer=PlainSealer(), clock=clock),
        requests=Requests(claims=backends.claims, queue=backends.queue, clock=clock),
        waiters=Waiters(),
        clock=clock,
        rules=Rules,
    )
    return Validate(
        reviewer=Reviewer(knowledge=knowledge, occasions=Occasions(books=book), clock=clock),
        recorder=recorder,
        metrics=WebhookMetrics(metrics),
        clock=clock,
        books=book,
    )


@pytest.mark.parametrize("review", REVIEWS)
async def test_a_failure_of_ours_denies_and_says_where_to_look(
    review: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    clock, backends, metrics = SystemClock(), memory_backends(), Metrics()
    recorder = Recorder(decisions=backends.decisions, clock=clock, webhook="w")
    validate = failing(backends, recorder, metrics, CurrentBook(Rules()))
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


@pytest.mark.parametrize("review", REVIEWS)
@pytest.mark.parametrize(
    ("changes", "allowed"),
    [({}, True), ({"namespaces": ("team",)}, True), ({"namespaces": ("other",)}, False)],
)
async def test_in_an_emergency_a_failure_of_ours_denies_nobody_there(
    review: dict[str, object], changes: dict[str, object], allowed: bool
) -> None:
    clock, backends, metrics = SystemClock(), memory_backends(), Metrics()
    recorder = Recorder(decisions=backends.decisions, clock=clock, webhook="w")
    book = CurrentBook(Rules())
    book.emergency_changed(emergency(now=clock.now(), **changes))
    validate = failing(backends, recorder, metrics, book)
    now = clock.monotonic()
    request = decode_review(json.dumps(review).encode())
    answer = await validate.answer(request, began=now, deadline=now + 5)
    assert answer.allowed is allowed
    assert [line[:19] for line in answer.warnings] == (
        ["emergency declared ", "imagegate failed wh"] if allowed else []
    )
    assert ("emergency" in answer.audit_annotations) is allowed
    assert answer.audit_annotations["decision"] == "internal_error"
    await recorder.flush()
    (stored,) = await backends.decisions.recent(limit=10)
    if allowed:
        assert stored.decision.reason.startswith("let pass in an emergency: imagegate failed")
        assert stored.decision.state == "error"
        assert stored.decision.images == NAMED, "it is to be judged afterwards"
    book.emergency_changed(emergency(now=clock.now() - 2 * HOUR))
    answer = await validate.answer(request, began=now, deadline=now + 5)
    assert not answer.allowed, "one that has ended lets nothing pass"


async def test_each_image_that_passes_since_we_failed_stays_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, backends = SystemClock(), memory_backends()
    recorder = Recorder(decisions=backends.decisions, clock=clock, webhook="w")
    book = CurrentBook(Rules())
    book.emergency_changed(emergency(now=clock.now()))
    validate = failing(backends, recorder, Metrics(), book)
    many = [f"app{number}:1" for number in range(40)]
    request = decode_review(json.dumps(review_of(pod(*many))).encode())
    now = clock.monotonic()
    assert (await validate.answer(request, began=now, deadline=now + 5)).allowed
    (said,) = [each for each in caplog.records if each.message == "let pass in an emergency"]
    assert vars(said)["images"] == ", ".join(many)
    await recorder.flush()
    (stored,) = await backends.decisions.recent(limit=10)
    assert stored.decision.images == tuple(many[:16])
