"""What `imagegate prewarm` found, and its exit code; as JSON a shape that programs may rely on.

Keys are added and never taken away or given another meaning while `version` is the same
(docs/prewarm.md).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import IntEnum
from importlib.metadata import version as installed_version
from typing import Any

import msgspec

from services.cli.prewarm.found import NotRead
from services.cli.prewarm.rows import Outcome, Row
from services.cli.prewarm.wanted import Stands

VERSION = 1


class PrewarmExit(IntEnum):
    """As those of other commands, and one more: run it again."""

    GOOD = 0
    BAD = 1
    """An image fails."""
    USAGE = 2
    NOT_ALL = 3
    """None fails of what is known, and something is not: it could not be judged or read, or its
    scan is under way."""
    STOPPED = 130


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    at: int
    """When it was made (ms)."""
    sources: tuple[str, ...]
    rows: Sequence[Row]
    seen: Stands
    """All that names images."""
    refused: Stands
    """What names one that would be refused for what is known."""
    not_read: Sequence[NotRead]
    passed_over: Mapping[str, int]
    exempt: Mapping[str, int]
    """Images in each exempt namespace."""
    notes: tuple[str, ...] = ()
    """Why it may be otherwise than it says."""
    strange: int = 0
    """Records that were not believed."""
    stopped: bool = False

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Images by outcome."""
        return Counter(row.outcome for row in self.rows)

    @property
    def found_nothing(self) -> bool:
        """A name that nobody has, or a glob that fits nothing, is no reason to feel safe."""
        return not self.rows and not self.exempt

    @property
    def exit_code(self) -> PrewarmExit:
        """What CI is told: a fail goes before what is not known."""
        counts = self.counts
        if self.stopped:
            return PrewarmExit.STOPPED
        if counts.get(Outcome.FAIL):
            return PrewarmExit.BAD
        unknown = counts.get(Outcome.ERROR) or counts.get(Outcome.UNFINISHED) or self.not_read
        return PrewarmExit.NOT_ALL if unknown or self.found_nothing else PrewarmExit.GOOD


def json_document(report: Report) -> bytes:
    """Indented, with a line end; every row."""
    counts = report.counts
    told: dict[str, Any] = {
        "version": VERSION,
        "tool": {"name": "imagegate", "version": installed_version("imagegate")},
        "at": datetime.fromtimestamp(report.at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "sources": report.sources,
        "finished": not (counts.get(Outcome.UNFINISHED) or report.stopped),
        "exit_code": int(report.exit_code),
        "totals": {
            "images": len(report.rows),
            **{str(outcome): counts.get(outcome, 0) for outcome in Outcome},
            "refused": sum(row.refused for row in report.rows),
            "not_asked": sum(not row.asked for row in report.rows),
            "pods": report.seen.pods,
            "workloads": report.seen.workloads,
            "refused_pods": report.refused.pods,
            "refused_workloads": report.refused.workloads,
        },
        "images": report.rows,
        "not_read": report.not_read,
        "passed_over": dict(report.passed_over),
        "exempt": dict(report.exempt),
        "notes": report.notes,
        "not_believed": report.strange,
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"
