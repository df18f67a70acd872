import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from shared.runtime.metrics import MAX_SERIES, SECONDS, Metrics


def test_each_kind_counts_for_its_labels() -> None:
    metrics = Metrics()
    metrics.counter("imagegate_reviews_total", "Reviews.").add(by=2)
    metrics.histogram("imagegate_review_seconds", "Time.", ["decision"]).observe(0.3, "allow")
    metrics.gauge("imagegate_cache_bytes", "Size.", ["cache"]).set(7, "near")
    metrics.gauge("imagegate_certificate_days", "Days.").read_from(lambda: 30)
    text = metrics.render().decode()
    assert "imagegate_reviews_total 2.0" in text
    assert 'imagegate_review_seconds_bucket{decision="allow",le="0.5"} 1.0' in text
    assert 'imagegate_cache_bytes{cache="near"} 7.0' in text
    assert "imagegate_certificate_days 30.0" in text
    assert "_created" not in text


def test_a_histogram_is_what_the_library_s_own_would_be() -> None:
    values = [0.0, 0.001, 0.0010001, 0.3, 0.5, 29.9, 30.0, 31.0]
    metrics = Metrics()
    times = metrics.histogram("imagegate_review_seconds", "Time.")
    calls = metrics.histogram("imagegate_call_seconds", "Calls.", ["what"], buckets=(0.5, 2))
    registry = CollectorRegistry()
    theirs = Histogram("imagegate_review_seconds", "Time.", buckets=SECONDS, registry=registry)
    other = Histogram(
        "imagegate_call_seconds", "Calls.", ["what"], buckets=(0.5, 2), registry=registry
    )
    assert metrics.render() == generate_latest(registry)
    note = calls.of("get")
    for value in values:
        times.observe(value)
        theirs.observe(value)
        note(value)
        other.labels("get").observe(value)
    assert metrics.render() == generate_latest(registry)


def test_a_counter_is_told_from_the_start_once_its_label_values_are_known() -> None:
    metrics = Metrics()
    metrics.counter("imagegate_gaps_total", "Gaps.")
    pods = metrics.counter("imagegate_pods_total", "Pods.", ["allowed"])
    count = pods.of("true")
    text = metrics.render().decode()
    assert "# TYPE imagegate_gaps_total counter" in text
    assert "\nimagegate_gaps_total 0.0\n" in text
    assert '\nimagegate_pods_total{allowed="true"} 0.0\n' in text
    count(2)
    pods.add("true")
    pods.of("true")(1)
    assert '\nimagegate_pods_total{allowed="true"} 4.0\n' in metrics.render().decode()
    with pytest.raises(ValueError, match="imagegate_pods"):
        metrics.counter("imagegate_pods_total", "Another.")


def test_label_values_that_never_end_become_other() -> None:
    metrics = Metrics()
    counter = metrics.counter("imagegate_denied_total", "Denied.", ["namespace", "reason"])
    for number in range(MAX_SERIES + 50):
        counter.add(f"team-{number}", "fail")
    counter.add("team-0", "fail")
    text = metrics.render().decode()
    assert 'imagegate_denied_total{namespace="other",reason="other"} 50.0' in text
    assert 'imagegate_denied_total{namespace="team-0",reason="fail"} 2.0' in text


@pytest.mark.parametrize("name", ["reviews_total", "imagegate_reviews", "imagegate_Reviews_total"])
def test_a_name_without_prefix_or_unit_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="imagegate_"):
        Metrics().counter(name, "Reviews.")


@pytest.mark.parametrize("name", ["lanes", "imagegate_lanes_count", "imagegate_lanes_total"])
def test_a_gauge_that_looks_like_a_sample_of_something_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a gauge is imagegate_"):
        Metrics().gauge(name, "Lanes.")


def test_a_wrong_number_of_label_values_is_refused() -> None:
    counter = Metrics().counter("imagegate_reviews_total", "Reviews.", ["decision"])
    with pytest.raises(ValueError, match="2 label values for 1 labels"):
        counter.add("allow", "extra")


def test_gauges_that_may_be_unknown_are_asked_at_each_scrape_and_else_absent() -> None:
    metrics = Metrics()
    told: dict[tuple[str, ...], float] = {("check",): 3, ("resolve",): 0}
    metrics.gauges("imagegate_lane_ready_steps", "Steps.", ("lane",), lambda: told)
    text = metrics.render().decode()
    assert "# TYPE imagegate_lane_ready_steps gauge" in text
    assert 'imagegate_lane_ready_steps{lane="check"} 3.0' in text
    assert 'imagegate_lane_ready_steps{lane="resolve"} 0.0' in text
    told.clear()
    assert "imagegate_lane_ready_steps{" not in metrics.render().decode()
    with pytest.raises(ValueError, match="imagegate_lane_ready_steps"):
        metrics.gauge("imagegate_lane_ready_steps", "Another.")


def test_gauges_that_may_be_unknown_are_bounded_too() -> None:
    metrics = Metrics()
    many: dict[tuple[str, ...], float] = {(str(number),): 1.0 for number in range(MAX_SERIES + 50)}
    metrics.gauges("imagegate_lane_ready_steps", "Steps.", ("lane",), lambda: many)
    assert metrics.render().decode().count("imagegate_lane_ready_steps{") == MAX_SERIES
