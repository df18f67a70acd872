"""What the commands print: Rich tables of the operator's reports, or the same as JSON."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from services.console.emergency_report import is_emergency
from services.console.rows import NOT_BELIEVED, VerdictRow
from services.console.view import QueueReport, StatusReport
from shared.domain.step import Lane
from shared.runtime.logging import one_line

STYLES = {"pass": "green", "fail": "red", "error": "yellow", NOT_BELIEVED: "bold red"}

WIDE = 110
"""Columns from which on a table has room for what is nice to know."""


class Output(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"


def plain(text: str, *, style: str = "", limit: int = 300) -> Text:
    """Text from outside: one line, and no markup in it."""
    return Text(one_line(text, limit=limit), style=style)


def age(seconds: float) -> str:
    """`850 ms`, `12 s`, `3 min`, `5 h`, `2 d`."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def print_json(console: Console, report: object) -> None:
    """The report as indented JSON."""
    text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    console.out(text, highlight=False)


def print_queue(console: Console, report: QueueReport) -> None:
    """Lanes, delayed steps, dead letters."""
    for line in queue_lines(report):
        console.print(line)


def queue_lines(
    report: QueueReport, *, rates: Mapping[Lane, float | None] | None = None
) -> list[RenderableType]:
    """The same to be drawn; with `rates`, a column of steps a second."""
    table = _lane_table(report, rates)
    lines: list[RenderableType] = [table]
    if not report.ages_known:
        lines.append(Text("ages are not known: the store does not answer", style="red"))
    if any(lane.unacknowledged is None for lane in report.lanes):
        lines.append(Text("what is in hand is not known: no worker was heard in the store"))
    waiting = [f"{count} for {delay} s" for delay, count in report.delayed.items() if count]
    lines.append(Text(f"delayed: {', '.join(waiting) or 'none'}"))
    dead = f"{report.dead}; `imagegate dead list` shows them" if report.dead else "none"
    lines.append(Text(f"dead letters: {dead}", style="red" if report.dead else ""))
    return lines


def _lane_table(report: QueueReport, rates: Mapping[Lane, float | None] | None) -> Table:
    table = Table(title="Queue", title_justify="left")
    rated = rates is not None
    table.add_column("lane")
    for heading in ("ready", "in hand", *(("per second",) if rated else ()), "workers", "oldest"):
        table.add_column(heading, justify="right")
    for lane in report.lanes:
        in_hand = "?" if lane.unacknowledged is None else str(lane.unacknowledged)
        rate = (rates or {}).get(lane.lane)
        unknown = "-" if report.ages_known else "?"
        table.add_row(
            str(lane.lane),
            str(lane.ready),
            in_hand,
            *(("?" if rate is None else f"{rate:.1f}",) if rated else ()),
            Text(str(lane.consumers), style="" if lane.consumers else "red"),
            unknown if lane.oldest is None else age(lane.oldest),
        )
    return table


def verdict_table(rows: tuple[VerdictRow, ...], *, width: int, title: str = "Verdicts") -> Table:
    """One line a record: image, outcome, age, why; where `width` columns allow it, more."""
    table = Table(title=title, title_justify="left")
    wide = width >= WIDE
    for heading in ("image", "outcome", "age", *(("digest", "policy") if wide else ()), "why"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "age" else "left")
    for row in rows:
        more = f" (and {len(row.reasons) - 1} more)" if len(row.reasons) > 1 else ""
        why = f"{one_line(row.reasons[0], limit=200)}{more}" if row.reasons else ""
        digest = row.digest.removeprefix("sha256:")[:12]
        table.add_row(
            plain(row.image),
            plain(row.outcome, style=STYLES.get(row.outcome, "")),
            f"{age(row.age)}{', stale' if row.stale else ''}" if row.at else "",
            *((digest, plain(row.policy, limit=40)) if wide else ()),
            Text(why),
        )
    return table


def print_verdicts(console: Console, rows: tuple[VerdictRow, ...], *, image: str = "") -> None:
    """The records, or that there are none; everything about `image` where it names just one."""
    if image and rows and len({row.image for row in rows}) == 1:
        for row in rows:
            _print_whole(console, row)
    elif rows:
        console.print(verdict_table(rows, width=console.width))
    elif image:
        console.print(plain(f"nothing is known of {image}: try `imagegate verdicts`, or scan it"))
    else:
        console.print("no verdicts yet: review a pod, or run `imagegate scan IMAGE`")
    strange = sum(row.outcome == NOT_BELIEVED for row in rows)
    if strange:
        console.print(
            f"{strange} not believed: not signed by a key that this command trusts. Let "
            "IMAGEGATE_KEYS name the folder with the workers' public keys; if it does, somebody "
            "else writes into the store",
            style="yellow",
        )


def _print_whole(console: Console, row: VerdictRow) -> None:
    when = f", {age(row.age)} ago{', stale' if row.stale else ''}" if row.at else ""
    console.print(
        plain(row.outcome, style=STYLES.get(row.outcome, "")),
        plain(f"{row.image}{when}", limit=1000),
        soft_wrap=True,
    )
    facts = {
        "digest": row.digest,
        "policy": row.policy,
        "revision": row.revision,
        "scan": row.scan_id,
    }
    lines = [f"{name}: {fact}" for name, fact in facts.items() if fact]
    for line in (*lines, *(row.findings or row.reasons)):
        console.print(plain(f"  {line}", limit=2000), soft_wrap=True)


def print_status(console: Console, report: StatusReport) -> None:
    """Parts, then facts."""
    table = Table(title="Status", title_justify="left")
    for heading in ("part", "state", "took", "says"):
        table.add_column(heading, justify="right" if heading == "took" else "left")
    for part in report.parts:
        state = Text("up", style="green") if part.ok else Text("down", style="red")
        table.add_row(part.name, state, f"{part.took:.1f} ms", plain(part.detail))
    console.print(table)
    for name, fact in report.facts.items():
        alarming = "bold red" if is_emergency(name) else ""
        console.print(plain(f"{name}: {fact}", style=alarming), soft_wrap=True)
