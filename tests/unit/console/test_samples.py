from itertools import pairwise

from services.console.samples import APART, KEPT, Sample, Samples
from services.console.view import LaneReport, QueueReport
from shared.domain.step import Lane

START = 1_750_000_000_000


def report(*, ready: int = 0, dead: int = 0, oldest: float | None = None) -> QueueReport:
    lanes = tuple(LaneReport(lane, ready, 2, 1, oldest) for lane in Lane)
    return QueueReport(lanes, {1: 3, 5: 4}, dead)


def sample(at: int, queue: QueueReport | None, rate: float | None = 0.0) -> Sample:
    return Sample(at, queue, None if rate is None else dict.fromkeys(Lane, rate), ())


def test_the_history_has_a_number_for_each_sample_in_each_column() -> None:
    samples = Samples(every=2.0)
    samples.add(sample(START, report(ready=4, dead=1, oldest=1.234), 0.5))
    samples.add(sample(START + 2_000, report(ready=6), 1.5))
    history = samples.history()
    assert history.every == 2.0
    assert history.at == [START, START + 2_000]
    assert history.delayed == [7, 7]
    assert history.dead == [1, 0]
    assert set(history.lanes) == set(Lane)
    lane = history.lanes[Lane.CHECK]
    assert (lane.ready, lane.in_hand) == ([4, 6], [2, 2])
    assert (lane.oldest, lane.rate) == ([1.2, None], [0.5, 1.5])


def test_what_did_not_answer_is_a_gap_of_its_own_columns() -> None:
    samples = Samples(every=1.0)
    samples.add(sample(START, None, 2.0))
    samples.add(sample(START + 1_000, report(ready=1), None))
    history = samples.history()
    lane = history.lanes[Lane.RESOLVE]
    assert (lane.ready, lane.rate) == ([None, 1], [2.0, None])
    assert (history.delayed, history.dead) == ([None, 7], [None, 0])


def test_about_one_sample_a_second_is_kept() -> None:
    samples = Samples(every=0.2)
    for number in range(50):
        samples.add(sample(START + number * 200, report(ready=number)))
    at = samples.history().at
    assert len(at) == 10
    assert all(later - earlier >= APART for earlier, later in pairwise(at))


def test_what_is_older_than_a_quarter_of_an_hour_goes() -> None:
    samples = Samples(every=1.0)
    for number in range(2_000):
        samples.add(sample(START + number * 1_000, report(ready=number)))
    at = samples.history().at
    assert at[0] == at[-1] - KEPT
    samples.add(sample(at[-1] + 2 * KEPT, report()))
    assert len(samples.history().at) == 1


def test_times_ascend_also_when_the_clock_was_put_back() -> None:
    samples = Samples(every=1.0)
    for at in (0, 10_000, 20_000, 11_000, 12_000):
        samples.add(sample(START + at, report()))
    assert [at - START for at in samples.history().at] == [0, 10_000, 11_000, 12_000]


def test_a_history_without_samples_has_all_its_columns() -> None:
    history = Samples(every=1.0).history()
    assert history.at == history.dead == history.delayed == []
    assert all(lane.rate == [] for lane in history.lanes.values())
