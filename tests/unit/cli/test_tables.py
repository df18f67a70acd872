import io
import json
from collections.abc import Callable

import pytest
from rich.console import Console

from services.cli.tables import age, print_json, print_queue, print_status, print_verdicts
from services.console.rows import VerdictRow
from services.console.view import LaneReport, PartReport, QueueReport, StatusReport
from shared.domain.step import Lane

DIGEST = "sha256:0123456789abcdef" + "0" * 48


FAILED = VerdictRow(
    image="a.example/b:1",
    digest=DIGEST,
    outcome="fail",
    at=1,
    age=120,
    stale=True,
    reasons=("CVE-1", "CVE-2", "CVE-3"),
    policy="prod",
    scan_id="s1",
    findings=("stop: CVE-1 (v/p)", "stop: CVE-2 (v/p)", "stop: CVE-3 (v/p)", "warn: old (v/f)"),
)
STRANGE = VerdictRow("a.example/c:1", DIGEST, "not believed", 0, 0.0, False, ("not signed",))


def printed(show: Callable[[Console], None], *, width: int = 160) -> str:
    out = io.StringIO()
    show(Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250 ms"), (1, "1 s"), (90, "90 s"), (150, "2 min"), (7200, "2 h"), (259_200, "3 d")],
)
def test_ages_are_shown_in_the_unit_that_people_use(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_the_queue_shows_each_lane_what_waits_and_what_died() -> None:
    lanes = (
        LaneReport(Lane.ADMISSION, ready=3, unacknowledged=4, consumers=2, oldest=12.0),
        LaneReport(Lane.CHECK, ready=0, unacknowledged=1, consumers=2, oldest=None),
    )
    report = QueueReport(lanes=lanes, delayed={1: 0, 5: 4}, dead=2)
    text = printed(lambda console: print_queue(console, report))
    assert [part.strip() for part in text.splitlines()[4].split("│")[1:-1]] == [
        "admission",
        "3",
        "4",
        "2",
        "12 s",
    ]
    assert "delayed: 4 for 5 s" in text
    assert "dead letters: 2" in text


def test_what_is_in_hand_is_a_question_mark_with_its_reason_where_no_worker_was_heard() -> None:
    """RabbitMQ does not tell it over AMQP: it comes of the workers' beats."""
    lane = LaneReport(Lane.CHECK, ready=1, unacknowledged=None, consumers=2, oldest=None)
    text = printed(lambda console: print_queue(console, QueueReport((lane,), {}, 0)))
    assert [part.strip() for part in text.splitlines()[4].split("│")[1:-1]] == [
        "check",
        "1",
        "?",
        "2",
        "-",
    ]
    assert "what is in hand is not known: no worker was heard" in text


def test_an_empty_queue_says_none() -> None:
    text = printed(lambda console: print_queue(console, QueueReport((), {}, 0)))
    assert "delayed: none" in text
    assert "dead letters: none" in text


def test_a_verdict_shows_its_first_reason_and_counts_the_others() -> None:
    text = printed(lambda console: print_verdicts(console, (FAILED,)))
    assert "CVE-1 (and 2 more)" in text
    assert "2 min, stale" in text
    assert "0123456789ab" in text


def test_the_one_image_that_was_asked_for_is_shown_with_every_finding() -> None:
    text = printed(lambda console: print_verdicts(console, (FAILED,), image="a.example/b"))
    assert "fail a.example/b:1, 2 min ago, stale" in text
    for line in (f"digest: {DIGEST}", "policy: prod", "scan: s1", *FAILED.findings):
        assert f"  {line}\n" in text


def test_more_images_than_one_are_a_table_even_when_asked_for() -> None:
    text = printed(lambda console: print_verdicts(console, (FAILED, STRANGE), image="a.example"))
    assert "CVE-1 (and 2 more)" in text
    assert "CVE-2" not in text


def test_an_image_of_which_nothing_is_known_is_said() -> None:
    text = printed(lambda console: print_verdicts(console, (), image="a.example/x"))
    assert "nothing is known of a.example/x" in text


def test_what_is_not_believed_comes_with_what_to_look_at() -> None:
    text = printed(lambda console: print_verdicts(console, (FAILED, STRANGE)))
    assert "1 not believed" in text
    assert "IMAGEGATE_KEYS" in text


def test_a_narrow_terminal_gets_what_matters_whole() -> None:
    text = printed(lambda console: print_verdicts(console, (FAILED,)), width=80)
    assert "digest" not in text
    assert "a.example/b:1" in text
    assert "CVE-1 (and 2 more)" in text
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_what_a_scanner_or_stranger_wrote_is_no_markup_and_no_second_line() -> None:
    row = VerdictRow(
        image="[red]x[/red]\x1b[31m",
        digest="",
        outcome="not believed",
        at=0,
        age=0,
        stale=False,
        reasons=("[/]one\ntwo\x07",),
    )
    text = printed(lambda console: print_verdicts(console, (row,)))
    assert "[red]x[/red]\\x1b[31m" in text
    assert "[/]one\\ntwo\\x07" in text


def test_no_verdicts_say_what_to_do() -> None:
    text = printed(lambda console: print_verdicts(console, ()))
    assert "imagegate scan IMAGE" in text


def test_the_status_shows_each_part_and_the_facts() -> None:
    parts = (PartReport("store", True, "answers", 0.4), PartReport("queue", False, "away", 3.0))
    report = StatusReport(ok=False, parts=parts, facts={"webhook": "https://127.0.0.1:8443"})
    text = printed(lambda console: print_status(console, report))
    assert "│ queue │ down" in text
    assert "webhook: https://127.0.0.1:8443" in text


def test_every_report_is_json_too() -> None:
    report = QueueReport((LaneReport(Lane.CHECK, 1, 0, 1, 0.5),), {1: 2}, 0)
    parsed = json.loads(printed(lambda console: print_json(console, report)))
    assert parsed["lanes"][0] == {
        "lane": "check",
        "ready": 1,
        "unacknowledged": 0,
        "consumers": 1,
        "oldest": 0.5,
        "delivered": None,
    }
