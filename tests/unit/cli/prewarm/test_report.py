"""The report: its exit code, and the document for programs."""

import json
from importlib.metadata import version

import pytest

from services.cli.prewarm.report import PrewarmExit, Report, json_document
from services.cli.prewarm.rows import Outcome, Row
from services.cli.prewarm.wanted import Stands
from tests.unit.cli.prewarm.reports import UNREAD, report, row


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
