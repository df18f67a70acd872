"""The report: exit codes, the table for people, and the document for programs."""

import io
import json
from importlib.metadata import version
from typing import Any

import msgspec
import pytest
from rich.console import Console

from services.cli.prewarm.found import NotRead
from services.cli.prewarm.report import PrewarmExit, Report, json_document
from services.cli.prewarm.rows import Outcome, Row
from services.cli.prewarm.table import MOST, MOST_NOT_READ, print_report
from services.cli.prewarm.wanted import Stands
from shared.domain.decision import State

UNREAD = NotRead("web.yaml, document 2 (line 7)", "it is no YAML")
ROW = Row(
    image="registry.corp/team/app:1",
    outcome=Outcome.PASS,
    state=State.PASS,
    allowed=True,
    rule="default",
    mode="enforce",
    says="",
    findings=(),
    more_findings=0,
    digest="sha256:" + "a" * 64,
    asked=True,
    pods=0,
    workloads=0,
    namespaces=("shop",),
    objects=(),
)


def row(outcome: Outcome, **more: Any) -> Row:
    changes: dict[str, Any] = {"outcome": outcome, "state": State(_STATES[outcome]), **more}
    changes.setdefault("allowed", outcome is Outcome.PASS)
    return msgspec.structs.replace(ROW, **changes)


_STATES = {
    Outcome.PASS: "pass",
    Outcome.FAIL: "fail",
    Outcome.ERROR: "error",
    Outcome.UNFINISHED: "pending",
}


def report(*rows: Row, **more: Any) -> Report:
    told: dict[str, Any] = {
        "at": 1_760_000_000_000,
        "sources": ("cluster",),
        "seen": Stands(),
        "refused": Stands(),
        "not_read": (),
        "passed_over": {},
        "exempt": {},
    }
    return Report(rows=rows, **(told | more))


def printed(told: Report, *, width: int = 120, everything: bool = False) -> str:
    out = io.StringIO()
    print_report(Console(file=out, width=width), told, everything=everything)
    return out.getvalue()


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (report(row(Outcome.PASS)), PrewarmExit.GOOD),
        (report(row(Outcome.PASS), row(Outcome.FAIL)), PrewarmExit.BAD),
        (report(row(Outcome.FAIL), row(Outcome.ERROR), not_read=(UNREAD,)), PrewarmExit.BAD),
        (report(row(Outcome.FAIL, allowed=True, mode="warn")), PrewarmExit.BAD),
        (report(row(Outcome.PASS), row(Outcome.ERROR)), PrewarmExit.NOT_ALL),
        (report(row(Outcome.UNFINISHED)), PrewarmExit.NOT_ALL),
        (report(row(Outcome.PASS), not_read=(UNREAD,)), PrewarmExit.NOT_ALL),
        (report(), PrewarmExit.NOT_ALL),
        (report(exempt={"kube-system": 3}), PrewarmExit.GOOD),
        (report(row(Outcome.FAIL), stopped=True), PrewarmExit.STOPPED),
    ],
)
def test_the_exit_code_says_what_is_worst(told: Report, code: PrewarmExit) -> None:
    assert told.exit_code is code


def test_what_passes_is_counted_and_not_listed_unless_all_is_wanted() -> None:
    told = report(row(Outcome.PASS), row(Outcome.FAIL, image="bad:1"))
    assert "team/app:1" not in printed(told)
    assert "bad:1" in printed(told)
    assert "2 images: 1 pass, 1 fail, 0 error" in printed(told)
    assert "team/app:1" in printed(told, everything=True)


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


def test_the_document_has_its_documented_keys() -> None:
    told = report(
        row(Outcome.FAIL, image="bad:1", pods=2),
        row(Outcome.PASS),
        row(Outcome.UNFINISHED),
        not_read=(UNREAD,),
        passed_over={"objects that make no pods": 4},
        exempt={"kube-system": 9},
        seen=Stands(3, 1),
        refused=Stands(2, 0),
        notes=("a note",),
        strange=7,
    )
    document = json.loads(json_document(told))
    assert (document["version"], document["sources"]) == (1, ["cluster"])
    assert document["tool"] == {"name": "imagegate", "version": version("imagegate")}
    assert (document["at"], document["exit_code"], document["finished"]) == (
        "2025-10-09T08:53:20Z",
        1,
        False,
    )
    assert document["totals"] == {
        "images": 3,
        "fail": 1,
        "error": 0,
        "unfinished": 1,
        "pass": 1,
        "refused": 1,
        "not_asked": 0,
        "pods": 3,
        "workloads": 1,
        "refused_pods": 2,
        "refused_workloads": 0,
    }
    assert set(document["images"][0]) == set(Row.__struct_fields__)
    assert document["not_read"] == [{"where": UNREAD.where, "what": UNREAD.what}]
    assert (document["passed_over"], document["exempt"], document["notes"]) == (
        {"objects that make no pods": 4},
        {"kube-system": 9},
        ["a note"],
    )
    assert document["not_believed"] == 7


@pytest.mark.parametrize(
    ("told", "finished"),
    [
        (report(row(Outcome.FAIL), row(Outcome.ERROR)), True),
        (report(row(Outcome.PASS), row(Outcome.UNFINISHED)), False),
        (report(row(Outcome.PASS), stopped=True), False),
    ],
)
def test_it_is_finished_when_all_is_known_and_nobody_stopped_it(
    told: Report, *, finished: bool
) -> None:
    assert json.loads(json_document(told))["finished"] is finished
