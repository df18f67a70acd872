"""Reports of prewarm as tests make them up."""

from typing import Any

import msgspec

from services.cli.prewarm.found import NotRead
from services.cli.prewarm.report import Report
from services.cli.prewarm.rows import Outcome, Row
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
