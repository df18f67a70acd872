"""What a worker shows to Prometheus."""

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.worker.budget import Poll
from services.worker.metrics import WorkerMetrics
from shared.adapters.breaker import Breaker, BreakerState
from shared.domain.errors import ErrorKind
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Outcome, Question, Subject, Verdict
from shared.domain.why import Why
from shared.runtime.metrics import Metrics
from tests.fakes.clock import FakeClock

STEP = Step(
    id="1",
    kind=StepKind.REQUEST,
    lane=Lane.PREWARM,
    reference="docker.io/library/app:1",
    question=Question(),
    first_seen=0,
)


class Scraped:
    """A worker's metrics, and what a scrape of them tells."""

    def __init__(self) -> None:
        self.registry = Metrics()
        self.worker = WorkerMetrics(self.registry)

    def value(self, name: str, **labels: str) -> float | None:
        text = self.registry.render().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if (sample.name, sample.labels) == (name, labels):
                    return sample.value
        return None


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


def verdict(outcome: Outcome, *, error: ErrorKind | None = None, why: Why) -> Verdict:
    subject = Subject("docker.io/library/app", "sha256:" + "a" * 64)
    return Verdict(subject, Question(), outcome, 0, error=error, why=why)


def test_the_time_to_a_verdict_is_told_by_who_wanted_it(scraped: Scraped) -> None:
    scraped.worker.verdict(verdict(Outcome.PASS, why=Why.PREWARM), 0.7)
    scraped.worker.verdict(verdict(Outcome.FAIL, why=Why.ADMISSION), 3.0)
    refused = verdict(Outcome.ERROR, error=ErrorKind.REFUSED, why=Why.ADMISSION)
    scraped.worker.verdict(refused, 0.1)
    assert scraped.value("imagegate_verdict_seconds_count", why="prewarm") == 1
    assert scraped.value("imagegate_verdict_seconds_count", why="admission") == 2
    assert scraped.value("imagegate_verdict_seconds_sum", why="admission") == pytest.approx(3.1)


def test_an_error_that_passes_is_counted_and_is_no_time_to_a_verdict(scraped: Scraped) -> None:
    passing = verdict(Outcome.ERROR, error=ErrorKind.TRANSIENT, why=Why.ADMISSION)
    scraped.worker.verdict(passing, 500.0)
    assert scraped.value("imagegate_verdicts_total", outcome="error", error="transient") == 1
    assert scraped.value("imagegate_verdict_seconds_count", why="admission") is None


def test_what_a_scan_waits_for_is_told_by_who_wanted_it(scraped: Scraped) -> None:
    scraped.worker.submitted(STEP, 0.3)
    scraped.worker.analysed(STEP, 40.0)
    scraped.worker.judged(msgspec.structs.replace(STEP, polls=3))
    scraped.worker.judged(STEP)
    assert scraped.value("imagegate_verdict_polls_sum", why="admission") == 3
    assert scraped.value("imagegate_verdict_polls_count", why="admission") == 1
    assert scraped.value("imagegate_submit_seconds_sum", why="admission") == pytest.approx(0.3)
    assert scraped.value("imagegate_analysis_seconds_sum", why="admission") == pytest.approx(40)


def test_the_time_in_a_lane_is_that_since_a_step_could_be_taken(scraped: Scraped) -> None:
    waited = msgspec.structs.replace(STEP, queued=10_000)
    scraped.worker.taken(waited, 10_250)
    # Clocks differ: nobody takes a step before it is there.
    scraped.worker.taken(waited, 9_000)
    assert scraped.value("imagegate_lane_wait_seconds_sum", lane="prewarm") == pytest.approx(0.25)
    assert scraped.value("imagegate_lane_wait_seconds_count", lane="prewarm") == 2


def test_of_a_step_that_does_not_tell_since_when_it_stood_there_no_time_is_made_up(
    scraped: Scraped,
) -> None:
    """While workers of this version take what an earlier one has queued."""
    scraped.worker.taken(STEP, 10_250)
    assert scraped.value("imagegate_lane_wait_seconds_count", lane="prewarm") is None


def test_polls_and_steps_that_were_published_again_are_counted(scraped: Scraped) -> None:
    scraped.worker.poll(Poll.QUICK)
    scraped.worker.poll(Poll.QUICK)
    scraped.worker.poll(Poll.PUT_OFF)
    scraped.worker.reconciled(STEP)
    assert scraped.value("imagegate_polls_total", poll="quick") == 2
    assert scraped.value("imagegate_polls_total", poll="put_off") == 1
    assert scraped.value("imagegate_reconciled_steps_total", kind="request", lane="prewarm") == 1


def test_a_call_that_the_breaker_refused_says_nothing_of_how_long_anchore_takes(
    scraped: Scraped,
) -> None:
    scraped.worker.call("image_get", "refused", 0.0)
    assert (
        scraped.value("imagegate_anchore_calls_total", operation="image_get", outcome="refused")
        == 1
    )
    assert scraped.value("imagegate_anchore_call_seconds_count", operation="image_get") is None


def test_the_breakers_state_is_as_it_is_at_the_scrape(scraped: Scraped) -> None:
    clock = FakeClock()
    breaker = Breaker(what="Anchore", clock=clock, failures=1)
    scraped.worker.breaker(tuple(BreakerState), lambda: breaker.state)

    def states() -> dict[str, float | None]:
        name = "imagegate_anchore_breaker_state"
        return {state: scraped.value(name, state=state) for state in BreakerState}

    assert states() == {"closed": 1, "open": 0, "half_open": 0}
    with breaker.attempt() as attempt:
        attempt.failed("no connection")
    assert states() == {"closed": 0, "open": 1, "half_open": 0}
    clock.advance(1_000)
    assert states() == {"closed": 0, "open": 0, "half_open": 1}


def test_what_an_answer_of_anchores_stands_for_is_counted(scraped: Scraped) -> None:
    scraped.worker.fault("image_check", "no_mapping")
    scraped.worker.fault("image_check", "no_mapping")
    scraped.worker.fault("image_get", "html")
    name = "imagegate_anchore_faults_total"
    assert scraped.value(name, operation="image_check", fault="no_mapping") == 2
    assert scraped.value(name, operation="image_get", fault="html") == 1


def test_records_that_are_not_believed_are_counted_as_webhooks_count_them(scraped: Scraped) -> None:
    assert scraped.value("imagegate_bad_signatures_total") == 0
    scraped.worker.unbelieved()
    assert scraped.value("imagegate_bad_signatures_total") == 1
