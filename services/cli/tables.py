"""What the commands print: Rich tables of the operator's reports, or the same as JSON."""

from enum import StrEnum

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.ops import QueueReport, StatusReport, VerdictRow
from shared.runtime.logging import one_line

STYLES = {"pass": "green", "fail": "red", "error": "yellow", "not believed": "bold red"}


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
    table = Table(title="Queue", title_justify="left")
    table.add_column("lane")
    for heading in ("ready", "in hand", "workers", "oldest"):
        table.add_column(heading, justify="right")
    for lane in report.lanes:
        in_hand = "?" if lane.unacknowledged is None else str(lane.unacknowledged)
        oldest = "-" if lane.oldest is None else age(lane.oldest)
        table.add_row(str(lane.lane), str(lane.ready), in_hand, str(lane.consumers), oldest)
    console.print(table)
    waiting = [f"{count} for {delay} s" for delay, count in report.delayed.items() if count]
    console.print(f"delayed: {', '.join(waiting) or 'none'}")
    console.print(f"dead letters: {report.dead or 'none'}", style="red" if report.dead else "")


def verdict_table(rows: tuple[VerdictRow, ...], *, title: str = "Verdicts") -> Table:
    """One line a record: image, outcome, age, why."""
    table = Table(title=title, title_justify="left")
    for heading in ("image", "outcome", "age", "digest", "policy", "why"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "age" else "left")
    for row in rows:
        more = f" (and {len(row.reasons) - 1} more)" if len(row.reasons) > 1 else ""
        why = f"{one_line(row.reasons[0], limit=200)}{more}" if row.reasons else ""
        table.add_row(
            plain(row.image),
            plain(row.outcome, style=STYLES.get(row.outcome, "")),
            f"{age(row.age)}{', stale' if row.stale else ''}" if row.at else "",
            row.digest.removeprefix("sha256:")[:12],
            plain(row.policy, limit=40),
            Text(why),
        )
    return table


def print_verdicts(console: Console, rows: tuple[VerdictRow, ...]) -> None:
    """The records, or that there are none."""
    if rows:
        console.print(verdict_table(rows))
    else:
        console.print("no verdicts yet: review a pod, or run `imagegate scan IMAGE`")


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
        console.print(plain(f"{name}: {fact}"), soft_wrap=True)
