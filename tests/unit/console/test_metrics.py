from services.console.metrics import OLD, ConsoleMetrics
from services.console.samples import Sample
from services.console.view import LaneReport, QueueReport
from shared.domain.step import Lane
from shared.ports.presence import Alive, Beat
from shared.runtime.metrics import Metrics
from tests.fakes.clock import START, FakeClock

SAW = (
    "imagegate_lane_",
    "imagegate_delayed_steps{",
    "imagegate_dead_letters ",
    "imagegate_processes{",
)


class Scraped:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.own = ConsoleMetrics(self.metrics, clock=self.clock)

    def looked(self, *, queue: bool = True, store: bool = True) -> None:
        """A look at what did answer."""
        lanes = (
            LaneReport(Lane.CHECK, 3, 2, 4, 1.5),
            LaneReport(Lane.RESOLVE, 1, None, 0, None),
        )
        report = QueueReport(lanes, {1: 0, 60: 7}, 5)
        alive = tuple(Alive(Beat(name, name[:-1], "1", 0), 0) for name in ("worker1", "worker2"))
        self.own.looked(
            Sample(self.clock.now(), report if queue else None, {}, alive if store else None),
            {part: "away" for part, ok in (("queue", queue), ("store", store)) if not ok},
        )

    def lines(self) -> list[str]:
        """What a scrape gets, without comments."""
        text = self.metrics.render().decode()
        return [line for line in text.splitlines() if not line.startswith("#")]

    def seen(self) -> list[str]:
        return [line for line in self.lines() if line.startswith(SAW)]


def test_what_was_seen_is_exported_with_its_labels() -> None:
    scraped = Scraped()
    scraped.looked()
    assert scraped.seen() == [
        'imagegate_lane_ready_steps{lane="check"} 3.0',
        'imagegate_lane_ready_steps{lane="resolve"} 1.0',
        'imagegate_lane_unacknowledged{lane="check"} 2.0',
        'imagegate_lane_consumers{lane="check"} 4.0',
        'imagegate_lane_consumers{lane="resolve"} 0.0',
        'imagegate_lane_oldest_seconds{lane="check"} 1.5',
        'imagegate_delayed_steps{delay="1"} 0.0',
        'imagegate_delayed_steps{delay="60"} 7.0',
        "imagegate_dead_letters 5.0",
        'imagegate_processes{service="worker"} 2.0',
    ]


def test_before_the_first_look_nothing_is_made_up() -> None:
    scraped = Scraped()
    assert scraped.seen() == []
    assert not [line for line in scraped.lines() if "looked" in line]


def test_what_did_not_answer_is_absent_and_its_time_stands_still() -> None:
    scraped = Scraped()
    scraped.looked()
    scraped.clock.advance(5_000)
    scraped.looked(queue=False)
    assert scraped.seen() == ['imagegate_processes{service="worker"} 2.0']
    looked = [line for line in scraped.lines() if "looked" in line]
    assert [float(line.partition("} ")[2]) for line in looked] == [
        START / 1000,
        START / 1000 + 5,
    ]
    assert looked[0].startswith('imagegate_looked_timestamp_seconds{part="queue"}')
    scraped.looked(store=False)
    assert not [line for line in scraped.seen() if "processes" in line]
    assert [line for line in scraped.seen() if "ready" in line]


def test_a_console_that_no_longer_looks_exports_no_old_numbers() -> None:
    scraped = Scraped()
    scraped.looked()
    scraped.clock.advance(OLD)
    assert scraped.seen()
    scraped.clock.advance(1)
    assert scraped.seen() == []


def test_questions_wrong_tokens_and_watchers_are_counted() -> None:
    scraped = Scraped()
    scraped.own.answered("/api/queue", 200)
    scraped.own.answered("/api/queue", 200)
    scraped.own.refused()
    scraped.own.watching(3)
    assert [line for line in scraped.lines() if "console" in line] == [
        'imagegate_console_requests_total{route="/api/queue",status="200"} 2.0',
        "imagegate_console_wrong_tokens_total 1.0",
        "imagegate_console_watchers 3.0",
    ]
