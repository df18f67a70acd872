"""The report for people: what would be refused first, and what stands on it."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.feeds.wording import number
from services.cli.prewarm.report import Report
from services.cli.prewarm.rows import Outcome, Row
from services.cli.tables import WIDE, plain
from shared.domain.decision import State

MOST = 30
"""Rows that are printed unless all are wanted."""
MOST_NOT_READ = 10

STYLES = {
    Outcome.FAIL: "red",
    Outcome.ERROR: "yellow",
    Outcome.UNFINISHED: "cyan",
    Outcome.PASS: "green",
}


def print_report(printed: Console, report: Report, *, everything: bool) -> None:
    """The table, what could not be read, and the totals in words."""
    rows = [row for row in report.rows if everything or row.outcome is not Outcome.PASS]
    told = rows if everything else rows[:MOST]
    if told:
        printed.print(_table(told, wide=printed.width >= WIDE))
    if len(told) < len(rows):
        more = f"and {number(len(rows) - len(told))} more: --all shows every row, -o json too"
        printed.print(plain(more))
    _print_not_read(printed, report)
    for line in (*_judged(report), *_passed_over(report), *_to_be_done(report)):
        # What is read by a program, or searched, is not to be broken.
        printed.print(line, soft_wrap=not printed.is_terminal)


def _table(rows: Iterable[Row], *, wide: bool) -> Table:
    table = Table(title="Prewarm", title_justify="left")
    table.add_column("image", overflow="fold", ratio=4 if wide else 5)
    table.add_column("outcome")
    table.add_column("stands on it", overflow="fold", ratio=4 if wide else 2)
    table.add_column("why", overflow="fold", ratio=5)
    for row in rows:
        table.add_row(
            plain(row.image, limit=200),
            plain(_word(row), style=STYLES[row.outcome]),
            plain(_where(row) if wide else _counted(row.pods, row.workloads), limit=200),
            plain(_why(row), limit=400),
        )
    return table


def _word(row: Row) -> str:
    """What is known, and where that is more than a word says, what comes of it."""
    if row.outcome is Outcome.PASS and row.state is not State.PASS:
        return str(row.state)
    return str(row.outcome)


def _where(row: Row) -> str:
    """How much, and the first of it by name: what makes pods tells more than a pod."""
    if not row.objects:
        return ", ".join(row.namespaces[:3])
    makers = [each for each in row.objects if not each.startswith("Pod ")]
    told = (makers or row.objects)[:2]
    names = ", ".join(told)
    if row.pods + row.workloads == 1:
        return names
    more = (row.workloads if makers else row.pods) > len(told)
    return f"{_counted(row.pods, row.workloads)}: {names}{', ...' if more else ''}"


def _why(row: Row) -> str:
    more = row.more_findings + len(row.findings) - 1
    first = (
        f"{row.findings[0]}{f' (and {more} more)' if more else ''}" if row.findings else row.says
    )
    rule = f"rule {row.rule}: " if row.rule not in ("", "default") else ""
    runs = f"; runs all the same (mode {row.mode})" if row.spared else ""
    return f"{rule}{'; '.join(filter(None, (f'{first}{runs}', row.not_renewed)))}"


def _print_not_read(printed: Console, report: Report) -> None:
    for unread in report.not_read[:MOST_NOT_READ]:
        line = f"not read: {unread.where}: {unread.what}"
        printed.print(plain(line, limit=500, style="yellow"), soft_wrap=True)
    left = len(report.not_read) - MOST_NOT_READ
    if left > 0:
        printed.print(plain(f"and {number(left)} more that could not be read", style="yellow"))


def _judged(report: Report) -> Iterator[Text]:
    """How many images there are, and what becomes of them."""
    counts, seen = report.counts, report.seen
    words = [
        f"{number(counts.get(outcome, 0))} {outcome}"
        for outcome in (Outcome.PASS, Outcome.FAIL, Outcome.ERROR, Outcome.UNFINISHED)
        if counts.get(outcome) or outcome is not Outcome.UNFINISHED
    ]
    found = _counted(seen.pods, seen.workloads, " and ")
    of = f" of {found}" if found else ""
    yield plain(f"{_many(len(report.rows), 'image')}{of}: {', '.join(words)}", style="bold")
    if report.found_nothing:
        yield plain("no image was found, so that nothing was judged", style="yellow")
    refused = sum(row.refused for row in report.rows)
    if refused:
        on = report.refused
        named = _counted(on.pods, on.workloads, " and ")
        stands = f", named by {named}" if named else ""
        yield plain(f"would be refused: {_many(refused, 'image')}{stands}", style="red")
    spared = sum(row.spared for row in report.rows)
    if spared:
        yield plain(
            f"{number(spared)} of these would run all the same: their rules' mode is warn or audit"
        )
    unasked = sum(not row.asked for row in report.rows)
    if unasked:
        yield plain(
            f"{number(unasked)} needed no scan: the rules allow or deny them whatever they hold"
        )


def _passed_over(report: Report) -> Iterator[Text]:
    if report.exempt:
        namespaces = ", ".join(sorted(report.exempt)[:10])
        yield plain(
            f"passed over: {_many(sum(report.exempt.values()), 'image')} in exempt namespaces "
            f"({namespaces}), about which imagegate is never asked"
        )
    for what, count in report.passed_over.items():
        yield plain(f"passed over: {what} ({number(count)})")


def _to_be_done(report: Report) -> Iterator[Text]:
    for note in report.notes:
        yield plain(note, limit=600, style="yellow")
    unfinished = report.counts.get(Outcome.UNFINISHED)
    if unfinished:
        yield plain(
            f"{number(unfinished)} are not known for sure yet: what was asked for goes on without "
            "this command; run it again, and what is known by then is not asked for again",
            style="cyan",
        )
    if report.strange:
        yield plain(
            f"{number(report.strange)} records are not believed: let IMAGEGATE_KEYS name the "
            "folder with the workers' public keys; if it does, somebody else writes into the store",
            style="yellow",
        )


def _counted(pods: int, workloads: int, between: str = ", ") -> str:
    """`3 pods, 1 workload`; empty for nothing."""
    words = [_many(pods, "pod")] if pods else []
    words += [_many(workloads, "workload")] if workloads else []
    return between.join(words)


def _many(count: int, what: str) -> str:
    return f"{number(count)} {what}{'' if count == 1 else 's'}"
