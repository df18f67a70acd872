"""The last decisions as a table, the newest first."""

import time

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.tables import WIDE, age, plain
from shared.domain.decision import State
from shared.ports.decisions import DecisionRecord, StoredDecision


def print_decisions(console: Console, decisions: tuple[StoredDecision, ...]) -> None:
    """One line a decision, or that there are none."""
    if not decisions:
        console.print("no decisions yet: no webhook has answered a review lately")
        return
    wide = console.width >= WIDE
    table = Table(title="Decisions", title_justify="left")
    table.add_column("age", justify="right")
    for heading in ("answer", "object", *(("user",) if wide else ()), "images", "why"):
        table.add_column(heading, overflow="fold")
    now = time.time() * 1000
    for stored in decisions:
        one = stored.decision
        table.add_row(
            age(max(0.0, now - one.at) / 1000),
            _answer(one),
            plain(_object(one)),
            *((plain(one.user, limit=80),) if wide else ()),
            Text("\n").join(plain(image) for image in one.images),
            plain(one.reason, limit=200),
        )
    console.print(table)


def _answer(one: DecisionRecord) -> Text:
    """`denied 403`, and how often if more than once."""
    word = "allowed" if one.allowed else f"denied {one.code}"
    words = f"{word}{', dry run' if one.dry_run else ''}"
    waits = one.state == State.PENDING
    style = "green" if one.allowed else "yellow" if waits else "red"
    return Text(words if one.times == 1 else f"{words}, {one.times} times", style=style)


def _object(one: DecisionRecord) -> str:
    where = f"{one.namespace}/" if one.namespace else ""
    named = f"{one.kind} {where}{one.name or '(no name)'}"
    return named if one.operation == "CREATE" else f"{named}, {one.operation}"
