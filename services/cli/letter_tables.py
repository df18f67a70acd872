"""Dead letters, for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.ending import Order
from services.cli.tables import WIDE, age, plain
from services.console.view import DeadReport, DeadRow
from shared.ports.steps import Ended

MOST_SHOWN = 4_000
"""Characters of a message."""

NAMED = 20
"""Letters that are named one by one when they were ended; JSON names all."""


def print_letters(console: Console, report: DeadReport) -> None:
    """One line a letter, or that there are none."""
    if not report.letters:
        console.print("no dead letters")
        return
    wide = console.width >= WIDE
    table = Table(title="Dead letters", title_justify="left")
    for heading in ("id", "lane", "died", "what", *(("reason",) if wide else ()), "failed last"):
        table.add_column(heading, overflow="fold")
    for letter in report.letters:
        table.add_row(
            plain(letter.id),
            plain(letter.lane, limit=40),
            _ago(letter.age),
            plain(_what(letter)),
            *((plain(letter.reason, limit=40),) if wide else ()),
            plain(letter.history[-1] if letter.history else "", limit=160),
        )
    console.print(table)
    if report.total > len(report.letters):
        console.print(f"the {len(report.letters)} oldest of {report.total}; --limit shows more")
    console.print(
        "`imagegate dead show ID` says more; `requeue` has them tried again, `drop` removes them"
    )


def print_letter(console: Console, letter: DeadRow) -> None:
    """Everything of one."""
    waited = "" if letter.waited is None else f"first wanted {age(letter.waited)} ago"
    facts = {
        "what": _what(letter),
        "lane": letter.lane,
        "reason": letter.reason,
        "died": _ago(letter.age),
        "wanted": ", ".join(word for word in (letter.why, waited) if word),
        "attempts": f"{letter.attempt} failed" if letter.kind else "",
    }
    console.print(plain(f"dead letter {letter.id}"))
    for name, fact in facts.items():
        if fact:
            console.print(plain(f"  {name}: {fact}", limit=1000), soft_wrap=True)
    for number, failure in enumerate(letter.history, start=1):
        console.print(plain(f"  failure {number}: {failure}", limit=1000), soft_wrap=True)
    console.print(plain(f"  message: {letter.body}", limit=MOST_SHOWN), soft_wrap=True)


def print_ended(console: Console, order: Order, ended: Ended) -> None:
    """What became of each; of more than NAMED to which the same happened, how many they are."""
    done = "requeued" if order is Order.REQUEUE else "dropped"
    for letters in _named(ended.done):
        console.print(plain(f"{done}: {letters}"))
    for letters in _named(ended.missing):
        console.print(plain(f"not there (any more): {letters}", style="yellow"))
    reasons: dict[str, list[str]] = {}
    for letter, why in ended.failed.items():
        reasons.setdefault(why, []).append(letter)
    for why, same in reasons.items():
        for letters in _named(same):
            console.print(plain(f"not {done}: {letters}: {why}", style="red"), soft_wrap=True)
    if not (ended.done or ended.missing or ended.failed):
        console.print(Text("there are no dead letters"))


def _named(letters: Sequence[str]) -> Sequence[str]:
    return letters if len(letters) <= NAMED else (f"{len(letters)} dead letters",)


def _what(letter: DeadRow) -> str:
    return f"{letter.kind} {letter.image}" if letter.kind else "no step"


def _ago(seconds: float | None) -> str:
    return "?" if seconds is None else f"{age(seconds)} ago"
