"""The report for people: what would be refused, what stands on it, and the totals."""

import io
from typing import Any

import pytest
from rich.console import Console

from services.cli.prewarm.report import Report
from services.cli.prewarm.rows import Outcome
from services.cli.prewarm.table import MOST, MOST_NOT_READ, print_report
from services.cli.prewarm.wanted import Stands
from shared.domain.decision import State
from tests.unit.cli.prewarm.reports import UNREAD, report, row


def printed(told: Report, *, width: int = 120, everything: bool = False) -> str:
    out = io.StringIO()
    print_report(Console(file=out, width=width), told, everything=everything)
    return out.getvalue()


def words(told: Report, *, everything: bool = False) -> str:
    """On one line, as in a wide terminal."""
    return " ".join(printed(told, width=240, everything=everything).split())


def test_what_passes_is_counted_and_not_listed_unless_all_is_wanted() -> None:
    told = report(row(Outcome.PASS), row(Outcome.FAIL, image="bad:1"))
    assert "team/app:1" not in printed(told)
    assert "bad:1" in printed(told)
    assert "2 images: 1 pass, 1 fail, 0 error" in printed(told)
    assert "team/app:1" in printed(told, everything=True)


@pytest.mark.parametrize("outcome", [Outcome.UNFINISHED, Outcome.FAIL])
def test_that_a_tag_could_not_be_asked_about_is_told_beside_why(outcome: Outcome) -> None:
    findings = ("a hole (vulnerabilities/package)",) if outcome is Outcome.FAIL else ()
    told = report(row(outcome, findings=findings, not_renewed="since noon nobody answered"))
    why = "a hole (vulnerabilities/package); " if findings else ""
    assert f"{why}since noon nobody answered" in words(told)


def test_a_long_table_is_cut_and_the_rest_counted() -> None:
    told = report(*(row(Outcome.FAIL, image=f"bad:{at}") for at in range(1_234)))
    text = printed(told)
    assert f"bad:{MOST - 1} " in text
    assert f"bad:{MOST} " not in text
    assert f"and {1_234 - MOST:,} more".replace(",", " ") in text


def test_what_stands_on_an_image_is_told_by_what_makes_the_pods() -> None:
    objects = ("Deployment shop/api", "CronJob shop/night", "Pod shop/api-1")
    told = report(row(Outcome.FAIL, pods=12, workloads=3, objects=objects))
    text = " ".join(printed(told, width=200).split())
    assert "12 pods, 3 workloads: Deployment shop/api, CronJob shop/night, ..." in text


def test_a_narrow_terminal_gets_counts_alone() -> None:
    told = report(row(Outcome.FAIL, pods=1, workloads=2, objects=("Deployment shop/api",)))
    text = printed(told, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "Deployment" not in text
    assert "1 pod, 2" in text


def test_what_would_be_refused_is_summed_up() -> None:
    told = report(
        row(Outcome.FAIL),
        row(Outcome.ERROR),
        row(Outcome.FAIL, allowed=True, mode="warn"),
        row(Outcome.ERROR, allowed=True, mode="audit"),
        row(Outcome.UNFINISHED),
        seen=Stands(20, 5),
        refused=Stands(2, 1),
    )
    text = printed(told)
    assert "5 images of 20 pods and 5 workloads: 0 pass, 2 fail, 2 error, 1 unfinished" in text
    assert "would be refused: 2 images, named by 2 pods and 1 workload" in text
    assert "2 of these would run all the same" in text
    assert "runs all the same (mode warn)" in " ".join(text.split())
    assert "run it again" in text


def test_what_could_not_be_read_is_told_by_its_place_and_counted() -> None:
    told = report(row(Outcome.PASS), not_read=[UNREAD] * (MOST_NOT_READ + 5))
    text = printed(told)
    assert text.count("not read: web.yaml, document 2 (line 7): it is no YAML") == MOST_NOT_READ
    assert "and 5 more that could not be read" in text


def test_nothing_found_is_no_reason_to_feel_safe() -> None:
    assert "no image was found, so that nothing was judged" in printed(report())


def test_text_from_outside_stays_on_its_line() -> None:
    told = report(row(Outcome.ERROR, says="one\n[red]two\x1b[31m"))
    text = printed(told)
    assert "\x1b" not in text
    assert "[red]two" in text


@pytest.mark.parametrize(
    ("stands", "told"),
    [
        ({"pods": 1, "objects": ("Pod shop/a",)}, "fail │ Pod shop/a │"),
        ({"pods": 2, "objects": ("Pod a/a", "Pod a/b")}, "2 pods: Pod a/a, Pod a/b │"),
        ({"pods": 3, "objects": ("Pod a/a", "Pod a/b")}, "3 pods: Pod a/a, Pod a/b, ... │"),
        (
            {"pods": 9, "workloads": 1, "objects": ("Job a/a", "Pod a/b")},
            "9 pods, 1 workload: Job a/a │",
        ),
        ({"namespaces": ("a", "b", "c", "d")}, "fail │ a, b, c │"),
    ],
)
def test_what_stands_on_an_image_is_named_as_far_as_there_is_room(
    stands: dict[str, Any], told: str
) -> None:
    assert told in words(report(row(Outcome.FAIL, **stands)))


@pytest.mark.parametrize(
    ("why", "told"),
    [
        ({"findings": ("one", "two", "three"), "more_findings": 4}, "│ one (and 6 more) │"),
        ({"findings": ("one",), "says": "bad"}, "│ one │"),
        ({"says": "it is bad"}, "│ it is bad │"),
        ({"says": "it is bad", "rule": "pay"}, "│ rule pay: it is bad │"),
        ({"says": "it is bad", "rule": ""}, "│ it is bad │"),
    ],
)
def test_why_it_fails_is_the_first_finding_or_what_a_review_would_say(
    why: dict[str, Any], told: str
) -> None:
    assert told in words(report(row(Outcome.FAIL, **why)))


def test_what_passes_for_another_reason_than_a_pass_is_called_so() -> None:
    told = report(row(Outcome.PASS, state=State.EXCEPTED, asked=False), row(Outcome.PASS))
    text = words(told, everything=True)
    assert "│ excepted │" in text
    assert "│ pass │" in text
    assert "1 needed no scan: the rules allow or deny them whatever they hold" in text


def test_all_rows_are_shown_to_who_wants_them() -> None:
    told = report(*(row(Outcome.FAIL, image=f"bad:{at}") for at in range(MOST + 1)))
    text = printed(told, everything=True)
    assert f"bad:{MOST} " in text
    assert "more" not in text


def test_what_was_passed_over_or_may_be_otherwise_is_told() -> None:
    text = words(
        report(
            row(Outcome.PASS),
            exempt={"redis": 3, "kube-system": 6},
            passed_over={"objects that make no pods": 4},
            notes=("no rules file was read",),
            not_read=[UNREAD] * (MOST_NOT_READ + 1),
            strange=2,
        )
    )
    for told in (
        "passed over: 9 images in exempt namespaces (kube-system, redis)",
        "passed over: objects that make no pods (4)",
        "no rules file was read",
        "2 records are not believed",
        "and 1 more that could not be read",
    ):
        assert told in text


def test_what_goes_into_a_file_or_a_pipe_is_not_broken_into_lines() -> None:
    note = " ".join(["somebody may search for this"] * 10)
    assert note in printed(report(row(Outcome.PASS), notes=(note,)), width=80)


def test_nothing_is_said_of_what_is_not() -> None:
    text = printed(report(row(Outcome.PASS)))
    assert text == "1 image: 1 pass, 0 fail, 0 error\n"
