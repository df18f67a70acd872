"""The last decisions for people, the newest first."""

import time

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.tables import age, plain
from shared.domain.decision import State
from shared.ports.decisions import DecisionRecord, StoredDecision


def print_decisions(
    console: Console, decisions: tuple[StoredDecision, ...], *, since: str = ""
) -> None:
    """When, what and who, below it why and with which images; or that there are none, of `since`
    (2h)."""
    if not decisions:
        when = f"within {since}" if since else "yet"
        console.print(f"no decisions {when}: no webhook has answered a review lately")
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    now = time.time() * 1000
    for stored in decisions:
        one = stored.decision
        table.add_row(age(max(0.0, now - one.at) / 1000), _answer(one), _what(one))
    console.print(table)


def _answer(one: DecisionRecord) -> Text:
    """`denied 403`, and how often if more than once."""
    word = "allowed" if one.allowed else f"denied {one.code}"
    words = f"{word}{', dry run' if one.dry_run else ''}"
    waits = one.state == State.PENDING
    style = "green" if one.allowed else "yellow" if waits else "red"
    return Text(words if one.times == 1 else f"{words}, {one.times} times", style=style)


def _what(one: DecisionRecord) -> Text:
    """The object, who asked and which rule decided; the reason, and the images that it does not
    name."""
    rule = f", rule {one.rule}" if one.rule else ""
    lines = [plain(f"{_object(one)} by {one.user}{rule}")]
    told = [one.reason] if one.reason else []
    told += [image for image in one.images if image not in one.reason]
    lines += [plain(line, limit=600, style="dim") for line in told]
    return Text("\n").join(lines)


def _object(one: DecisionRecord) -> str:
    where = f"{one.namespace}/" if one.namespace else ""
    named = f"{one.kind} {where}{one.name or '(no name)'}"
    return named if one.operation == "CREATE" else f"{named}, {one.operation}"
